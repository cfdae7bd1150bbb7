"""A foreign conversation as a session row and its runs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.layout.derive import run_row, title
from agnocli.layout.media import Media
from agnocli.messages import text
from agnocli.records import NULL, Run, Session, SessionBundle

_OURS = UUID("6f1b7a52-3f0e-4d7e-9a53-0c1e2b6d9a10")
NO_RESULT = "(no result was recorded)"
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")
_DATA_URL = re.compile(r"data:([^;,]*)[^,]*;base64,(.*)", re.DOTALL | re.IGNORECASE)
_EXECUTION = [
    "tool_call_id",
    "tool_name",
    "tool_args",
    "tool_call_error",
    "result",
    "metrics",
    "child_run_id",
    "stop_after_tool_call",
    "created_at",
    "requires_confirmation",
    "confirmed",
    "confirmation_note",
    "requires_user_input",
    "user_input_schema",
    "user_feedback_schema",
    "answered",
    "external_execution_required",
    "external_execution_silent",
    "approval_type",
    "approval_id",
    "parent_tool_call_id",
]
"""Keys of a tool's execution, all of which Agno writes always."""


_FILE_TYPES = {
    *("application/pdf", "application/json", "application/x-javascript", "application/x-python"),
    *("application/msword", "application/vnd.ms-powerpoint", "application/vnd.ms-excel"),
    *("text/javascript", "text/x-python", "text/plain", "text/html", "text/css", "text/markdown"),
    *("text/csv", "text/xml", "text/rtf"),
}


class Owner(msgspec.Struct, frozen=True):
    """Whose the sessions become."""

    agent_id: str = "assistant"
    user_id: str | None = None


class Spoken(msgspec.Struct, kw_only=True):
    """A message as Agno stores it, but for ids. `tokens` are those of the turn it answers."""

    role: str
    content: str | None = None
    reasoning: str | None = None
    tool_calls: list[dict[str, Any]] = []
    tool_call_id: str | None = None
    tool_name: str | None = None
    tool_args: dict[str, Any] | None = None
    failed: bool = False
    media: dict[str, list[dict[str, Any]]] = {}
    created_at: int | None = None
    model: str | None = None
    tokens: Mapping[str, int] = {}


class Conversation(msgspec.Struct, kw_only=True):
    """`provider` is None where it is not known; `origin` tells where it is from."""

    session_id: str
    messages: Sequence[Spoken]
    created_at: int
    updated_at: int | None = None
    name: str | None = None
    model: str | None = None
    provider: str | None = None
    origin: Mapping[str, Any]


def made_id(*parts: str) -> str:
    """The same for the same parts, always."""
    return str(uuid5(_OURS, "\n".join(parts)))


