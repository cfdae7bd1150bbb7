"""Runs whose session is not there, or does not list them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

from msgspec.structs import replace

from agnocli import codec
from agnocli.db._redis import rows
from agnocli.db._redis.changes import Changes
from agnocli.db._redis.editing import Editor
from agnocli.db._redis.keys import check_id
from agnocli.db._redis.listing import HEAD, head_members
from agnocli.db._redis.reading import Reader, raw_id, text_of
from agnocli.db._redis.reading import place as place_of
from agnocli.errors import LayoutError, RunNotFoundError
from agnocli.layout.compare import without_nulls
from agnocli.layout.portable import reject_unholdable
from agnocli.records import NULL, Run, Session

PAGE = 500
"""Runs that are looked at at once."""


class _Place(NamedTuple):
    session_id: str
    number: int
    run_id: str


class Orphans:
    def __init__(self, reader: Reader, editor: Editor) -> None:
        self._reader, self._server, self._keys = reader, reader.server, reader.keys
        self._editor = editor

    def runs(self) -> Iterator[Run]:
        """Every run is looked at, of most no more than the beginning of its record."""
        places = sorted(set(self._found()))
        for session_id, some in groupby(places, key=lambda place: place.session_id):
            run_ids = [place.run_id for place in some]
            yield from self._reader.in_order(session_id, self._read(session_id, run_ids))

    def _read(self, session_id: str, run_ids: Sequence[str]) -> Iterator[Run]:
        texts = self._reader.records(self._keys.run(run_id) for run_id in run_ids)
        for run_id, (key, text) in zip(run_ids, texts, strict=True):
            if text is not None:
                yield rows.read_run(text, text_of(key), run_id, session_id, None)

    def _found(self) -> Iterator[_Place]:
        keys = self._run_keys()
        while some := list(islice(keys, PAGE)):
            places = list(self._places(some))
            for place, known in zip(places, self._known(places), strict=True):
                if not known:
                    yield place

    def _run_keys(self) -> Iterator[bytes]:
        others = tuple(self._keys.run(one) for one in ("index:", "by_session:"))
        for key in self._server.keys(self._keys.matching("runs")):
            if not key.startswith(others):
                yield key

    def _places(self, keys: Sequence[bytes]) -> Iterator[_Place]:
        """A record that is damaged tells no session: whoever reads its session is told of it."""
        start = len(self._keys.run(""))
        heads = self._server.read(*(("GETRANGE", key, 0, HEAD - 1) for key in keys))
        for key, head in zip(keys, heads, strict=True):
            members = head_members(head) or self._members(key)
            if members is not None:
                session_id = codec.decode(members.get("session_id", b"null"))
                run = rows.run({**members, "run_data": b"null"}, "", "")
                yield _Place(str(session_id), run.run_index or 0, text_of(key[start:]))

    def _members(self, key: bytes) -> rows.Members | None:
        (text,) = self._server.read(("GET", key))
        try:
            return None if text is None else rows.members(text, text_of(key))
        except LayoutError:
            return None

    def _known(self, places: Sequence[_Place]) -> Iterator[bool]:
        """Whether its session is there and lists it."""
        asked = [
            command
            for one in places
            for command in (
                ("EXISTS", self._keys.session(one.session_id)),
                ("ZSCORE", self._keys.runs_of(one.session_id), raw_id(one.run_id)),
            )
        ]
        answers = iter(self._server.read(*asked) if asked else ())
        for there, score in zip(answers, answers, strict=True):
            yield bool(there) and score is not None

    def adopt(self, session: Session, run_ids: Sequence[str]) -> None:
        check_id(session)
        self._editor.settled([session.session_id], lambda: (self._adopt(session, run_ids), None))

    def _adopt(self, session: Session, run_ids: Sequence[str]) -> Changes:
        session_id = session.session_id
        changes, key = Changes(self._keys), self._keys.session(session_id)
        (text,) = self._server.read(("GET", key))
        lost = self._orphans(changes, session_id, run_ids)
        listed = {} if text is None else self._editor.stored_order(session_id)
        if text is None:
            self._add(changes, session)
        else:
            changes.same(key, text)
        for run in lost.values():
            changes.rank(self._keys.runs_of(session_id), raw_id(run.run_id), run.run_index or 0)
            changes.list_in(self._keys.run_indexes(run), run.run_id)
        self._editor.renumber(changes, [*listed, *lost], {**listed, **lost})
        changes.renew(session_id)
        return changes

    def _add(self, changes: Changes, session: Session) -> None:
        reject_unholdable(session, self._editor.can)
        key = self._keys.session(session.session_id)
        changes.absent(key)
        changes.set(key, rows.session_text(without_nulls(session)))
        changes.list_in(self._keys.session_indexes(session), session.session_id)

    def _orphans(self, changes: Changes, session_id: str, run_ids: Sequence[str]) -> dict[str, Run]:
        """Those runs without their bodies, in order, as long as they are what they are."""
        found: list[Run] = []
        keys = [self._keys.run(run_id) for run_id in dict.fromkeys(run_ids)]
        for key, text in self._reader.records(keys):
            run = self._orphan(key, text)
            if run is None or text is None or run.session_id != session_id:
                raise RunNotFoundError(session_id, text_of(key[len(self._keys.run("")) :]))
            changes.same(key, text)
            found.append(replace(run, run_data=NULL))
        found.sort(key=place_of)
        return {run.run_id: run for run in found}

    def _orphan(self, key: bytes, text: bytes | None) -> Run | None:
        """None for a run that is not there, or that its session has."""
        if text is None:
            return None
        place = next(self._places([key]), None)
        if place is None or next(self._known([place])):
            return None
        return rows.read_run(text, text_of(key), place.run_id, place.session_id, None)

    def delete(self, run_ids: Sequence[str]) -> int:
        return sum(self._deleted(run_id) for run_id in dict.fromkeys(run_ids))

    def _deleted(self, run_id: str) -> bool:
        (text,) = self._server.read(("GET", self._keys.run(run_id)))
        run = self._orphan(self._keys.run(run_id), text)
        if run is None:
            return False
        return self._editor.settled([run.session_id], lambda: self._delete(run_id))

    def _delete(self, run_id: str) -> tuple[Changes, bool]:
        changes, key = Changes(self._keys), self._keys.run(run_id)
        (text,) = self._server.read(("GET", key))
        run = self._orphan(key, text)
        if run is None:
            return changes, False
        changes.same(key, text)
        (there,) = self._server.read(("EXISTS", self._keys.session(run.session_id)))
        if not there:
            changes.absent(self._keys.session(run.session_id))
        self._editor.drop(changes, run)
        return changes, True
