"""A request to a model, message by message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agnocli.agent.outlook import NEXT, SYSTEM, Outlook, Part
from agnocli.cli.render.text import Out, fit, neutral, one_line, sgr
from agnocli.messages import text

DIM, BOLD = "2", "1"
COLORS = {"user": "1;32", "assistant": "1;36", "system": "1;35", "developer": "1;35", "tool": "33"}


def write_request(found: Outlook, *, stream: Out, color: bool, width: int, whole: bool) -> None:
    """`whole`: all of the text, else a line a message."""
    page = _Page(stream, color, width, found.numbers)
    for part in found.parts:
        page.message(part, whole)
    if found.tools:
        page.tools(found, whole)
    page.total(found)
    for reason, number in found.left_out.items():
        page.line(f"  {number:>5,} {'run' if number == 1 else 'runs'} left out: {reason}", DIM)


class _Page:
    def __init__(self, stream: Out, color: bool, width: int, turns: Mapping[str, int]) -> None:
        self._stream, self._color, self._width, self._turns = stream, color, width, turns

    def style(self, words: str, codes: str) -> str:
        return sgr(words, codes if self._color else "")

    def line(self, words: str = "", codes: str = "") -> None:
        self._stream.write(self.style(words, codes) + "\n")

    def message(self, part: Part, whole: bool) -> None:
        role = one_line(str(part.message.get("role")))
        head = f"{role:<9} {self._source(part.source):<8} {_tokens(part.tokens):>8}"
        said = _said(part.message)
        if whole:
            self.line(self.style(head, COLORS.get(role, BOLD)))
            self.line(neutral(said).rstrip("\n"))
            self.line()
        else:
            room = max(8, self._width - len(head) - 2)
            shown = fit(one_line(said[: 4 * self._width]), room)
            self.line(f"{self.style(head, COLORS.get(role, BOLD))}  {shown}".rstrip())

    def _source(self, source: str) -> str:
        if source in (SYSTEM, NEXT):
            return "" if source == SYSTEM else "next"
        return f"turn {self._turns[source]}" if source in self._turns else ""

    def tools(self, found: Outlook, whole: bool) -> None:
        head = f"{'tools':<9} {len(found.tools):<8} {_tokens(found.tool_tokens):>8}"
        names = [one_line(str(tool["function"]["name"])) for tool in found.tools]
        if not whole:
            names = [fit(", ".join(names), max(8, self._width - len(head) - 2))]
        self.line(f"{self.style(head, BOLD)}  {', '.join(names)}")
        if whole:
            self.line()

    def total(self, found: Outlook) -> None:
        count = len(found.parts)
        messages = "1 message" if count == 1 else f"{count} messages"
        about = f"{one_line(str(found.body['model']))} · {messages}"
        self.line(f"{self.style(_tokens(found.tokens) + ' tokens', BOLD)} · {about}")


def _tokens(number: int) -> str:
    return f"~{number:,}"


def _said(message: Mapping[str, Any]) -> str:
    calls = (
        f"⚙ {call['function']['name']}({call['function']['arguments']})"
        for call in message.get("tool_calls") or ()
    )
    return "\n".join(filter(None, [text(message.get("content")), *calls]))