def call(name: str, arguments: str, call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def picture(url: str) -> dict[str, Any]:
    """An image by where it is, or by what it is."""
    inline = _DATA_URL.match(url)
    if inline is None:
        return {"url": url}
    return {"content": inline[2], "mime_type": inline[1] or "image/png"}


def bundle(conversation: Conversation, owner: Owner) -> SessionBundle:
    messages = list(balanced(conversation.messages))
    turns = list(_turns(messages))
    session = _session(conversation, owner, messages)
    runs = [_run(conversation, session, number, turn) for number, turn in enumerate(turns)]
    return SessionBundle(session, tuple(runs))


def balanced(messages: Iterable[Spoken]) -> Iterator[Spoken]:
    """With a result for each call and a call for each result: no provider goes on from anything else."""
    waiting: dict[str, dict[str, Any]] = {}
    for number, one in enumerate(messages):
        if one.role != "tool":
            yield from map(_unanswered, waiting.values())
            waiting = {made["id"]: made for made in one.tool_calls}
        elif one.tool_call_id not in waiting:
            made = call(one.tool_name or "tool", "{}", one.tool_call_id or f"call_{number}")
            yield Spoken(role="assistant", content="", tool_calls=[made], created_at=one.created_at)
            one = _answered(made, one)
        else:
            one = _answered(waiting.pop(one.tool_call_id), one)
        yield one
    yield from map(_unanswered, waiting.values())


def _answered(made: dict[str, Any], result: Spoken) -> Spoken:
    function = made["function"]
    return msgspec.structs.replace(
        result,
        tool_call_id=made["id"],
        tool_name=function["name"],
        tool_args=_object(function["arguments"]) or None,
    )


def _unanswered(made: dict[str, Any]) -> Spoken:
    return _answered(made, Spoken(role="tool", content=NO_RESULT, failed=True))


def _turns(messages: Iterable[Spoken]) -> Iterator[list[Spoken]]:
    """A turn begins with what the user says after an answer."""
    turn: list[Spoken] = []
    for one in messages:
        if one.role == "user" and any(said.role in ("assistant", "tool") for said in turn):
            yield turn
            turn = []
        turn.append(one)
    if turn:
        yield turn


def _session(conversation: Conversation, owner: Owner, messages: Sequence[Spoken]) -> Session:
    first = next((one.content for one in messages if one.role == "user" and one.content), "")
    data: dict[str, Any] = {"session_state": {}}
    if counted := _counted(messages, conversation):
        data["session_metrics"] = counted
    if conversation.name:
        data["session_name"] = conversation.name
    data["title"] = title(first or "")
    return Session(
        session_id=conversation.session_id,
        agent_id=owner.agent_id,
        user_id=owner.user_id,
        session_data=codec.encode(data),
        agent_data=codec.encode(
            {"name": owner.agent_id, "agent_id": owner.agent_id, "model": _model(conversation)}
        ),
        metadata=codec.encode({"agnocli": {"imported": dict(conversation.origin)}}),
        summary=NULL,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at or conversation.created_at,
    )


def _model(conversation: Conversation) -> dict[str, Any]:
    model = {"id": conversation.model, "provider": conversation.provider}
    return {name: value for name, value in model.items() if value}


def _counted(messages: Sequence[Spoken], conversation: Conversation) -> dict[str, Any]:
    """Tokens, each counted once, by model as Agno counts them."""
    total: defaultdict[str, int] = defaultdict(int)
    models: dict[str, defaultdict[str, int]] = {}
    for one in messages:
        for name in _TOKENS:
            if number := one.tokens.get(name):
                total[name] += number
                of_model = models.setdefault(
                    one.model or conversation.model or "", defaultdict(int)
                )
                of_model[name] += number
    if not total:
        return {}
    details = [
        {**numbers, "id": model, "provider": conversation.provider or ""}
        for model, numbers in models.items()
    ]
    return {**total, "details": {"model": details}}


def _run(conversation: Conversation, session: Session, number: int, turn: list[Spoken]) -> Run:
    run_id = made_id(session.session_id, str(number))
    times = [one.created_at for one in turn if one.created_at is not None]
    created = min(times, default=conversation.created_at)
    asked = [one for one in turn if one.role == "user"]
    answers = [one for one in turn if one.role == "assistant"]
    answer = next((one for one in reversed(answers) if one.content), None)
    data = _present(
        run_id=run_id,
        agent_id=session.agent_id,
        agent_name=session.agent_id,
        session_id=session.session_id,
        user_id=session.user_id,
        content=answer.content if answer else None,
        content_type="str",
        reasoning_content=answer.reasoning if answer else None,
        model=next((one.model for one in reversed(answers) if one.model), conversation.model),
        model_provider=conversation.provider,
        session_state={},
        created_at=created,
        status="COMPLETED" if answers else "CANCELLED",
        cancellation_stage=None if answers else "EXECUTING",
        metrics=_counted(turn, conversation) or None,
        messages=[_message(one, f"{run_id} {place}", created) for place, one in enumerate(turn)],
        tools=list(_executions(turn, created)),
        input={
            "input_content": "\n\n".join(one.content or "" for one in asked),
            **_all_media(asked),
        },
    )
    return run_row(data, session, number, max(times, default=created))


def _message(one: Spoken, key: str, created: int) -> dict[str, Any]:
    return _present(
        id=made_id(key),
        content=one.content,
        reasoning_content=one.reasoning or None,
        from_history=False,
        stop_after_tool_call=False,
        role=one.role,
        tool_call_id=one.tool_call_id,
        tool_name=one.tool_name if one.role == "tool" else None,
        tool_args=one.tool_args,
        tool_call_error=one.failed if one.role == "tool" else None,
        tool_calls=one.tool_calls or None,
        **{kind: _with_ids(kind, items, key) for kind, items in one.media.items()},
        metrics=dict(one.tokens) or None,
        created_at=one.created_at if one.created_at is not None else created,
    )


def _with_ids(kind: str, items: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    made = [_file(one) for one in items] if kind == "files" else items
    return [_present(id=made_id(key, str(number)), **one) for number, one in enumerate(made)]


def _file(item: dict[str, Any]) -> dict[str, Any]:
    """Agno keeps a text's words as they are, and refuses a file of a type that it does not know."""
    mime, content = item.get("mime_type"), item.get("content")
    if mime is not None and mime not in _FILE_TYPES:
        return {**item, "mime_type": None, "file_type": mime}
    if mime is not None and mime.startswith("text/") and content is not None:
        return {
            **item,
            "content": Media(kind="file", data=content).content().decode("utf-8", "replace"),
        }
    return item


def _all_media(asked: Iterable[Spoken]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in asked:
        for kind, items in one.media.items():
            # Agno's own names of an input's lists differ from a message's in one
            name = "audios" if kind == "audio" else kind
            found.setdefault(name, []).extend(_with_ids(kind, items, f"{one.content} {kind}"))
    return found


def _executions(turn: Sequence[Spoken], created: int) -> Iterator[dict[str, Any]]:
    results = {one.tool_call_id: one for one in turn if one.role == "tool"}
    for one in turn:
        for made in one.tool_calls:
            result = results[made["id"]]
            known = {
                "tool_call_id": made["id"],
                "tool_name": made["function"]["name"],
                "tool_args": _object(made["function"]["arguments"]),
                "tool_call_error": result.failed,
                "result": text(result.content),
                "stop_after_tool_call": False,
                "created_at": created,
            }
            yield dict.fromkeys(_EXECUTION) | known


def _object(arguments: str) -> dict[str, Any]:
    """Empty where a model did not write JSON."""
    try:
        value = codec.decode(arguments)
    except CodecError:
        return {}
    return value if isinstance(value, dict) else {}


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
