"""Sessions on their way to a server: records of about a megabyte at a time, with what is to be done with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import msgspec

from agnocli.db._redis import rows
from agnocli.db._redis.keys import Keys
from agnocli.db._redis.packing import Pieces
from agnocli.records import Run, Session

PART_BYTES = 1_000_000

_encoder = msgspec.json.Encoder()


class Part(msgspec.Struct):
    """`record` is the length of the session's own record, -1 where an earlier part had it; `ends` as in `scripts`.

    `lists` are the sets that list the session. Of its runs, each in a column: ids, places, lengths, and ends of life,
    which are left out where no run has one. `sorts` are runs in a row that the same sets list: the sets, how many.
    """

    id: str
    record: int
    ends: str
    lists: list[str]
    runs: list[str] = []
    places: list[str] = []
    lengths: list[int] = []
    moments: list[str] = []
    sorts: list[tuple[list[str], int]] = []


class Held(NamedTuple):
    """A part and its records, the session's own first."""

    part: Part
    texts: list[Pieces]

    @property
    def size(self) -> int:
        return max(0, self.part.record) + sum(self.part.lengths)


def parts(session: Session, runs: Iterable[Run], keys: Keys) -> Iterator[Held]:
    """In order, one at least."""
    text, ends = rows.session_text(session), _moment(session.expires_at)
    lists = [one.decode() for one in keys.session_indexes(session)]
    held, size = Held(Part(session.session_id, len(text), ends, lists), [(text,)]), len(text)
    some = list[Run]()
    for run in runs:
        pieces = rows.run_pieces(run)
        length = sum(map(len, pieces))
        if size + length > PART_BYTES:
            yield _with_runs(held, some, keys)
            held, size = Held(Part(session.session_id, -1, ends, []), []), 0
            some.clear()
        some.append(run)
        held.texts.append(pieces)
        held.part.lengths.append(length)
        size += length
    yield _with_runs(held, some, keys)


def _with_runs(held: Held, runs: list[Run], keys: Keys) -> Held:
    part = held.part
    part.runs = [run.run_id for run in runs]
    part.places = [str(run.run_index or 0) for run in runs]
    if any(run.expires_at is not None for run in runs):
        part.moments = [_moment(run.expires_at) for run in runs]
    for _, alike in groupby(runs, keys.run_sort):
        first, *others = alike
        names = [one.decode() for one in keys.run_indexes(first)]
        part.sorts.append((names, 1 + len(others)))
    return held


def _moment(at: int | None) -> str:
    return "" if at is None else str(at)


def records(held: Held, keys: Keys) -> Iterator[bytes | Pieces]:
    """Key and text of each record."""
    part, texts = held
    names = [keys.session(part.id)] if part.record >= 0 else []
    names += map(keys.run, part.runs)
    for one in zip(names, texts, strict=True):
        yield from one


def described(parts: list[Part]) -> bytes:
    return _encoder.encode(parts)
