"""Markdown within a line: cut into parts that nothing coming later can change, and read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agnocli.cli.render.wrap import may_break

LONGEST = 800
"""A marker left open for so many characters is text."""

LONGEST_RUN = 64

Span = tuple[str, str]
"""Text and its SGR codes."""

_SPECIAL = re.compile(r"[\\`*_~\[\]()&<!]")
_STOPS = re.compile(r"[\\`*_~\[\]() \t\n\u2e80-\uffff\U00020000-\U0003ffff]")


class Atoms:
    """Cuts text at the earliest places where no marker is open; how it was fed makes no difference."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._start = 0
        self._reset()

    def _reset(self) -> None:
        self._markers: list[str] = []
        self._ticks = 0

    def feed(self, text: str) -> Iterator[str]:
        self._text += text
        yield from self._cut(final=False)
        self._text = self._text[self._start :]
        self._at -= self._start
        self._start = 0

    def end(self) -> Iterator[str]:
        yield from self._cut(final=True)
        if self._start < len(self._text):
            yield self._text[self._start :]
        self._text, self._at, self._start = "", 0, 0
        self._reset()

    def _cut(self, *, final: bool) -> Iterator[str]:
        while self._at < len(self._text):
            if self._at - self._start >= LONGEST:
                self._reset()
                if self._at - self._start >= 2 * LONGEST:
                    yield self._take(self._at)
            found = _STOPS.search(self._text, self._at, self._limit())
            if found is None:
                self._at = min(self._limit(), len(self._text))
                continue
            self._at = found.start()
            if not self._free() or not self._is_break(self._at):
                if not self._step(final):
                    return
                continue
            if self._text[self._at] in " \t\n":
                self._at += 1
                yield self._take(self._at)
            else:
                if self._at > self._start:
                    yield self._take(self._at)
                self._at += 1

    def _limit(self) -> int:
        length = self._at - self._start
        return self._start + (LONGEST if length < LONGEST else max(2 * LONGEST, length + 1))

    def _take(self, end: int) -> str:
        atom, self._start = self._text[self._start : end], end
        return atom

    def _free(self) -> bool:
        return not self._markers and not self._ticks

    def _is_break(self, at: int) -> bool:
        character = self._text[at]
        if character in " \t\n":
            return True
        before = self._text[at - 1] if at > self._start else " "
        return character >= "\u2e80" and may_break(before, character)

    def _step(self, final: bool) -> bool:
        """Read what stands at the current place; False when it takes more text to know."""
        character = self._text[self._at]
        if character == "\\" and not self._ticks:
            if self._at + 1 >= len(self._text) and not final:
                return False
            self._at += 2
        elif character in "`*_~":
            return self._run(character, final)
        elif character == "]" and not self._ticks:
            return self._bracket_end(final)
        else:
            if not self._ticks:
                self._parenthesis(character)
            self._at += 1
        return True

    def _run(self, character: str, final: bool) -> bool:
        most = self._at + LONGEST_RUN
        part = self._text[self._at : most]
        end = self._at + len(part) - len(part.lstrip(character))
        if end == len(self._text) and end < most and not final:
            return False
        length = end - self._at
        if character == "`":
            if self._ticks in (0, length):
                self._ticks = length - self._ticks
        elif not self._ticks:
            before = self._text[self._at - 1] if self._at > self._start else " "
            self._delimiter(character, length, before, (self._text[end : end + 1] or " "))
        self._at = end
        return True

    def _delimiter(self, character: str, length: int, before: str, after: str) -> None:
        opens, closes = not after.isspace(), not before.isspace()
        if character == "_":
            opens, closes = opens and not before.isalnum(), closes and not after.isalnum()
        if character == "~" and length != 2:
            return
        for _ in range(length):
            if closes and character in self._markers:
                while self._markers.pop() != character:
                    pass
            elif opens:
                self._markers.append(character)

    def _bracket_end(self, final: bool) -> bool:
        if self._at + 1 >= len(self._text) and not final:
            return False
        self._at += 1
        if "[" in self._markers:
            while self._markers.pop() != "[":
                pass
            if self._text[self._at : self._at + 1] == "(":
                self._markers.append("(")
                self._at += 1
        return True

    def _parenthesis(self, character: str) -> None:
        if character == "[":
            self._markers.append("[")
        elif character == "(" and "(" in self._markers:
            self._markers.append("(")
        elif character == ")" and "(" in self._markers:
            while self._markers.pop() != "(":
                pass


def spans(atom: str, base: str = "") -> Iterator[Span]:
    """An atom's text without its markers, and how it looks."""
    if not _SPECIAL.search(atom):
        yield atom, base
        return
    from agnocli.cli.render.reader import read

    body = atom.strip()
    lead = atom[: len(atom) - len(atom.lstrip())]
    yield lead, base
    yield from read(body, base)
    yield atom[len(lead) + len(body) :], base
