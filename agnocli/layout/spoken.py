"""What was said in a turn, and what there is to know of it: `run_data` for those who read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.layout.derive import session_info
from agnocli.layout.media import Media, media
from agnocli.layout.members import Placed
from agnocli.layout.readable import iso
from agnocli.messages import Message, ToolCall, Usage, text, usage, view
from agnocli.records import Document, Run, Session

ENDINGS = {
    "CANCELLED": "stopped",
    "ERROR": "failed",
    "RUNNING": "unfinished",
    "PENDING": "pending",
    "PAUSED": "paused",
    "REGENERATED": "replaced",
}
_ASIDE = {
    "reasoning_steps": "reasoning steps",
    "references": "references",
    "citations": "citations",
    "followups": "follow-ups",
    "additional_input": "additional input",
}
"""What a run holds beside its messages, worth reading."""


class Said(msgspec.Struct, frozen=True):
    message: Message
    media: tuple[Media, ...] = ()


class Called(msgspec.Struct, frozen=True):
    """A tool's call and its result, None where none is stored."""

    call: ToolCall
    result: Message | None = None
    media: tuple[Media, ...] = ()


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is read. `author` is empty where it is the session's own; `repeated` counts messages of earlier turns
    that are stored once more. `unreadable` says why nothing else is known."""

    run: Run
    number: int = 0
    depth: int = 0
    author: str = ""
    ending: str = ""
    said: tuple[Said | Called, ...] = ()
    aside: tuple[tuple[str, str], ...] = ()
    error: str = ""
    usage: Usage = Usage()
    repeated: int = 0
    unreadable: str = ""


def turn(placed: Placed, session: Session) -> Turn:
    run = placed.run
    try:
        data = codec.decode(run.run_data)
    except CodecError as wrong:
        return _unreadable(placed, wrong.message)
    if not isinstance(data, dict):
        return _unreadable(placed, "not an object")
    items, repeated = _items(data)
    said = list(_paired(items, data))
    content, error = rest(run, data, [one.message.content for one in said if isinstance(one, Said)])
    if content:
        said.append(Said(Message(role="assistant", content=content)))
    return Turn(
        run=run,
        number=placed.number,
        depth=placed.depth,
        author=author(run, data, session),
        ending=ending(run, data),
        said=(*said, *_run_media(data, said)),
        aside=tuple(_aside(data, said)),
        error=error,
        usage=usage(data.get("metrics")),
        repeated=repeated,
    )


def _unreadable(placed: Placed, reason: str) -> Turn:
    return Turn(run=placed.run, number=placed.number, depth=placed.depth, unreadable=reason)


def _items(data: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """This turn's own messages as they are stored, and how many are there besides."""
    stored = data.get("messages")
    found = [one for one in stored if isinstance(one, dict)] if isinstance(stored, list) else []
    own = [one for one in found if not one.get("from_history")]
    return own, len(found) - len(own)


def _paired(items: list[dict[str, Any]], data: Mapping[str, Any]) -> Iterator[Said | Called]:
    """Messages in order, each result with its call."""
    if not any(one.get("role") == "user" for one in items):
        yield from map(Said, asked(data))
    results = {str(one.get("tool_call_id")): one for one in items if one.get("role") == "tool"}
    answered: set[str] = set()
    for item in items:
        message = view(item)
        if message.role != "tool":
            if message.content or message.reasoning or message.attachments:
                yield Said(message, tuple(media(item)))
            for call in message.tool_calls:
                answered.add(str(call.id))
                yield _called(call, results.get(str(call.id)))
        elif str(message.tool_call_id) not in answered:
            yield _called(ToolCall(message.tool_call_id, message.tool_name or "", ""), item)
    if not items:
        yield from _executions(data)
    for name, content in steps(data.get("step_results")):
        yield Said(Message(role=name, content=content))


def plainly(run: Run, data: Mapping[str, Any]) -> Iterator[tuple[Message, tuple[Media, ...]]]:
    """The turn's own messages one by one as they are stored; what was asked and answered where there are none."""
    items, _ = _items(data)
    if not any(one.get("role") == "user" for one in items):
        yield from ((one, ()) for one in asked(data))
    said = list[str]()
    for item in items:
        message = view(item)
        said.append(message.content)
        yield message, tuple(media(item))
    content, _ = rest(run, data, said)
    if content:
        yield Message(role="assistant", content=content, created_at=run.created_at), ()


def _called(call: ToolCall, item: dict[str, Any] | None) -> Called:
    return Called(call) if item is None else Called(call, view(item), tuple(media(item)))


def _executions(data: Mapping[str, Any]) -> Iterator[Called]:
    """Calls of a run that holds no messages."""
    tools = data.get("tools")
    for one in tools if isinstance(tools, list) else ():
        if isinstance(one, dict):
            arguments = codec.line(one.get("tool_args") or {})
            result = Message(
                role="tool",
                content=text(one.get("result")),
                tool_call_error=bool(one.get("tool_call_error")),
            )
            call = ToolCall(one.get("tool_call_id"), str(one.get("tool_name") or ""), arguments)
            yield Called(call, result)


def asked(data: Mapping[str, Any]) -> Iterator[Message]:
    """What a run without messages was asked, as a workflow's."""
    given = data.get("input")
    if isinstance(given, dict) and "input_content" in given:
        given = given["input_content"]
    if given is not None:
        yield Message(role="user", content=text(given))


