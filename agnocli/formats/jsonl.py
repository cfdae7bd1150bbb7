"""One session a line. `QUARANTINE` is the same without checksums and a last line: it grows, and people mend it."""

from __future__ import annotations

from agnocli.formats.shape import HEAD, Shape

JSONL = Shape(
    name="jsonl", header=HEAD + b"}", cell=b"\t", between=b"\n", last=b'{"sessions_count": '
)
QUARANTINE = HEAD + b', "kind": "quarantine"}'
