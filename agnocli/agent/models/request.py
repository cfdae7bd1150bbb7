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
    if request.tools:
        made["tools"] = list(request.tools)
        if request.tool_choice is not None:
            made["tool_choice"] = request.tool_choice
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
    if quirks.tool_id_rule is not None:
        made = _with_ids(made, _ID_RULES[quirks.tool_id_rule])
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


def _with_ids(body: Body, rule: Callable[[str], str]) -> Body:
    """Calls that another provider named: the same new id for a call and its result."""

    def change(message: Body) -> Body:
        if calls := message.get("tool_calls"):
            renamed = [{**one, "id": rule(str(one.get("id")))} for one in calls]
            message = {**message, "tool_calls": renamed}
        if call_id := message.get("tool_call_id"):
            message = {**message, "tool_call_id": rule(str(call_id))}
        return message

    return _with_messages(body, change)


def _nine(call_id: str) -> str:
    """Nine letters or digits, always the same for one id."""
    return call_id if re.fullmatch(r"[A-Za-z0-9]{9}", call_id) else _hashed(call_id, 9)


def _forty(call_id: str) -> str:
    """OpenAI takes forty characters, and its own ids begin with `call_`."""
    fits = call_id.startswith("call_") and len(call_id) <= 40
    return call_id if fits else f"call_{_hashed(call_id, 24)}"


def _hashed(call_id: str, length: int) -> str:
    letters = string.ascii_letters + string.digits
    digest = hashlib.sha256(call_id.encode("utf-8", "replace")).digest()
    return "".join(letters[byte % len(letters)] for byte in digest[:length])


_ID_RULES: dict[str, Callable[[str], str]] = {"alnum9": _nine, "call40": _forty}


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
    "response_format": lambda body: _without(body, "response_format"),
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
