"""The beginning of a session as a session of its own."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import HELD_BYTES, Backend, Sink
from agnocli.closing import Closing
from agnocli.edit import readable
from agnocli.errors import (
    CodecError,
    RunNotFoundError,
    SessionConflictError,
    SessionNotFoundError,
    UsageError,
)
from agnocli.layout.covers import COVERS, covered
from agnocli.layout.members import number_of
from agnocli.records import NULL, Document, Run, Session, SessionBundle
from agnocli.run import RunStatus
from agnocli.sessions.renaming import Renaming

FORKED_FROM = "forked_from"
"""The key of metadata that says what a session is a fork of: {backend, session_id, run_id, run}."""

_UNFINISHED = (RunStatus.RUNNING, RunStatus.PENDING)
_MARK = " (fork)"
_AGNOS_STATE = ("current_session_id", "current_user_id", "current_run_id")


def fork(
    backend: Backend,
    session_id: str,
    at: int | None = None,
    name: str | None = None,
    to: Backend | None = None,
) -> str:
    """Copy a session up to turn `at` (as `sessions inspect` numbers them; 0 for none, None for all) under new ids.

    Returns the new id. The copy has the state, and the summary, that fit what was copied; the original stays as it
    is. RunNotFoundError; SessionConflictError for a turn that is not finished; RecordRejectedError when `to` cannot
    hold it. All of it is stored, or nothing.
    """
    with Beginning(backend, session_id, at) as beginning:
        return beginning.store(to or backend, name)


class _Mark(msgspec.Struct, frozen=True):
    """What tells whether a run belongs to the beginning."""

    run_id: str
    parent: str | None
    number: int
    status: str | None


class Beginning(Closing):
    """What is to be copied, read as of one moment. `runs` counts it; `last` is its last turn, None where there is none."""

    def __init__(self, backend: Backend, session_id: str, at: int | None = None) -> None:
        self._address, self._at = backend.address, at
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=HELD_BYTES)  # noqa: SIM115 - closed below
        try:
            self._session, self._marks = self._read(backend, session_id)
            self._kept, self.last = _chosen(session_id, self._marks, at)
        except BaseException:
            self.close()
            raise

    @property
    def runs(self) -> int:
        return len(self._kept)

    @property
    def source(self) -> dict[str, object]:
        """The lineage that is kept in the copy's metadata."""
        return {
            "backend": self._address,
            "session_id": self._session.session_id,
            "run_id": self.last.run_id if self.last else None,
            "run": self.last.number if self.last else 0,
        }

    def store(self, sink: Sink, name: str | None = None) -> str:
        """Under new ids, all of it or nothing; returns the session's."""
        session_id = str(uuid4())
        kept = {self._marks[place].run_id for place in self._kept}
        renaming = Renaming(self._session.session_id, session_id, kept)
        with readable(self._session.session_id, "session_data or metadata"):
            row = self._row(session_id, name, renaming)
        sink.write([SessionBundle(row, self._runs(renaming))])
        return session_id

    def close(self) -> None:
        self._file.close()

    def _read(self, backend: Backend, session_id: str) -> tuple[Session, list[_Mark]]:
        """The runs go to a file: they are read twice, and none may be held while the copy is written."""
        for session, runs in backend.read([session_id]):
            marks = []
            for position, run in enumerate(runs, 1):
                number = number_of(run, position)
                marks.append(_Mark(run.run_id, run.parent_run_id, number, run.status))
                pickle.dump(run, self._file, pickle.HIGHEST_PROTOCOL)
            return session, marks
        raise SessionNotFoundError(session_id, hint="agno sessions list shows what there is")

    def _spooled(self) -> Iterator[Run]:
        self._file.seek(0)
        for place in range(len(self._marks)):
            run: Run = pickle.load(self._file)
            if place in self._kept:
                yield run

    def _runs(self, renaming: Renaming) -> Iterator[Run]:
        for index, run in enumerate(self._spooled()):
            is_end = self._at is not None and self.last and run.run_id == self.last.run_id
            yield renaming.run(_counting(run) if is_end else run, index)

    def _row(self, session_id: str, name: str | None, renaming: Renaming) -> Session:
        source, now = self._session, int(time.time())
        data: dict[str, Any] = codec.members(source.session_data)
        summary, covers = self._summary(renaming)
        changes: dict[str, object] = {
            "session_name": name,
            "title": name or _title(data),
            "session_metrics": None,  # nothing was spent in this one yet
            "forked_from_session_id": source.session_id,
            COVERS: covers,
        }
        if self._is_cut and (state := self._state()) is not None:
            changes["session_state"] = state
        return replace(
            source,
            session_id=session_id,
            session_data=codec.patch(source.session_data, changes),
            metadata=codec.patch(source.metadata, {FORKED_FROM: self.source}),
            summary=summary,
            created_at=now,
            updated_at=now,
            expires_at=None,
        )

    def _summary(self, renaming: Renaming) -> tuple[Document | None, dict[str, Any] | None]:
        """The summary, unless it tells of what is left out; and which run it reaches to, where that is known."""
        summary, reached = self._session.summary, covered(self._session)
        if codec.is_null(summary):
            return summary, None
        if reached is None:
            return NULL if self._is_cut else summary, None
        if reached.run_id not in {self._marks[place].run_id for place in self._kept}:
            return NULL, None
        moved = replace(reached, run_id=renaming.run_id(reached.run_id))
        return summary, msgspec.structs.asdict(moved)

    @property
    def _is_cut(self) -> bool:
        """Whether anything that was finished is left out."""
        left = (mark for place, mark in enumerate(self._marks) if place not in self._kept)
        return any(mark.parent is None and mark.status not in _UNFINISHED for mark in left)

    def _state(self) -> dict[str, Any] | None:
        """The state at the end of the last turn that tells it: none where nothing was said."""
        if self.last is None:
            return {}
        found = None
        for run in self._spooled():
            if run.parent_run_id is None:
                found = _state_of(run) or found
        if found is None:
            return None
        return {key: value for key, value in codec.decode(found).items() if key not in _AGNOS_STATE}


