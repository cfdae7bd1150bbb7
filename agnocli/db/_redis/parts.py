"""Sessions on their way to a server: records of about a megabyte at a time, with what is to be done with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from agnocli.db._redis import rows
from agnocli.db._redis.keys import Keys
from agnocli.records import Run, Session

PART_BYTES = 1_000_000

_encoder = msgspec.json.Encoder()


class Part(msgspec.Struct):
    """`record` is the length of the session's own record, -1 where an earlier part had it; `ends` as in `scripts`.

    `lists` are the sets that list the session. A run is id, place, length, end of life, and which of the `profiles`
    (from 1) has the sets that list it.
    """

    id: str
    record: int
    ends: str
    lists: list[str]
    runs: list[tuple[str, str, int, str, int]] = []
    profiles: list[list[str]] = []


class Held(NamedTuple):
    """A part and its records, the session's own first."""

    part: Part
    texts: list[bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.texts))


def parts(session: Session, runs: Iterable[Run], keys: Keys) -> Iterator[Held]:
    """In order, one at least."""
    text, ends = rows.session_text(session), _moment(session.expires_at)
    lists = [one.decode() for one in keys.session_indexes(session)]
    held, size = Held(Part(session.session_id, len(text), ends, lists), [text]), len(text)
    known: dict[tuple[str | None, ...], int] = {}
    for run in runs:
        text = rows.run_text(run)
        if size + len(text) > PART_BYTES:
            yield held
            held, size = Held(Part(session.session_id, -1, ends, []), []), 0
            known.clear()
        number = _profile(held.part, known, run, keys)
        place, moment = str(run.run_index or 0), _moment(run.expires_at)
        held.part.runs.append((run.run_id, place, len(text), moment, number))
        held.texts.append(text)
        size += len(text)
    yield held


def _profile(part: Part, known: dict[tuple[str | None, ...], int], run: Run, keys: Keys) -> int:
    """Runs that the same sets list have one between them."""
    sort = keys.run_sort(run)
    if (number := known.get(sort)) is None:
        part.profiles.append([one.decode() for one in keys.run_indexes(run)])
        number = known[sort] = len(part.profiles)
    return number


def _moment(at: int | None) -> str:
    return "" if at is None else str(at)


def records(held: Held, keys: Keys) -> Iterator[bytes]:
    """Key and text of each record."""
    part, texts = held
    names = [keys.session(part.id)] if part.record >= 0 else []
    names += [keys.run(run[0]) for run in part.runs]
    for one in zip(names, texts, strict=True):
        yield from one


def described(parts: list[Part]) -> bytes:
    return _encoder.encode(parts)
