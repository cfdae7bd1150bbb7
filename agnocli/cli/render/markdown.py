"""Markdown as it is being written: append-only, nothing printed is ever touched again.

A line is told apart by `blocks`, its text cut into finished parts by `inline`, and filled into lines by `wrap`; none
of them depends on how the text was dealt out, so neither does what is printed. Lines stay lines.
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from agnocli.cli.render import blocks, grid
from agnocli.cli.render.blocks import Kind, Start
from agnocli.cli.render.code import Highlighter
from agnocli.cli.render.inline import Atoms, spans
from agnocli.cli.render.text import Out, neutral, sgr
from agnocli.cli.render.wrap import Wrapper, visible

DIM = "2"
_HEADINGS = {1: "1;4", 2: "1;36", 3: "1"}
_HEADING = re.compile(r"(#+)[ \t]*(.*?)(?:[ \t]+#+)?[ \t]*")
LISTED = 2
"""Columns to the right of a list marker from which on a line belongs to its item."""


class AnswerStream(Protocol):
    """Takes an answer in pieces. `finish` ends it, with one line end unless nothing was said."""

    def feed(self, delta: str) -> None: ...

    def finish(self) -> None: ...


class _Clean:
    """Neutral text of pieces; CR LF may be dealt out in two."""

    def __init__(self) -> None:
        self._held = ""

    def __call__(self, delta: str, *, final: bool = False) -> str:
        text = self._held + delta
        self._held = "\r" if text.endswith("\r") and not final else ""
        return neutral(text[: -1 if self._held else None])


class PlainStream:
    """Neutral text as it comes, unwrapped; line ends at the very end become one."""

    def __init__(self, stream: Out) -> None:
        self._stream, self._clean = stream, _Clean()
        self._ends, self._said = 0, False

    def feed(self, delta: str) -> None:
        self._write(self._clean(delta))
        self._stream.flush()

    def _write(self, text: str) -> None:
        body = text.rstrip("\n")
        if body:
            self._stream.write("\n" * self._ends + body)
            self._ends, self._said = 0, True
        self._ends += len(text) - len(body)

    def finish(self) -> None:
        self._write(self._clean("", final=True))
        if self._said:
            self._stream.write("\n")
        self._ends, self._said = 0, False
        self._stream.flush()


class _Fence(msgspec.Struct, frozen=True):
    """An open code block: its opening marks, where its lines start, and what is printed before each."""

    marks: str
    quotes: int
    indent: int
    prefix: str
    highlighter: Highlighter | None

    def content(self, line: str) -> str | None:
        """The code in a line; None when the line stands outside of the quote that holds the block."""
        at, quotes = blocks.quoted(line, self.quotes)
        if quotes < self.quotes:
            return None
        text = line[at:]
        return text[min(self.indent, len(text) - len(text.lstrip(" \t"))) :].rstrip()


class MarkdownStream:
    """Streams Markdown to a terminal of `width` cells; without `color` the marks stay as they are written."""

    def __init__(self, stream: Out, *, width: int, color: bool) -> None:
        self._stream, self._width, self._color = stream, max(width, 8), color
        self._wrapper = Wrapper(stream, self._width)
        self._reset()

    def _reset(self) -> None:
        self._clean, self._atoms = _Clean(), Atoms()
        self._line: list[str] = []
        self._streaming = self._held = False
        self._said = self._gap = self._in_text = False
        self._quotes = 0
        self._levels: list[tuple[int, int]] = []
        self._table: list[str] = []
        self._table_start: Start | None = None
        self._fence: _Fence | None = None

    def feed(self, delta: str) -> None:
        self._take(self._clean(delta))
        self._stream.flush()

    def finish(self) -> None:
        self._take(self._clean("", final=True))
        if self._line or self._streaming:
            self._part("", complete=True)
        self._end_table()
        self._end_text()
        self._reset()
        self._stream.flush()

    def _take(self, text: str) -> None:
        *ended, rest = text.split("\n")
        for line in ended:
            self._part(line, complete=True)
        if rest:
            self._part(rest, complete=False)

    def _part(self, text: str, *, complete: bool) -> None:
        """A further part of the present line: words of it, or its beginning until that says what it is."""
        if self._streaming:
            self._words(text)
            self._streaming = not complete
            return
        self._line.append(text)
        if not complete and (self._fence or self._held):
            return
        line = "".join(self._line)
        self._line = [line]
        if self._fence:
            if not complete or self._code(line):
                self._line = [] if complete else self._line
                return
            self._fence = None
        self._begin(line, complete)

    def _begin(self, line: str, complete: bool) -> None:
        in_text = self._in_text or len(self._table) == 1
        start = blocks.start(line, complete, in_text=in_text, in_list=bool(self._levels))
        self._held = not complete and start is not None and start.kind in blocks.WHOLE
        if start is None or self._held:
            return
        self._line = []
        self._act(start, line[start.at :])
        self._streaming = not complete

    def _act(self, start: Start, body: str) -> None:
        if start.kind is Kind.TABLE:
            self._row(start, body)
            return
        self._end_table()
        if start.kind is Kind.TEXT:
            self._text(start, body)
        elif start.kind is Kind.BLANK:
            self._blank(start)
        elif start.kind is Kind.RULE:
            self._rule(start, body)
        elif start.kind is Kind.HEADING:
            self._heading(start, body)
        elif start.kind is Kind.FENCE:
            self._open_fence(start, body)
        else:
            self._end_text()
            _, rest = self._open(start)
            self._stream.write(f"{rest}{' ' * start.indent}{body.rstrip()}\n")

    def _text(self, start: Start, body: str) -> None:
        if self._in_text and not start.markers and start.quotes == self._quotes:
            self._words("\n")
        else:
            self._end_text()
            self._wrapper.begin(*self._open(start))
            self._in_text = True
        self._words(body)

    def _words(self, text: str) -> None:
        for atom in self._atoms.feed(text):
            self._write(atom)

    def _write(self, atom: str, codes: str = "") -> None:
        if not self._color:
            self._wrapper.text(atom)
            return
        for span in spans(atom, codes):
            self._wrapper.text(*span)

    def _end_text(self) -> None:
        if self._in_text:
            for atom in self._atoms.end():
                self._write(atom)
            self._wrapper.finish()
            self._in_text = False

    def _blank(self, start: Start) -> None:
        self._end_text()
        self._gap = True
        self._quote(start.quotes)

    def _quote(self, depth: int) -> None:
        if depth != self._quotes:
            self._quotes, self._levels = depth, []

    def _open(self, start: Start, *, apart: bool = False) -> tuple[str, str]:
        """Begin a block: the blank line before it, and what its first and its other lines open with."""
        same = start.quotes == self._quotes
        self._quote(start.quotes)
        bars = self._bars()
        if self._said and (self._gap or apart):
            self._stream.write((bars.rstrip() if same else "") + "\n")
        self._said, self._gap = True, False
        column = start.markers[0][0] if start.markers else start.indent
        while self._levels and column < self._levels[-1][0] + LISTED:
            self._levels.pop()
        first = bars + " " * sum(width for _, width in self._levels)
        for column, marker in start.markers:
            shown = "•" if self._color and marker in "-*+" else marker
            first += shown + " "
            self._levels.append((column, len(shown) + 1))
        return first, bars + " " * sum(width for _, width in self._levels)

    def _bars(self) -> str:
        bar = sgr("│", DIM) if self._color else ">"
        return f"{bar} " * self._quotes

    def _room(self, prefix: str) -> int:
        return max(1, self._width - visible(prefix))

    def _rule(self, start: Start, body: str) -> None:
        underline = self._in_text and start.quotes == self._quotes and not start.markers
        self._end_text()
        first, _ = self._open(start)
        mark = "═" if body[0] == "=" else "─"
        room = self._room(first)
        length = min(room, len(body.rstrip())) if underline or mark == "═" else room
        self._stream.write(first + sgr(mark * length, DIM if self._color else "") + "\n")

    def _heading(self, start: Start, body: str) -> None:
        self._end_text()
        self._wrapper.begin(*self._open(start, apart=True))
        found = _HEADING.fullmatch(body)
        if self._color and found:
            self._write(found[2], _HEADINGS.get(len(found[1]), "1;2"))
        else:
            self._write(body)
        self._wrapper.finish()

    def _open_fence(self, start: Start, body: str) -> None:
        self._end_text()
        first, rest = self._open(start)
        marks = body[: len(body) - len(body.lstrip(body[0]))]
        words = body[len(marks) :].split()
        highlighter = Highlighter(words[0].strip("{}.")) if words and self._color else None
        self._stream.write(first + sgr(body.rstrip(), DIM if self._color else "") + "\n")
        self._fence = _Fence(marks, start.quotes, start.indent, rest, highlighter)

    def _code(self, line: str) -> bool:
        """A line of the open code block; False when it is none."""
        fence = self._fence
        assert fence is not None
        code = fence.content(line)
        if code is None:
            return False
        if blocks.closes_fence(code, fence.marks):
            self._fence = None
            code = sgr(code.strip(), DIM if self._color else "")
        elif fence.highlighter:
            code = fence.highlighter.line(code)
        self._stream.write((fence.prefix + code if code else fence.prefix.rstrip()) + "\n")
        return True

    def _row(self, start: Start, body: str) -> None:
        goes_on = self._table_start and start.quotes == self._table_start.quotes
        if goes_on and not start.markers and (len(self._table) > 1 or blocks.is_separator(body)):
            self._table.append(body)
            return
        self._end_table()
        self._table, self._table_start = [body], start

    def _end_table(self) -> None:
        """Draw what was held back; a single line was no table."""
        start, lines = self._table_start, self._table
        self._table, self._table_start = [], None
        if start is None:
            return
        if len(lines) == 1:
            self._text(start, lines[0])
            return
        self._end_text()
        first, rest = self._open(start)
        if first != rest:
            self._stream.write(first.rstrip() + "\n")
        grid.draw(lines, self._stream, width=self._room(rest), color=self._color, prefix=rest)
