"""Turns that a killed process left RUNNING."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from agnocli import codec
from agnocli.abc import Backend
from agnocli.agent.owner import is_gone
from agnocli.agent.turn import OURS
from agnocli.errors import CodecError
from agnocli.messages import data
from agnocli.records import Run
from agnocli.run import RunStatus

LOOK_BACK = 5
"""Runs looked at: a start recovers what the last one left, so unfinished ones are at the end."""


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
        if _left_behind(run):
            backend.put_run(_interrupted(run))
            found.interrupted.append(run.run_id)
        else:
            found.running.append(run.run_id)
    return found


def _left_behind(run: Run) -> bool:
    try:
        metadata = data(run).get("metadata")
    except CodecError:
        return False
    ours = metadata.get(OURS) if isinstance(metadata, dict) else None
    owner = ours.get("owner") if isinstance(ours, dict) else None
    return isinstance(owner, dict) and is_gone(owner)


def _interrupted(run: Run) -> Run:
    metadata = dict(data(run)["metadata"])
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
