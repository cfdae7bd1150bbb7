"""How a leader reaches its members: what it is told of them, and the tool that it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import msgspec

from agnocli.abc import ChatModel
from agnocli.agent.calls import Job
from agnocli.agent.configured import settings_of
from agnocli.agent.part import delegate
from agnocli.agent.runnable import Runnable
from agnocli.agent.state import merge
from agnocli.agent.tools import Emit, Tool, ToolCallError
from agnocli.run import (
    ReasoningContent,
    RunContent,
    RunEvent,
    RunStatus,
    ToolCallCompleted,
    ToolCallStarted,
)

Members = Mapping[str, Runnable]

ONE, ALL = "delegate_task_to_member", "delegate_task_to_members"

_HOW = {
    "coordinate": "Give parts of the work to the members that fit them best with `{one}`, several at once where they "
    "do not depend on each other. Then write one answer yourself, out of what they report.",
    "route": "Choose the one member that fits the request best and hand the whole request over with `{one}`, without "
    "a word of your own: the member's reply is the answer.",
    "broadcast": "Put the request to all members at once with `{all}`. Then write one answer yourself, out of what "
    "they report.",
}


def roster(mode: str, members: Members) -> str:
    """What the leader is told of its team."""
    how = _HOW[mode].format(one=ONE, all=ALL)
    listed = "\n".join(_entry(key, member) for key, member in members.items())
    return (
        f"<team>\nYou lead this team. {how} Answer by yourself what needs no member. Members see nothing of this "
        "conversation but the task you write, so put all they need into it.\n"
        f"<team_members>\n{listed}\n</team_members>\n</team>"
    )


def _entry(key: str, member: Runnable) -> str:
    kind = ' type="team"' if member.kind == "team" else ""
    lines = [f'<member id="{key}" name="{member.name or key}"{kind}>']
    lines += [f"{word}: {text}" for word, text in _facts(member) if text]
    return "\n".join([*lines, "</member>"])


def _facts(member: Runnable) -> Sequence[tuple[str, str | None]]:
    names = [str(getattr(one, "__name__", getattr(one, "name", ""))) for one in member.tools]
    return (
        ("Role", member.role),
        ("Description", member.description),
        ("Tools", ", ".join(names)),
    )


def delegation(mode: str, members: Members, model: ChatModel) -> Tool:
    task = {"type": "string", "description": "What is to be done, with all that is needed for it."}
    if mode == "broadcast":
        return Tool(
            name=ALL,
            description="Give one task to all members of the team; their answers come back together.",
            parameters=_object(task=task),
            run=lambda job, emit: _all(members, model, job, emit),
            delegates=True,
        )
    member = {"type": "string", "enum": list(members), "description": "The member's id."}
    return Tool(
        name=ONE,
        description="Give a task to a member of the team; its answer comes back.",
        parameters=_object(member_id=member, task=task),
        run=lambda job, emit: _one(members, model, job, emit, routed=mode == "route"),
        ends_turn=mode == "route",
        delegates=True,
    )


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one(members: Members, model: ChatModel, job: Job, emit: Emit, *, routed: bool) -> str:
    key, task = str(job.call.arguments.get("member_id")), _task(job)
    if key not in members:
        raise ToolCallError(f"Error: no member {key!r}; there are: {', '.join(members)}.")
    return _done(members[key], model, job, task, _named(emit, None if routed else key))


def _all(members: Members, model: ChatModel, job: Job, emit: Emit) -> str:
    """Side by side, each on a copy of the state; what they change in it comes together in their order."""
    task, before = _task(job), job.context.session_state
    jobs = {key: _copy(job) for key in members}

    def done(key: str) -> str:
        try:
            return _done(members[key], model, jobs[key], task, _named(emit, key))
        except ToolCallError as error:
            return str(error)

    with ThreadPoolExecutor(len(members)) as threads:
        said = list(threads.map(done, members))
    state = deepcopy(before)
    for one in jobs.values():
        state = merge(before, one.context.session_state, state)
    job.context.session_state = state
    return "\n\n".join(f"{key}: {text}" for key, text in zip(members, said, strict=True))


def _copy(job: Job) -> Job:
    context = msgspec.structs.replace(
        job.context, session_state=deepcopy(job.context.session_state)
    )
    return msgspec.structs.replace(job, context=context)


def _task(job: Job) -> str:
    task = job.call.arguments.get("task")
    if not isinstance(task, str) or not task.strip():
        raise ToolCallError("Error: the task is missing.")
    return task


def _done(member: Runnable, model: ChatModel, job: Job, task: str, emit: Emit) -> str:
    """What the member answered; ToolCallError when it did not come to an answer."""
    ended = delegate(job, settings_of(member, model=model), task, emit)
    if ended.error is not None:
        raise ToolCallError(f"Error: {member.known_as} failed: {ended.error.message}")
    if ended.output.status is not RunStatus.COMPLETED:
        raise ToolCallError(f"Error: {member.known_as} was stopped. {ended.output.content}".strip())
    return ended.output.content


_TOLD = (RunContent, ReasoningContent, ToolCallStarted, ToolCallCompleted)


def _named(emit: Emit, name: str | None) -> Emit:
    """Events of a member with its name on them; without one, as if the leader said it."""

    def named(event: RunEvent) -> None:
        if isinstance(event, _TOLD):
            own = event.member if event.member is not None else name
            emit(msgspec.structs.replace(event, member=own))

    return named
