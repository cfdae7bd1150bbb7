"""The last turn of a session, to be asked again or taken back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from agnocli import codec
from agnocli.abc import Backend
from agnocli.errors import (
    BackendNotSetUpError,
    CodecError,
    RunNotFoundError,
    SessionConflictError,
    SessionNotFoundError,
    UsageError,
)
from agnocli.layout.derive import HIDDEN_STATUSES
from agnocli.layout.media import Media, media
from agnocli.layout.members import number_of
from agnocli.messages import data, messages, text
from agnocli.records import Document, Run
from agnocli.run import RunStatus

_FIRST_LOOK = 8
_UNFINISHED = (RunStatus.RUNNING, RunStatus.PENDING)


class LastTurn(msgspec.Struct, frozen=True):
    """`replaced` are the answers that `run` took the place of, the latest first; `members` all that belongs to these.

    `behind` is the newest run that is no part of it, None where it is all that was said.
    """

    run: Run
    replaced: tuple[Run, ...]
    members: tuple[Run, ...]
    behind: Run | None = None

    @property
    def question(self) -> str:
        return question(self.run)

    @property
    def pictures(self) -> tuple[Media, ...]:
        return pictures(self.run)

    @property
    def answers(self) -> tuple[Run, ...]:
        return (self.run, *self.replaced)

    @property
    def runs(self) -> list[Run]:
        """All of it, as it is stored."""
        return sorted((*self.answers, *self.members), key=lambda run: run.run_index or 0)


def last_turn(backend: Backend, session_id: str, *, own: Collection[str] = ()) -> LastTurn:
    """UsageError when nothing was said yet; SessionConflictError when another program is answering it.

    `own` are ids of runs that are this program's, whatever their status says.
    """
    try:
        turn = _look(backend, session_id)
    except (SessionNotFoundError, BackendNotSetUpError):
        turn = None
    if turn is None:
        raise UsageError("nothing has been said in this session yet")
    if turn.run.status == RunStatus.RUNNING and turn.run.run_id not in own:
        raise SessionConflictError(
            session_id, "is being answered by another program", hint="wait until it is done"
        )
    return turn


def _look(backend: Backend, session_id: str) -> LastTurn | None:
    window = _FIRST_LOOK
    while True:
        runs = list(backend.runs(session_id, last=window))
        turn, whole = _find(runs)
        if whole or len(runs) < window:
            return turn
        window *= 2


def _find(runs: Sequence[Run]) -> tuple[LastTurn | None, bool]:
    """The last turn among the runs, and whether all that belongs to it is certainly among them."""
    turns = {run.run_id: run for run in runs if run.parent_run_id is None}
    last = next((one for one in reversed(turns.values()) if one.status != "REGENERATED"), None)
    if last is None:
        return None, False
    replaced: list[Run] = []
    source = replaces(last)
    while source in turns and turns[source] not in (last, *replaced):
        replaced.append(turns[source])
        source = replaces(turns[source])
    ours = {run.run_id for run in (last, *replaced)}
    others_before = next(iter(turns)) not in ours
    members = tuple(_members(runs, ours))
    of_it = ours | {run.run_id for run in members}
    behind = next((run for run in reversed(runs) if run.run_id not in of_it), None)
    return LastTurn(last, tuple(replaced), members, behind), others_before


def _members(runs: Sequence[Run], parents: set[str]) -> Iterable[Run]:
    """Runs below the parents; a member's own members may stand on either side of it."""
    known = set(parents)
    found: dict[str, Run] = {}
    while True:
        more = {
            one.run_id: one
            for one in runs
            if one.parent_run_id in known and one.run_id not in known
        }
        if not more:
            return found.values()
        found |= more
        known |= more.keys()


def replaces(run: Run) -> str | None:
    """The id of the run whose place this one took."""
    source = _lenient(run).get("regenerated_from")
    return source if isinstance(source, str) else None


def question(run: Run) -> str:
    """What was asked; empty when it cannot be read."""
    given = _lenient(run).get("input")
    if isinstance(given, dict) and given.get("input_content"):
        return text(given["input_content"])
    if not _lenient(run):
        return ""
    asked = [one for one in messages(run) if one.role == "user" and not one.from_history]
    return asked[-1].content if asked else ""


def pictures(run: Run) -> tuple[Media, ...]:
    """Pictures that came with the question."""
    given = _lenient(run).get("input")
    found = media(given) if isinstance(given, dict) else ()
    return tuple(one for one in found if one.kind == "image")


def _lenient(run: Run) -> dict[str, Any]:
    try:
        return data(run)
    except CodecError:
        return {}


def set_aside(backend: Backend, turn: LastTurn) -> None:
    """Store all answers of a turn as REGENERATED: hidden from the model that is asked again."""
    for run in turn.answers:
        if run.status != RunStatus.REGENERATED:
            status = RunStatus.REGENERATED.value
            backend.put_run(
                msgspec.structs.replace(
                    run,
                    status=status,
                    run_data=codec.patch(run.run_data, {"status": status}),
                    updated_at=int(time.time()),
                )
            )


def bring_back(backend: Backend, turn: LastTurn) -> None:
    """Undo `set_aside` for answers that counted: what should have replaced them failed."""
    for run in turn.answers:
        if run.status not in HIDDEN_STATUSES:
            backend.put_run(run)


def undo(backend: Backend, turn: LastTurn) -> int:
    """Delete a turn with its earlier answers and members; returns how many runs."""
    return backend.delete_runs(turn.run.session_id, [run.run_id for run in turn.runs])


def numbered(backend: Backend, session_id: str, number: int) -> tuple[int, Run]:
    """A turn by the number that `sessions inspect` tells; -1 is the last, -2 the one before. RunNotFoundError."""
    if number == 0:
        raise UsageError("turns are numbered from 1", hint="-1 is the last one")
    found: deque[tuple[int, Run]] = deque(maxlen=max(1, -number))
    place = 0
    for position, run in enumerate(backend.runs(session_id), 1):
        place = number_of(run, position)
        if place == number and run.parent_run_id is not None:
            raise UsageError(f"run {number} is a member's part of a turn", hint="give the turn")
        if place == number:
            return place, run
        if number < 0 and run.parent_run_id is None and run.status != RunStatus.REGENERATED:
            found.append((place, run))
    if number < 0 and len(found) == -number:
        return found[0]
    if not place:
        raise UsageError("nothing has been said in this session yet")
    raise RunNotFoundError(
        session_id, str(number), hint="/history shows the turns and their numbers"
    )


def onward(backend: Backend, session_id: str, run_id: str) -> list[Run]:
    """The runs of a turn and of all that came after it, without what they hold; earlier answers of it and members
    are among them wherever they stand. SessionConflictError when one is not finished."""
    bare: dict[str, Run] = {}
    sources: dict[str, str] = {}
    for run in backend.runs(session_id):
        if source := replaces(run):
            sources[run.run_id] = source
        bare[run.run_id] = msgspec.structs.replace(run, run_data=Document(b"{}"))
    later = list(bare)[list(bare).index(run_id) :]
    wanted = {one for one in later if bare[one].parent_run_id not in bare}
    place = run_id
    while (place := sources.get(place, "")) in bare and place not in wanted:
        wanted.add(place)
    wanted |= {run.run_id for run in _members(list(bare.values()), wanted)}
    found = [run for run in bare.values() if run.run_id in wanted]
    if any(run.status in _UNFINISHED for run in found):
        raise SessionConflictError(session_id, "is being answered", hint="wait until it is done")
    return found
