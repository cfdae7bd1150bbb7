"""A request as a provider wants it: quirks applied, and a second form for one that refuses a field."""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agnocli.abc import ChatRequest
from agnocli.agent.models.providers import ModelSpec
from agnocli.errors import ModelError

Body = dict[str, Any]


def body(spec: ModelSpec, request: ChatRequest, learned: Iterable[str] = ()) -> Body:
    """`learned` are names of concessions made before. Raises ModelError for tools without support."""
    quirks = spec.quirks
    made: Body = {**request.options, "model": spec.id}
    made["messages"] = [dict(one) for one in request.messages]
    if made.get("tools") and not quirks.supports_tools:
        raise ModelError(
            f"{spec.provider.key} models cannot call tools",
            hint="take the agent's tools away, or use another model",
        )
    if request.stream:
        made["stream"] = True
        if quirks.stream_usage:
            made.setdefault("stream_options", {"include_usage": True})
    if quirks.system_role != "system":
        made = _with_role(made, "system", quirks.system_role)
    if not quirks.message_names:
        made = _without_names(made)
    if quirks.tool_id_rule == "alnum9":
        made = _with_short_ids(made)
    made = _renamed(made, "max_tokens", quirks.max_tokens)
    for name in learned:
        made = CONCESSIONS[name](made)
    cleaned: Body = _sendable(made)
    return cleaned


def _renamed(body: Body, old: str, new: str) -> Body:
    return {new if name == old else name: value for name, value in body.items()}


def _without(body: Body, field: str) -> Body:
    return {name: value for name, value in body.items() if name != field}


def _with_messages(body: Body, change: Callable[[Body], Body]) -> Body:
    return {**body, "messages": [change(one) for one in body["messages"]]}


def _with_role(body: Body, old: str, new: str) -> Body:
    return _with_messages(body, lambda one: {**one, "role": new} if one.get("role") == old else one)


def _without_names(body: Body) -> Body:
    return _with_messages(body, lambda one: _without(one, "name"))


def _with_short_ids(body: Body) -> Body:
    def change(message: Body) -> Body:
        if calls := message.get("tool_calls"):
            message = {**message, "tool_calls": [{**c, "id": _short(c.get("id"))} for c in calls]}
        if call_id := message.get("tool_call_id"):
            message = {**message, "tool_call_id": _short(call_id)}
        return message

    return _with_messages(body, change)


def _short(call_id: object) -> str:
    """Nine letters or digits, always the same for one id."""
    text = str(call_id)
    if re.fullmatch(r"[A-Za-z0-9]{9}", text):
        return text
    letters = string.ascii_letters + string.digits
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return "".join(letters[byte % len(letters)] for byte in digest[:9])


def _sendable(value: Any) -> Any:
    """Lone surrogates, which no UTF-8 holds, become question marks."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_sendable(key): _sendable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sendable(item) for item in value]
    return value


CONCESSIONS: dict[str, Callable[[Body], Body]] = {
    "stream_options": lambda body: _without(body, "stream_options"),
    "parallel_tool_calls": lambda body: _without(body, "parallel_tool_calls"),
    "developer": lambda body: _with_role(body, "developer", "system"),
    "name": _without_names,
    "max_tokens": lambda body: _renamed(body, "max_tokens", "max_completion_tokens"),
    "max_completion_tokens": lambda body: _renamed(body, "max_completion_tokens", "max_tokens"),
}
"""What we may do without, by the word in which a server objects to it."""

_OBJECTION = re.compile(
    r"unsupport|not support|unrecogni|unknown|unexpected|instead|extra|permitted|not allowed"
    r"|invalid|is not one of|must be one of|forbidden|no additional",
    re.IGNORECASE,
)


def concessions(body: Body, refusal: str) -> tuple[str, ...]:
    """Which concessions answer a refusal (a 400 as text); none where it is about something else."""
    if not _OBJECTION.search(refusal):
        return ()
    return tuple(
        word
        for word, concede in CONCESSIONS.items()
        if re.search(rf"\b{word}\b", refusal) and concede(body) != body
    )
