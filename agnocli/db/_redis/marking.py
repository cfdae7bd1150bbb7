"""What tells that a session has changed: its record, and the ids and sizes of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from zlib import crc32

from agnocli.db._redis.listing import Listing
from agnocli.db._redis.reading import Reader, text_of
from agnocli.db._redis.server import Server
from agnocli.errors import BackendReadOnlyError
from agnocli.layout.marks import mark

_TELLING = (
    "run_id",
    "rdb_last_save_time",
    "rdb_changes_since_last_save",
    "expired_keys",
    "evicted_keys",
)
_SESSIONS, _RUNS = 200, 5000
"""Asked for at once."""


def version(server: Server) -> str | None:
    """The server's own count of changes, which begins anew with each run of it and each snapshot."""
    if server.is_cluster:
        return None
    try:
        (told,) = server.read(("INFO",))
    except BackendReadOnlyError:  # this user may not ask
        return None
    facts = [told.get(name) for name in _TELLING]
    return None if None in facts else str(facts)


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
