"""What the next request of a conversation would hold, told message by message, and what it leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from agnocli import codec
from agnocli.abc import Backend, ChatModel, ChatRequest
from agnocli.agent.history import History, Wire, counts, estimated_tokens
from agnocli.agent.models.late import LateModel
from agnocli.agent.models.providers import ECHO
from agnocli.agent.models.request import body
from agnocli.agent.runner import Conversation
from agnocli.agent.settings import ChatSettings
from agnocli.errors import CodecError
from agnocli.layout.spoken import ENDINGS
from agnocli.messages import data
from agnocli.records import Run

SYSTEM, NEXT = "system", "next"


class Part(msgspec.Struct, frozen=True):
    """A message as it would be sent, where it comes from - `system`, the id of a run, `next` - and its tokens, estimated."""

    message: Wire
    source: str
    tokens: int


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """`body` is the request as the model's provider gets it; `left_out` counts runs that are not sent, by reason.

    `numbers` are those of the turns that are, by the id of their run.
    """

    body: Mapping[str, Any]
    parts: Sequence[Part]
    tool_tokens: int
    left_out: Mapping[str, int] = {}
    numbers: Mapping[str, int] = {}

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        return self.body.get("tools") or ()

    @property
    def tokens(self) -> int:
        return self.tool_tokens + sum(part.tokens for part in self.parts)


def outlook(conversation: Conversation, text: str | None = None) -> Outlook:
    """Reads every run once, to tell why it is not sent; calls nothing, writes nothing."""
    request, history = conversation.outlook(text)
    made = as_sent(conversation.settings.model, request)
    sources = [*_sources(request, history, text), *([NEXT] if text is not None else [])]
    parts = [
        Part(message, source, estimated_tokens([message]))
        for message, source in zip(made["messages"], sources, strict=True)
    ]
    found = Outlook(body=made, parts=parts, tool_tokens=tool_tokens(made.get("tools") or ()))
    if conversation.stored() is None:
        return found
    numbers, left_out = _survey(
        conversation.backend, conversation.session_id, conversation.settings, history
    )
    return msgspec.structs.replace(found, numbers=numbers, left_out=left_out)


def as_sent(model: ChatModel, request: ChatRequest) -> dict[str, Any]:
    """The request in the spelling of the model's provider, where that is known."""
    spec = model.spec if isinstance(model, LateModel) else getattr(model, "spec", None)
    if spec is not None and spec.provider is not ECHO:
        return body(spec, request)
    made: dict[str, Any] = {**request.options, "model": model.id, "messages": request.messages}
    if request.tools:
        made["tools"] = list(request.tools)
        if request.tool_choice is not None:
            made["tool_choice"] = request.tool_choice
    return made | ({"stream": True} if request.stream else {})


def estimated(request: ChatRequest) -> int:
    """Tokens of a request."""
    return estimated_tokens(request.messages) + tool_tokens(request.tools)


def tool_tokens(tools: Sequence[Mapping[str, Any]]) -> int:
    return sum(8 + len(codec.line(tool)) // 4 for tool in tools)


def _sources(request: ChatRequest, history: History, text: str | None) -> Iterator[str]:
    said = len(request.messages) - len(history.messages) - (text is not None)
    yield from [SYSTEM] * said
    for turn in history.turns:
        yield from [turn.run_id] * len(turn.messages)


def _survey(
    backend: Backend, session_id: str, settings: ChatSettings, history: History
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Numbers of the runs that are sent, and how many are not, by reason."""
    sent = {turn.run_id for turn in history.turns}
    numbers: dict[str, int] = {}
    reasons: Counter[str] = Counter()
    older = 0
    for position, run in enumerate(backend.runs(session_id), 1):
        if not counts(run):
            reasons[_hidden(run)] += 1
        elif run.run_id not in sent:
            older += 1
        elif not _is_readable(run):
            reasons["cannot be read"] += 1
        else:
            numbers[run.run_id] = position
    too_long = min(history.dropped, older)
    for reason, number in (
        (_before(settings), older - too_long),
        (f"too long: past turns may have {settings.history_tokens or 0:,} tokens", too_long),
    ):
        if number:
            reasons[reason] = number
    return numbers, reasons


def _hidden(run: Run) -> str:
    if run.parent_run_id is not None:
        return "a member's part of a turn"
    return ENDINGS.get(run.status or "", str(run.status).lower())


def _is_readable(run: Run) -> bool:
    try:
        return bool(data(run))
    except CodecError:
        return False


def _before(settings: ChatSettings) -> str:
    if settings.history_runs == 0:
        return "past turns are not sent: history is off"
    if settings.history_runs is not None:
        turns = "turn" if settings.history_runs == 1 else f"{settings.history_runs} turns"
        return f"older than the last {turns}"
    return f"older than the last {settings.history_messages} messages"
