"""Sessions on their way to a server: records of about a megabyte at a time, with what is to be done with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from agnocli.db._redis import rows
from agnocli.db._redis.keys import Keys
from agnocli.records import Run, Session

PART_BYTES = 1_000_000

_encoder = msgspec.json.Encoder()


class Part(msgspec.Struct):
    """`record` is the length of the session's own record, -1 where an earlier part had it; `ends` as in `scripts`.

    `lists` are the sets that list the session. A run is id, place, length, end of life, and which of the `profiles`
    (from 1) has the sets that list it. `texts` holds the records.
    """

    id: str
    record: int
    ends: str
    lists: list[str]
    runs: list[tuple[str, str, int, str, int]] = []
    profiles: list[list[str]] = []
    stage: str = ""

    def described(self) -> bytes:
        return _encoder.encode(self)


Held = tuple[Part, bytes]


def parts(session: Session, runs: Iterable[Run], keys: Keys) -> Iterator[Held]:
    """In order, one at least."""
    text, ends = rows.session_text(session), _moment(session.expires_at)
    lists = [one.decode() for one in keys.session_indexes(session)]
    part, texts, size = Part(session.session_id, len(text), ends, lists), [text], len(text)
    known: dict[tuple[str | None, ...], int] = {}
    for run in runs:
        text = rows.run_text(run)
        if size and size + len(text) > PART_BYTES:
            yield part, b"".join(texts)
            part, texts, size, known = Part(session.session_id, -1, ends, []), [], 0, {}
        place = str(run.run_index or 0)
        number = _profile(part, known, run, keys)
        part.runs.append((run.run_id, place, len(text), _moment(run.expires_at), number))
        texts.append(text)
        size += len(text)
    yield part, b"".join(texts)


def _profile(part: Part, known: dict[tuple[str | None, ...], int], run: Run, keys: Keys) -> int:
    """Runs that the same sets list have one between them."""
    sort = keys.run_sort(run)
    if (number := known.get(sort)) is None:
        part.profiles.append([one.decode() for one in keys.run_indexes(run)])
        number = known[sort] = len(part.profiles)
    return number


def _moment(at: int | None) -> str:
    return "" if at is None else str(at)
