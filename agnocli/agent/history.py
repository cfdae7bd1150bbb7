"""Which messages of a conversation are sent with the next turn: one rule, whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from agnocli import codec
from agnocli.abc import Backend
from agnocli.errors import CodecError
from agnocli.layout.derive import HIDDEN_STATUSES
from agnocli.layout.media import Media, is_picture, media
from agnocli.messages import Message, stored, text, view
from agnocli.records import Run
from agnocli.run import RunStatus

DEFAULT_RUNS = 3
"""Agno's, for an agent that does not say."""

PICTURE = 800
"""Tokens that a picture is taken for; providers count from 85 to some 1,500."""

_SYSTEM_ROLES = ("system", "developer")

Wire = Mapping[str, Any]
"""A message as Chat Completions takes it."""


def counts(run: Run) -> bool:
    """Whether a run is a turn that a model may see again.

    Members' parts, failed, stopped and replaced runs are not; nor, unlike in Agno, is one that never ended.
    """
    return run.parent_run_id is None and is_over(run)


def is_over(run: Run) -> bool:
    return run.status not in HIDDEN_STATUSES and run.status != RunStatus.RUNNING


class Limits(Protocol):
    """How much of the past is sent: `ChatSettings` says what each means."""

    history_runs: int | None
    history_messages: int | None
    history_tokens: int | None


class Past(msgspec.Struct, frozen=True):
    """A turn as it is sent again: no messages where nothing of it can be read."""

    run_id: str
    messages: Sequence[Wire]


class History(msgspec.Struct, frozen=True):
    """Past turns to send, and how many were left out for want of tokens."""

    turns: Sequence[Past] = ()
    dropped: int = 0

    @property
    def messages(self) -> list[Wire]:
        return [one for turn in self.turns for one in turn.messages]


def history(
    backend: Backend,
    session_id: str,
    limits: Limits,
    *,
    counts: Callable[[Run], bool] = counts,
    seen: Sequence[Run] = (),
) -> History:
    """The newest turns that fit all of the limits, oldest first. A turn goes whole or not at all.

    `seen` are the newest runs, where somebody has read them just now. The newest turn goes along even if it alone
    has more messages than `history_messages`, but not if it has more tokens than `history_tokens`.
    """
    number = limits.history_runs
    known = [run for run in seen if counts(run)]
    if number is None and limits.history_messages is not None:
        turns = _of_messages(backend, session_id, limits.history_messages, counts)
    elif number and len(known) >= number:
        turns = [_past(run) for run in known[-number:]]
    else:
        turns = [_past(run) for run in recent_turns(backend, session_id, number, counts)]
    kept = _within(turns, limits.history_tokens)
    return History(kept, len(turns) - len(kept))


def _past(run: Run) -> Past:
    return Past(run.run_id, wire(run))


def recent_turns(
    backend: Backend,
    session_id: str,
    number: int | None,
    counts: Callable[[Run], bool] = counts,
) -> list[Run]:
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


def _of_messages(
    backend: Backend, session_id: str, number: int, counts: Callable[[Run], bool]
) -> list[Past]:
    """The newest turns that have so many messages together."""
    window = (number + 1) // 2
    while window > 0:
        runs = list(backend.runs(session_id, last=window))
        turns = [_past(run) for run in runs if counts(run)]
        if sum(map(_length, turns)) >= number or len(runs) < window:
            return _fitting(turns, _length, number) or turns[-1:]
        window *= 2
    return []


def _length(turn: Past) -> int:
    return len(turn.messages)


def _within(turns: list[Past], tokens: int | None) -> list[Past]:
    if tokens is None:
        return turns
    return _fitting(turns, lambda turn: estimated_tokens(turn.messages), tokens)


def _fitting(turns: list[Past], size: Callable[[Past], int], limit: int) -> list[Past]:
    left = limit
    for place in range(len(turns) - 1, -1, -1):
        left -= size(turns[place])
        if left < 0:
            return turns[place + 1 :]
    return turns


def estimated_tokens(messages: Iterable[Wire]) -> int:
    """A token is some four bytes of text in most languages and tokenizers; a message costs a few of its own."""
    return sum(8 + _tokens(one["content"]) + _bytes(one.get("tool_calls")) // 4 for one in messages)


def _tokens(content: object) -> int:
    if not isinstance(content, list):
        return _bytes(content) // 4
    return sum(_bytes(one["text"]) // 4 if one["type"] == "text" else PICTURE for one in content)


def _bytes(value: object) -> int:
    if not value:
        return 0
    text = value if isinstance(value, str) else codec.line(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def wire_messages(runs: Iterable[Run]) -> list[Wire]:
    """Past turns as Chat Completions takes them, without system messages; a run that cannot be read is left out."""
    return [item for run in runs for item in wire(run)]


def wire(run: Run) -> list[Wire]:
    try:
        said = [(one, view(one)) for one in stored(run) if not one.get("from_history")]
    except CodecError:
        return []
    return list(_turn(said))


def _turn(said: Sequence[tuple[Mapping[str, Any], Message]]) -> Iterator[Wire]:
    answered = {one.tool_call_id for _, one in said if one.role == "tool"}
    asked = {call.id for _, one in said for call in one.tool_calls}
    for item, message in said:
        if message.role in _SYSTEM_ROLES:
            continue
        if message.role == "tool":
            if message.tool_call_id in asked:
                yield _wire(message, tool_call_id=message.tool_call_id)
        elif calls := [_call(one) for one in message.tool_calls if one.id in answered]:
            yield _wire(message, tool_calls=calls)
        elif message.role == "user":
            words = message.content if isinstance(item.get("content"), str) else _words(item)
            yield {"role": "user", "content": content(words, list(media(item)))}
        elif message.content:
            yield _wire(message)


def _words(item: Mapping[str, Any]) -> str:
    """Without the words that stand for parts which are pictures."""
    parts = item.get("content")
    if isinstance(parts, list):
        parts = [one for one in parts if not (isinstance(one, dict) and is_picture(one))]
    return text(parts)


def content(words: str, attached: Sequence[Media]) -> str | list[Wire]:
    """A message's words, and the pictures that go with them, as Chat Completions takes them."""
    pictures = [
        {"type": "image_url", "image_url": {"url": url}} for url in map(address, attached) if url
    ]
    said = [{"type": "text", "text": words}] if words else []
    return [*said, *pictures] if pictures else words


def address(one: Media) -> str:
    """Of a picture on the web, or with all of it inside; empty for what is no picture that a model takes."""
    if one.kind != "image":
        return ""
    found = one.picture()
    return f"data:{found[0]};base64,{one.data}" if found else one.web_url


def _wire(message: Message, **more: object) -> Wire:
    return {"role": message.role, "content": message.content, **more}


def _call(call: Any) -> Wire:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
