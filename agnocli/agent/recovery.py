"""Turns that a killed process left RUNNING."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agnocli import codec
from agnocli.abc import Backend
from agnocli.agent.owner import is_gone, is_here
from agnocli.agent.turn import OURS
from agnocli.errors import CodecError
from agnocli.layout.readable import seconds
from agnocli.messages import data, messages
from agnocli.records import Run
from agnocli.run import RunStatus

LOOK_BACK = 5
"""Runs looked at: a start recovers what the last one left, so unfinished ones are at the end."""

STALE_AFTER = 86_400
"""Seconds."""


class Recovery(msgspec.Struct, kw_only=True):
    """Ids of turns now marked interrupted, and of those another program is or may be working on.

    `seen` are the newest runs as they were found.
    """

    interrupted: list[str] = []
    running: list[str] = []
    seen: Sequence[Run] = ()


def recover(backend: Backend, runs: Sequence[Run]) -> Recovery:
    """Store unfinished turns of dead processes as CANCELLED, marked interrupted; whatever was said stays."""
    found = Recovery(seen=runs)
    for run in found.seen:
        if run.status != RunStatus.RUNNING:
            continue
        if is_left_behind(run):
            backend.put_run(interrupted(run))
            found.interrupted.append(run.run_id)
        else:
            found.running.append(run.run_id)
    return found


def is_left_behind(run: Run) -> bool:
    """Whether the process that was answering has ended for certain."""
    try:
        owner = _owner(data(run))
    except CodecError:
        return False
    return owner is not None and is_gone(owner)


def is_stale(run: Run, now: float, *, after: int = STALE_AFTER) -> bool:
    """Whether a turn is RUNNING that will not end: its process is gone, or is not to be seen from here and has stored
    nothing of it for so many seconds.

    The greeting that Agno stores as a turn is RUNNING for ever: nobody has asked anything in it.
    """
    if run.status != RunStatus.RUNNING:
        return False
    try:
        found = data(run)
        if not found.get("input") and all(one.role != "user" for one in messages(run)):
            return False
    except CodecError:
        return False
    owner = _owner(found)
    if owner is not None and is_here(owner):
        return is_gone(owner)
    return now - (seconds(run.updated_at or run.created_at) or now) > after


def _owner(found: Mapping[str, Any]) -> dict[str, Any] | None:
    metadata = found.get("metadata")
    ours = metadata.get(OURS) if isinstance(metadata, dict) else None
    owner = ours.get("owner") if isinstance(ours, dict) else None
    return owner if isinstance(owner, dict) else None


def interrupted(run: Run) -> Run:
    """As it is stored when it is known that it will not go on; whatever was said stays."""
    metadata = data(run).get("metadata")
    metadata = {**metadata} if isinstance(metadata, dict) else {}
    metadata[OURS] = {"interrupted": True}
    changes = {
        "status": RunStatus.CANCELLED.value,
        "cancellation_stage": "EXECUTING",
        "metadata": metadata,
    }
    return msgspec.structs.replace(
        run,
        status=RunStatus.CANCELLED.value,
        run_data=codec.patch(run.run_data, changes),
        updated_at=int(time.time()),
    )
