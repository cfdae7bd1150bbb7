"""Ids that stand anywhere in raw bytes."""

from __future__ import annotations

import mmap
import re
import sys
from collections.abc import Collection
from pathlib import Path

from agnocli import codec

SHORTEST = 4
"""Bytes of an id that are looked for: fewer stand anywhere."""
_UUID = re.compile(rb"(?=([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}))")


MOST = 100
"""Ids that are no UUIDs, of which each takes a pass of its own: of more so many are looked for, from all over."""


def standing(path: Path, ids: Collection[str]) -> set[str]:
    """Those that a file's bytes hold. All UUIDs take one pass."""
    if not path.stat().st_size:
        return set()
    wanted = {one.encode("utf-8", "surrogatepass"): one for one in ids}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        regular = {one for one in wanted if len(one) == 36 and _UUID.match(one)}
        found = regular & {match[1] for match in _UUID.finditer(text)} if regular else set()
        others = [one for one in wanted if one not in regular and len(one) >= SHORTEST]
        chosen = others[:: -(-len(others) // MOST) or 1]
        found |= {one for one in chosen if text.find(one) >= 0}
    return {wanted[one] for one in found}


if __name__ == "__main__":
    found = standing(Path(sys.argv[1]), codec.decode(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(codec.encode([*found]))
