"""What tells that a session has changed: its record, and the ids and sizes of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from zlib import crc32

from agnocli.db._redis.listing import Listing
from agnocli.db._redis.reading import Reader, text_of
from agnocli.layout.marks import mark

_SESSIONS, _RUNS = 200, 5000
"""Asked for at once."""


def marks(listing: Listing, reader: Reader) -> Iterator[tuple[str, str]]:
    records = listing.records()
    while chunk := list(islice(records, _SESSIONS)):
        asked = [("ZRANGE", reader.keys.runs_of(one.session_id), 0, -1) for one in chunk]
        runs = reader.server.read(*asked)
        sizes = _sizes(reader, [run for some in runs for run in some])
        for record, ids in zip(chunk, runs, strict=True):
            told = "|".join(map(str, islice(sizes, len(ids)))).encode()
            facts = crc32(record.text), len(ids), crc32(told, crc32(b"|".join(ids)))
            yield record.session_id, mark(record.head.updated_at, *facts)


def _sizes(reader: Reader, runs: Sequence[bytes]) -> Iterator[int]:
    for start in range(0, len(runs), _RUNS):
        some = runs[start : start + _RUNS]
        yield from reader.server.read(*(("STRLEN", reader.keys.run(text_of(one))) for one in some))
