"""Turns taken back, put back, and asked anew from an earlier place. Nothing that was said is lost by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Backend
from agnocli.agent.sessions import stored_state
from agnocli.agent.state import merge
from agnocli.edit import edit_members
from agnocli.errors import CodecError, SessionConflictError, UsageError
from agnocli.layout.covers import covered
from agnocli.layout.media import Media
from agnocli.layout.members import number_of
from agnocli.records import Document, Run
from agnocli.sessions.fork import fork
from agnocli.sessions.renaming import Renaming
from agnocli.sessions.turns import LastTurn, last_turn, numbered, onward, pictures, question, undo
from agnocli.sessions.undone import Journal, Undone


class PutBack(msgspec.Struct, frozen=True):
    """A turn that is there again; `elsewhere` is the session it went to when its own one had gone on."""

    question: str
    elsewhere: str | None = None


def take_back(
    backend: Backend, session_id: str, journal: Journal, own: Collection[str]
) -> LastTurn:
    """Delete the last turn when it is kept in the journal, and what it changed in the state."""
    turn = last_turn(backend, session_id, own=own)
    before, after = _state(turn.behind), _state(turn.run)
    journal.keep(
        Undone(
            session_id=session_id,
            behind=turn.behind.run_id if turn.behind else None,
            question=turn.question,
            runs=tuple(turn.runs),
            state_before=before,
            state_after=after,
        )
    )
    undo(backend, turn)
    _move_state(backend, session_id, after, before)
    return turn


def put_back(backend: Backend, session_id: str, journal: Journal) -> PutBack:
    """Store the turn again that was taken back last. UsageError when there is none."""
    while (turn := journal.last()) is not None:
        newest = list(backend.runs(session_id, last=len(turn.runs)))
        if {run.run_id for run in turn.runs} <= {run.run_id for run in newest}:
            journal.drop()  # it was never deleted, or is back already: a program was killed between
            continue
        behind = newest[-1].run_id if newest else None
        if behind == turn.behind or behind in {run.run_id for run in turn.runs}:
            _append(backend, turn.runs)
            _move_state(backend, session_id, turn.state_before, turn.state_after)
            elsewhere = None
        else:
            elsewhere = _put_aside(backend, turn)
        journal.drop()
        return PutBack(turn.question, elsewhere)
    raise UsageError("nothing was taken back in this session", hint="/undo takes a turn back")


def _append(backend: Backend, runs: Sequence[Run]) -> None:
    for run in runs:
        try:
            backend.append_run(replace(run, run_index=None))
        except SessionConflictError:  # of this run alone: the program was killed half-way
            present = {one.run_id for one in backend.runs(run.session_id, last=len(runs))}
            if run.run_id not in present:
                raise


def _put_aside(backend: Backend, turn: Undone) -> str:
    """The turn in a session of its own, with what it stood behind."""
    at = 0
    for position, run in enumerate(backend.runs(turn.session_id), 1):
        if run.run_id == turn.behind:
            at = number_of(run, position)
    session_id = fork(backend, turn.session_id, at)
    renaming = Renaming(turn.session_id, session_id, {run.run_id for run in turn.runs})
    for run in turn.runs:
        backend.append_run(replace(renaming.run(run, 0), run_index=None))
    _move_state(backend, session_id, turn.state_before, turn.state_after)
    return session_id


def cut(backend: Backend, session_id: str, number: int, *, kept_as: str) -> str:
    """Delete a turn and all after it, which a fork of the whole session keeps; returns its id."""
    _, first = numbered(backend, session_id, number)
    runs = onward(backend, session_id, first.run_id)
    saved = fork(backend, session_id, name=kept_as)
    last = next(iter(backend.runs(session_id, last=1)), None)
    backend.delete_runs(session_id, [run.run_id for run in runs])
    behind = next(iter(backend.runs(session_id, last=1)), None)
    _move_state(backend, session_id, _state(last), _state(behind))
    return saved


class Given(msgspec.Struct, frozen=True):
    """A question that is in the line once more: what it names went along with it, and does so again.

    `number` is that of the turn it is to take the place of, None when it is said as any other. `pasted` was not typed.
    """

    question: str
    pictures: tuple[Media, ...] = ()
    number: int | None = None
    pasted: str = ""

    @property
    def known(self) -> str:
        """Text in which nothing names a file any more."""
        return f"{self.question}\n{self.pasted}"

    def still(self, text: str) -> tuple[Media, ...]:
        """The pictures that go with what became of it."""
        if self.number is not None or text == self.question:
            return self.pictures
        return tuple(one for one in self.pictures if one.name and one.name in text)


def editable(backend: Backend, session_id: str, number: int) -> Given:
    """UsageError when the question cannot be read."""
    place, run = numbered(backend, session_id, number)
    if not (text := question(run)):
        raise UsageError("that turn holds no question that can be read")
    return Given(text, pictures(run), place)


def summary_is_ahead(backend: Backend, session_id: str) -> bool:
    """Whether the session's summary tells of turns that are not there any more."""
    reached = covered(backend.get(session_id))
    last = next(iter(backend.runs(session_id, last=1)), None)
    return reached is not None and (last is None or (last.run_index or 0) < reached.run_index)


def _state(run: Run | None) -> Document | None:
    """The session's state as a run left it, None where it does not tell."""
    if run is None:
        return None
    try:
        state = codec.members(run.run_data).get("session_state")
    except CodecError:
        return None
    return codec.encode(state) if isinstance(state, dict) else None


def _move_state(backend: Backend, session_id: str, base: bytes | None, goal: bytes | None) -> None:
    """Do to the state what leads from one to the other; what else was changed in it stays."""
    if base is None or goal is None or base == goal:
        return
    wanted: tuple[Mapping[str, Any], Mapping[str, Any]] = (codec.decode(base), codec.decode(goal))

    def changed(data: dict[str, Any]) -> Mapping[str, object]:
        state = data.get("session_state")
        return {"session_state": merge(*wanted, state if isinstance(state, dict) else {})}

    if stored_state(backend.get(session_id)) != wanted[1]:
        edit_members(backend, session_id, "session_data", changed)
