"""`echo`: a model that needs neither network nor key, and says so."""

from __future__ import annotations

import re
from collections.abc import Generator

from agnocli.abc import ChatRequest, ModelEvent, ModelFinished, TextDelta
from agnocli.agent.models.stream import EventStream, Line
from agnocli.errors import ConfigError
from agnocli.messages import text


class EchoModel:
    """Repeats what it was given, the same each time. `slow=20` as id waits 20 ms before each word."""

    name = "Echo"
    provider = "agnocli"

    def __init__(self, model_id: str = "echo") -> None:
        self.id = model_id
        self._seconds_per_word = _pace(model_id)

    def stream(self, request: ChatRequest) -> EventStream:
        return EventStream(lambda line: self._answer(request, line))

    def _answer(self, request: ChatRequest, line: Line) -> Generator[ModelEvent, None, None]:
        words = re.findall(r"\S+\s*", answer(request))
        for piece in words if request.stream else ["".join(words)]:
            line.pause(self._seconds_per_word)
            yield TextDelta(piece)
        read = sum(len(text(one.get("content")).split()) for one in request.messages)
        yield ModelFinished(
            reason="stop",
            input_tokens=read,
            output_tokens=len(words),
            total_tokens=read + len(words),
        )


def _pace(model_id: str) -> float:
    name, equals, value = model_id.partition("=")
    if name != "slow":
        return 0
    if not (equals and value.isascii() and value.isdecimal()):
        raise ConfigError(
            f"echo:{model_id} is not a pace", hint="write echo:slow=20 for 20 ms a word"
        )
    return int(value) / 1000


def answer(request: ChatRequest) -> str:
    said = _said(request, "user")
    parts = ["I am echo, agnocli's offline test model."]
    if system := " ".join(_said(request, "system") + _said(request, "developer")).split():
        parts.append(f"I was given a system prompt of {_count(len(system), 'word')}.")
    parts.append(f'You said: "{_cut(said[-1], 500)}".' if said else "You said nothing.")
    parts.append(_before(said[:-1]))
    return " ".join(parts)


def _said(request: ChatRequest, role: str) -> list[str]:
    return [text(one.get("content")) for one in request.messages if one.get("role") == role]


def _before(turns: list[str]) -> str:
    if not turns:
        return "Before that this conversation held nothing."
    held = f"Before that this conversation held {_count(len(turns), 'turn')}"
    return f'{held}; the first began: "{_cut(turns[0], 60)}".'


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cut(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1] + "…"
