"""Markdown tables: drawn by rich where their longest words fit, row by row as a list where not."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Literal

from agnocli.cli.render.inline import spans
from agnocli.cli.render.text import Out, cells, neutral, sgr
from agnocli.cli.render.wrap import Wrapper

_BAR = re.compile(r"(?<!\\)\|")
_BLANKS_AT_END = re.compile(r"(?:[ \t]|\x1b\[[0-9;]*m)+$")
_FRAME = 3
"""Cells a column takes beside its text."""

Alignment = Literal["left", "center", "right"]
Cell = Sequence[tuple[str, str]]


def draw(lines: Sequence[str], stream: Out, *, width: int, color: bool, prefix: str) -> None:
    """A table given as its lines: head, separator, rows. `prefix` opens each line printed."""
    split = [_split(line) for index, line in enumerate(lines) if index != 1]
    count = max(map(len, split))
    rows = [[_cell(text, color) for text in row] + [[]] * (count - len(row)) for row in split]
    words = [max(_longest_word(row[at]) for row in rows) for at in range(count)]
    if sum(words) + _FRAME * count > width:
        _as_list(rows, stream, width, color, prefix)
    else:
        _as_grid(rows, _alignments(lines[1], count), words, stream, width, color, prefix)


def _split(line: str) -> list[str]:
    text = line.strip().removeprefix("|")
    if text.endswith("|") and not text.endswith("\\|"):
        text = text[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _BAR.split(text)]


def _cell(text: str, color: bool) -> Cell:
    if not color:
        return [(text, "")]
    return [(neutral(part).replace("\n", " "), codes) for part, codes in spans(text)]


def _text(cell: Cell) -> str:
    return "".join(text for text, _ in cell)


def _longest_word(cell: Cell) -> int:
    return max((cells(word) for word in _text(cell).split()), default=1)


def _alignments(separator: str, count: int) -> list[Alignment]:
    found: list[Alignment] = ["left"] * count
    for at, mark in enumerate(_split(separator)[:count]):
        ends = mark.startswith(":"), mark.endswith(":")
        found[at] = "center" if all(ends) else "right" if ends[1] else "left"
    return found


def _as_grid(
    rows: Sequence[Sequence[Cell]],
    alignments: Sequence[Alignment],
    words: Sequence[int],
    stream: Out,
    width: int,
    color: bool,
    prefix: str,
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.show_header = any(map(_text, rows[0]))
    for cell, alignment, least in zip(rows[0], alignments, words, strict=True):
        head = Text.from_ansi("".join(sgr(*span) for span in cell))
        table.add_column(head, justify=alignment, min_width=least, overflow="fold")
    for row in rows[1:]:
        table.add_row(*(Text.from_ansi("".join(sgr(*span) for span in cell)) for cell in row))
    canvas = io.StringIO()
    Console(
        file=canvas,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        _environ={},
    ).print(table)
    for line in canvas.getvalue().split("\n")[:-1]:
        body = _BLANKS_AT_END.sub(lambda end: re.sub("[ \t]", "", end[0]), line)
        stream.write((prefix + body if body else prefix.rstrip()) + "\n")


def _as_list(
    rows: Sequence[Sequence[Cell]], stream: Out, width: int, color: bool, prefix: str
) -> None:
    wrapper = Wrapper(stream, width)
    head = rows[0]
    for number, row in enumerate(rows[1:] or [[[] for _ in head]]):
        if number:
            stream.write(prefix.rstrip() + "\n")
        for title, cell in zip(head, row, strict=True):
            wrapper.begin(prefix, prefix + "  ")
            for text, codes in title:
                wrapper.text(text, f"1;{codes}".rstrip(";") if color else "")
            wrapper.text(": " if _text(cell) else "")
            for text, codes in cell:
                wrapper.text(text, codes)
            wrapper.line_end()
