"""Which messages of a conversation are sent with the next turn: one rule, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agnocli.abc import Backend
from agnocli.errors import CodecError
from agnocli.layout.derive import HIDDEN_STATUSES
from agnocli.messages import Message, messages
from agnocli.records import Run
from agnocli.run import RunStatus

DEFAULT_RUNS = 3
"""Agno's, for an agent that does not say."""

_SYSTEM_ROLES = ("system", "developer")


def counts(run: Run) -> bool:
    """Whether a run is a turn that a model may see again.

    Members' parts, failed, stopped and replaced runs are not; nor, unlike in Agno, is one that never ended.
    """
    return (
        run.parent_run_id is None
        and run.status not in HIDDEN_STATUSES
        and run.status != RunStatus.RUNNING
    )


def recent_turns(backend: Backend, session_id: str, number: int | None) -> list[Run]:
    """The last `number` runs that count, oldest first; None is all. Reads no more runs than it takes."""
    if number is None:
        return [run for run in backend.runs(session_id) if counts(run)]
    window = number
    while window > 0:
        runs = list(backend.runs(session_id, last=window))
        turns = [run for run in runs if counts(run)]
        if len(turns) >= number or len(runs) < window:
            return turns[-number:]
        window *= 2
    return []


def wire_messages(runs: Iterable[Run]) -> list[Mapping[str, Any]]:
    """Past turns as Chat Completions takes them, without system messages; a run that cannot be read is left out."""
    return [item for run in runs for item in _turn(run)]


def _turn(run: Run) -> Iterator[Mapping[str, Any]]:
    try:
        said = [one for one in messages(run) if not one.from_history]
    except CodecError:
        return
    answered = {one.tool_call_id for one in said if one.role == "tool"}
    asked = {call.id for one in said for call in one.tool_calls}
    for message in said:
        if message.role in _SYSTEM_ROLES:
            continue
        if message.role == "tool":
            if message.tool_call_id in asked:
                yield _wire(message, tool_call_id=message.tool_call_id)
        elif calls := [_call(one) for one in message.tool_calls if one.id in answered]:
            yield _wire(message, tool_calls=calls)
        elif message.content or message.role == "user":
            yield _wire(message)


def _wire(message: Message, **more: object) -> Mapping[str, Any]:
    return {"role": message.role, "content": message.content, **more}


def _call(call: Any) -> Mapping[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
