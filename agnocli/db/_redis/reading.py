"""Sessions and runs from their records, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from agnocli.db._redis import rows
from agnocli.db._redis.keys import Keys
from agnocli.db._redis.server import Server, pairs
from agnocli.errors import SessionNotFoundError
from agnocli.layout import legacy
from agnocli.records import RawPiece, Run, Session

FIRST, MOST, BYTES = 8, 500, 1_000_000
"""Records asked for at first, at most, and how big an answer may grow to be."""

TIES = 1000
"""Runs of one place that are held at once; of more, only what they are sorted by."""

Place = tuple[int, int, str]


class Reader:
    def __init__(self, server: Server, keys: Keys) -> None:
        self.server, self.keys = server, keys

    def record(self, session_id: str) -> bytes:
        """SessionNotFoundError when there is none; every failure to read is another error."""
        (text,) = self.server.read(("GET", self.keys.session(session_id)))
        if text is None:
            raise SessionNotFoundError(session_id)
        found: bytes = text
        return found

    def raw(self, session_id: str) -> Iterator[RawPiece]:
        """By key, the session's own first."""
        yield RawPiece(text_of(self.keys.session(session_id)), self.record(session_id))
        for key, text in self.records(
            self.keys.run(text_of(one)) for one in self.run_ids(session_id)
        ):
            if text is not None:
                yield RawPiece(text_of(key), text)

    def parsed(self, session_id: str) -> tuple[Session, rows.Members]:
        return self.parse(session_id, self.record(session_id))

    def parse(self, session_id: str, text: bytes) -> tuple[Session, rows.Members]:
        members = rows.members(text, text_of(self.keys.session(session_id)))
        return rows.session(members, session_id), members

    def blob(self, session: Session, members: rows.Members) -> list[Run]:
        return list(legacy.blob_runs(rows.blob(members), session))

    def runs(
        self, session: Session, members: rows.Members, last: int | None = None
    ) -> Iterator[Run]:
        """Runs in order, Agno 2's in the record and those with a key of their own."""
        if last is not None and last <= 0:
            return
        blob = self.blob(session, members)
        if blob:
            merged = list(legacy.merge(blob, self.stored_runs(session.session_id)))
            yield from merged if last is None else merged[-last:]
        elif last is None:
            yield from self.stored_runs(session.session_id)
        else:
            yield from self._last_runs(session.session_id, last)

    def run_ids(self, session_id: str) -> list[bytes]:
        """As Agno has them: by index, ties by id."""
        found: list[bytes] = self.server.read(("ZRANGE", self.keys.runs_of(session_id), 0, -1))[0]
        return found

    def stored_runs(self, session_id: str) -> Iterator[Run]:
        yield from self._sorted(session_id, self.run_ids(session_id))

    def _last_runs(self, session_id: str, last: int) -> Iterator[Run]:
        key, top = self.keys.runs_of(session_id), self._top(session_id, last)
        if not top:
            return
        lowest = top[0][1]
        above = [member for member, score in top if score > lowest]
        asked = ("ZRANGEBYSCORE", key, repr(lowest), repr(lowest))
        tied = self.server.read(asked)[0]
        yield from self._tail(session_id, tied, last - len(above))
        yield from self._sorted(session_id, above)

    def _top(self, session_id: str, last: int) -> list[tuple[bytes, float]]:
        """The last runs that have not expired, with their place."""
        key, size = self.keys.runs_of(session_id), last
        while True:
            top = pairs(self.server.read(("ZRANGE", key, -size, -1, "WITHSCORES"))[0])
            asked = [("EXISTS", self.keys.run(text_of(member))) for member, _ in top]
            there = self.server.read(*asked) if asked else []
            found = [one for one, exists in zip(top, there, strict=True) if exists]
            if len(found) >= last or len(top) < size:
                return found[-last:]
            size *= 2

    def _tail(self, session_id: str, tied: Sequence[bytes], wanted: int) -> Iterator[Run]:
        """The last of some runs with one place."""
        if len(tied) == 1:
            yield from self._fetch(session_id, tied)
            return
        places = sorted(place(run) for run in self._fetch(session_id, tied))[-wanted:]
        yield from self._fetch(session_id, [raw_id(run_id) for _, _, run_id in places])

    def _sorted(self, session_id: str, run_ids: Sequence[bytes]) -> Iterator[Run]:
        return self.in_order(session_id, self._fetch(session_id, run_ids))

    def in_order(self, session_id: str, runs: Iterator[Run]) -> Iterator[Run]:
        """Runs as they come, those that share a place put in order."""
        tied: list[Run] = []
        for run in runs:
            if tied and _score(run) != _score(tied[0]):
                yield from sorted(tied, key=place)
                tied = []
            tied.append(run)
            if len(tied) > TIES:
                yield from self._many_tied(session_id, tied, runs)
                return
        yield from sorted(tied, key=place)

    def _many_tied(self, session_id: str, tied: list[Run], runs: Iterator[Run]) -> Iterator[Run]:
        """More runs of one place than are held at once: their order first, then each again."""
        score, places = _score(tied[0]), [place(run) for run in tied]
        tied.clear()
        behind: list[bytes] = []
        for run in runs:
            if _score(run) == score:
                places.append(place(run))
            else:
                behind.append(raw_id(run.run_id))
        places.sort()
        yield from self._fetch(session_id, [raw_id(run_id) for _, _, run_id in places])
        yield from self._sorted(session_id, behind)

    def _fetch(self, session_id: str, run_ids: Sequence[bytes]) -> Iterator[Run]:
        """Runs by id; one that has expired is left out, as Agno does."""
        keys = (self.keys.run(text_of(run_id)) for run_id in run_ids)
        for key, text in self.records(keys):
            if text is not None:
                yield self._run(key, text, session_id)

    def _run(self, key: bytes, text: bytes, session_id: str, ends: int | None = None) -> Run:
        name = text_of(key)
        run_id = name[len(text_of(self.keys.run(""))) :]
        return rows.read_run(text, name, run_id, session_id, ends)

    def records(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """Texts by key, in answers of about a megabyte."""
        keys, size = iter(keys), FIRST
        while batch := list(islice(keys, size)):
            texts = self._texts(batch)
            weight = sum(len(text) for text in texts if text is not None)
            size = min(MOST, max(1, BYTES * len(batch) // max(weight, 1)), size * 8)
            yield from zip(batch, texts, strict=True)

    def _texts(self, batch: Sequence[bytes]) -> list[bytes | None]:
        if self.server.is_cluster:
            return self.server.read(*(("GET", key) for key in batch))
        found: list[bytes | None] = self.server.read(("MGET", *batch))[0]
        return found


def place(run: Run) -> Place:
    """What runs are ordered by."""
    return -1 if run.run_index is None else run.run_index, run.created_at, run.run_id


def _score(run: Run) -> int:
    return run.run_index or 0


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def raw_id(run_id: str) -> bytes:
    return run_id.encode("utf-8", "surrogateescape")