def steps(results: object) -> Iterator[tuple[str, str]]:
    """Name and words of a workflow's steps, inner ones behind the one they are part of."""
    for one in results if isinstance(results, list) else ():
        if isinstance(one, list):
            yield from steps(one)
        elif isinstance(one, dict):
            if said := text(one.get("content")):
                yield str(one.get("step_name") or "step"), said
            yield from steps(one.get("steps"))


def rest(run: Run, data: Mapping[str, Any], said: list[str]) -> tuple[str, str]:
    """What no message holds: the content of a run without messages, and its error."""
    content, failed = text(data.get("content")), (run.status or data.get("status")) == "ERROR"
    error = _ours(data).get("error")
    if failed and not isinstance(error, str):
        error, content = content, ""
    if content == error or content in said:
        content = ""
    return content, error if isinstance(error, str) else ""


def _run_media(data: Mapping[str, Any], said: list[Said | Called]) -> Iterator[Said]:
    """What the run made, where no message has it."""
    known = {one for entry in said for one in entry.media}
    found = tuple(one for one in media({**data, "content": None}) if one not in known)
    if found:
        yield Said(Message(role="assistant"), found)


def _aside(data: Mapping[str, Any], said: list[Said | Called]) -> Iterator[tuple[str, str]]:
    reasoning = data.get("reasoning_content")
    heard = [one.message.reasoning for one in said if isinstance(one, Said)]
    if isinstance(reasoning, str) and reasoning and reasoning not in heard:
        yield "reasoning", reasoning
    for key, label in _ASIDE.items():
        if value := data.get(key):
            yield label, codec.pretty(value)


def author(run: Run, data: Mapping[str, Any], session: Session) -> str:
    """Who answered, if that goes without saying: empty for the session's own agent, team or workflow."""
    own = (session.agent_id, session.team_id, session.workflow_id)
    who = next(filter(None, (run.workflow_id, run.team_id, run.agent_id)), None)
    if run.parent_run_id and run.agent_id:
        who = run.agent_id
    if who and (who not in own or run.parent_run_id):
        return str(data.get("agent_name") or data.get("team_name") or who)
    return ""


def _ours(data: Mapping[str, Any]) -> dict[str, Any]:
    metadata = data.get("metadata")
    ours = metadata.get("agnocli") if isinstance(metadata, dict) else None
    return ours if isinstance(ours, dict) else {}


def ending(run: Run, data: Mapping[str, Any]) -> str:
    """How a turn ended, unless simply well."""
    status, ours = str(run.status or data.get("status") or ""), _ours(data)
    if ours.get("interrupted") is True:
        return "interrupted"
    if status not in ("", "COMPLETED"):
        return ENDINGS.get(status) or status.lower()
    reasons = {"length": "cut at length", None: "broke off"}
    return reasons.get(ours["finish_reason"], "") if "finish_reason" in ours else ""


def title_of(session: Session) -> str:
    """What a conversation is called: its name, the beginning of its first words, or its id."""
    info = session_info(session, runs=0, status=None)
    return info.name or info.title or session.session_id


def facts(session: Session) -> Iterator[tuple[str, str]]:
    """What is known of a conversation as a whole, by label; what is not known is left out."""
    info = session_info(session, runs=0, status=None)
    rows: Iterable[tuple[str, object]] = (
        ("session", session.session_id),
        ("type", session.session_type),
        ("agent", session.agent_id),
        ("team", session.team_id),
        ("workflow", session.workflow_id),
        ("model", info.model),
        ("user", session.user_id),
        ("tags", ", ".join(info.tags)),
        ("created", iso(session.created_at)),
        ("updated", iso(session.updated_at)),
        ("tokens", tokens(lenient(session.session_data).get("session_metrics"))),
    )
    return ((label, str(value)) for label, value in rows if value)


def tokens(metrics: object) -> str:
    if not isinstance(metrics, dict):
        return ""
    names = (("input_tokens", "in"), ("output_tokens", "out"))
    parts = [f"{metrics[name]:,} {word}" for name, word in names if _is_number(metrics.get(name))]
    if _is_number(metrics.get("duration")):
        parts.append(f"{metrics['duration']:.1f} s")
    return ", ".join(parts)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def sections(session: Session) -> Iterator[tuple[str, str]]:
    """Summary, state and metadata, each as text; a column that cannot be read as it is stored."""
    if not codec.is_null(session.summary):
        said = lenient(session.summary).get("summary")
        yield "summary", said if isinstance(said, str) else as_stored(session.summary)
    for column, name in (("session_data", "session_state"), ("metadata", None)):
        document = getattr(session, column)
        try:
            value = codec.members(document)
        except CodecError:
            yield column, as_stored(document)
            continue
        if shown := value.get(name) if name else value:
            yield "state" if name else column, codec.pretty(shown)


def lenient(document: Document | None) -> dict[str, Any]:
    try:
        return codec.members(document)
    except CodecError:
        return {}


def as_stored(document: Document | None) -> str:
    return (document or b"").decode("utf-8", "backslashreplace")


def laid_out(value: str) -> str:
    """JSON laid out, if that is what it is."""
    if not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return codec.pretty(codec.decode(value))
    except CodecError:
        return value
