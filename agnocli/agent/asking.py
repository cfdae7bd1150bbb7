"""The requests of a turn: the first with what was said before, each further one with the results of tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agnocli.abc import ChatRequest
from agnocli.agent.calls import Call
from agnocli.agent.history import Wire, content
from agnocli.agent.settings import ChatSettings
from agnocli.agent.tools import Tool
from agnocli.agent.turn import Answer
from agnocli.layout.media import Media


def first_request(
    settings: ChatSettings,
    system: str,
    past: Sequence[Wire],
    text: str | None,
    tools: Mapping[str, Tool],
    pictures: Sequence[Media] = (),
) -> ChatRequest:
    """Without a text, what would go before it."""
    said = [{"role": "user", "content": content(text, pictures)}] if text is not None else []
    head = [{"role": "system", "content": system}] if system else []
    return ChatRequest(
        messages=[*head, *past, *said],
        stream=settings.stream,
        options=settings.options,
        tools=[tool.schema() for tool in tools.values()],
        tool_choice=_choice(settings, 0),
    )


def next_request(
    settings: ChatSettings, request: ChatRequest, answer: Answer, calls_run: int
) -> ChatRequest:
    """With the last answer and what its calls gave; at the limit, with no more calls to be made."""
    asked: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    asked["tool_calls"] = [call.asked for call in answer.calls]
    return msgspec.structs.replace(
        request,
        messages=[*request.messages, asked, *map(_result, answer.calls)],
        tool_choice=_choice(settings, calls_run),
    )


def _result(call: Call) -> Wire:
    return {"role": "tool", "tool_call_id": call.id, "content": call.shown_result}


def _choice(settings: ChatSettings, calls_run: int) -> str | None:
    limit = settings.tool_call_limit
    return "none" if settings.tools and limit is not None and calls_run >= limit else None