def _chosen(
    session_id: str, marks: Sequence[_Mark], at: int | None
) -> tuple[frozenset[int], _Mark | None]:
    """Places of the runs up to a turn, members of these turns wherever they stand, and the last turn itself."""
    places = {mark.run_id: place for place, mark in enumerate(marks)}
    cut = len(marks) - 1 if at is None else _cut(session_id, marks, places, at)
    kept, last = set[int](), None
    for place, mark in enumerate(marks):
        root = _root(marks, places, place)
        if root <= cut and marks[root].status not in _UNFINISHED:
            kept.add(place)
            if root == place:
                last = mark
    return frozenset(kept), last


def _cut(session_id: str, marks: Sequence[_Mark], places: dict[str, int], at: int) -> int:
    if at == 0:
        return -1
    found = [place for place, mark in enumerate(marks) if mark.number == at]
    if not found:
        last = marks[-1].number if marks else 0
        hint = (
            f"its runs are 1 to {last}; agno sessions inspect shows them" if last else "it is empty"
        )
        raise RunNotFoundError(session_id, str(at), hint=hint)
    place = found[-1]
    root = marks[_root(marks, places, place)]
    if root is not marks[place]:
        raise UsageError(f"run {at} is a part of run {root.number}", hint=f"--at {root.number}")
    if root.status in _UNFINISHED:
        raise SessionConflictError(
            session_id, f"is being answered: run {at} is not finished", hint="wait until it is done"
        )
    return place


def _root(marks: Sequence[_Mark], places: dict[str, int], place: int) -> int:
    """Where the turn stands that a run is a part of; a part of nothing that is there is its own."""
    seen = {place}
    while (parent := marks[place].parent) is not None and parent in places:
        place = places[parent]
        if place in seen:
            break
        seen.add(place)
    return place


def _counting(run: Run) -> Run:
    """An answer that another one took the place of counts again when that one is left out."""
    if run.status != RunStatus.REGENERATED:
        return run
    status = RunStatus.COMPLETED.value
    return replace(run, status=status, run_data=codec.patch(run.run_data, {"status": status}))


def _state_of(run: Run) -> Document | None:
    try:
        raw = codec.raw_members(run.run_data).get("session_state")
    except CodecError:
        return None
    return Document(bytes(raw)) if raw is not None and bytes(raw).startswith(b"{") else None


def _title(data: dict[str, Any]) -> object:
    """Two sessions of one name could not be told apart by it."""
    title = data.get("session_name") or data.get("title")
    if not isinstance(title, str):
        return title
    return title if title.endswith(_MARK) else title + _MARK
