"""Tables: full values in straight columns for a pipe; short ones, fitted to the width, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Literal, TextIO

import msgspec

from agnocli import codec
from agnocli.cli.render.text import age, cells, fit, fit_around, iso, one_line, sgr

Kind = Literal["text", "id", "time", "number", "status"]
Row = Mapping[str, object]

SAMPLE = 500
"""A table is measured over so many rows; further ones follow the same columns, so memory stays flat."""

SHORT_ID, WHOLE_ID, GAP = 8, 12, 2
COMFORTABLE, NARROWEST = 24, 8
"""Cells a text of rank 0, and any other, keeps before columns are left out."""
MARK = "1;31"
STATUS_COLORS = {
    "ERROR": "31",
    "CANCELLED": "33",
    "PAUSED": "33",
    "RUNNING": "36",
    "PENDING": "36",
}


class Column(msgspec.Struct, frozen=True):
    """`name` is the row's key. In a terminal's table, columns of a higher `rank` are left out first when it
    is narrow (0 never), and when empty in every row; `table=False` shows one only when asked for by name."""

    name: str
    header: str
    kind: Kind = "text"
    rank: int = 0
    table: bool = True
    least: int = 0
    """Cells of a text for which columns of a higher rank are left out; 0 where the rank says."""
    marks: Callable[[str], Sequence[tuple[int, int]]] | None = None
    """Places in a text that are made to stand out; the first of them stays in sight when it is cut."""


def plain(value: object, kind: Kind) -> str:
    """A value in full, as a script wants it."""
    if value is None:
        return ""
    if kind == "time":
        return iso(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return str(value) if isinstance(value, int | float) else codec.line(value)


def plain_table(
    rows: Iterable[Row], columns: Sequence[Column], stream: TextIO, *, color: bool
) -> None:
    """Nothing cut, nothing shortened."""
    texts = ([one_line(plain(row.get(one.name), one.kind)) for one in columns] for row in rows)
    sample = list(islice(texts, SAMPLE))
    writer = _Writer(columns, _natural(columns, sample), stream, color)
    writer.header()
    for line in chain(sample, texts):
        writer.line(line)


def terminal_table(
    rows: Iterable[Row],
    columns: Sequence[Column],
    stream: TextIO,
    *,
    color: bool,
    width: int,
    now: float,
    whole: bool,
) -> None:
    """Ages, short ids and texts cut to the width; `whole` leaves no column out."""
    iterator = iter(rows)
    sample = list(islice(iterator, SAMPLE))
    further = list(islice(iterator, 1))
    short = {} if further else _short_ids(sample, columns)
    if sample and not whole:
        columns = [one for one in columns if one.rank == 0 or _filled(sample, one.name)]
    measured = [[_shown(row, one, now, short) for one in columns] for row in sample]
    widths = _layout(columns, _natural(columns, measured), width, whole)
    columns = [one for one in columns if one.name in widths]
    writer = _Writer(columns, [widths[one.name] for one in columns], stream, color)
    writer.header()
    for row in chain(sample, further, iterator):
        line = [_shown(row, one, now, short) for one in columns]
        writer.line(
            [_cut(text, one, widths[one.name]) for text, one in zip(line, columns, strict=True)]
        )


def _cut(text: str, column: Column, width: int) -> str:
    if column.marks is None or not (places := column.marks(text)):
        return fit(text, width)
    return fit_around(text, places[0][0], width)


def _filled(rows: Iterable[Row], name: str) -> bool:
    return any(row.get(name) not in (None, "", [], ()) for row in rows)


def _shown(row: Row, column: Column, now: float, short: Mapping[str, str]) -> str:
    value = row.get(column.name)
    if column.kind == "time":
        return one_line(age(value, now))
    text = plain(value, column.kind)
    return one_line(short.get(text, text) if column.kind == "id" else text)


def _short_ids(rows: Iterable[Row], columns: Sequence[Column]) -> dict[str, str]:
    """Each id's beginning, long enough that no other id of its column starts with it."""
    short: dict[str, str] = {}
    for column in columns:
        if column.kind == "id":
            ids = sorted({plain(row.get(column.name), "id") for row in rows})
            for before, one, after in zip(["", *ids], ids, [*ids[1:], ""], strict=False):
                length = max(SHORT_ID, _common(before, one) + 1, _common(one, after) + 1)
                short[one] = one if len(one) <= max(WHOLE_ID, length) else one[:length]
    return short


def _common(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _natural(columns: Sequence[Column], lines: Sequence[Sequence[str]]) -> list[int]:
    return [
        max([cells(column.header), *(cells(line[index]) for line in lines)])
        for index, column in enumerate(columns)
    ]


def _layout(
    columns: Sequence[Column], natural: Sequence[int], width: int, whole: bool
) -> dict[str, int]:
    """Widths that fit: texts shrink first, then columns of high rank go, at last everything shrinks."""
    widths = {one.name: min(size, width) for one, size in zip(columns, natural, strict=True)}
    ranked = [] if whole else sorted((one for one in columns if one.rank), key=lambda one: one.rank)
    least = {one.name: _least(one, widths[one.name]) for one in columns}
    while _total(min(widths[name], least[name]) for name in widths) > width and ranked:
        del widths[ranked.pop().name]
    for smallest in (least, dict.fromkeys(widths, NARROWEST), dict.fromkeys(widths, 1)):
        _shrink(widths, smallest, width)
    return widths


def _least(column: Column, natural: int) -> int:
    if column.kind != "text":
        return natural
    if column.least:
        return min(natural, column.least)
    return max(cells(column.header), NARROWEST if column.rank else COMFORTABLE)


def _total(sizes: Iterable[int]) -> int:
    every = list(sizes)
    return sum(every) + GAP * (len(every) - 1)


def _shrink(widths: dict[str, int], least: Mapping[str, int], width: int) -> None:
    """Take the excess from the widest columns first."""
    for _ in range(max(0, _total(widths.values()) - width)):
        name = max(widths, key=lambda one: (widths[one] > least[one], widths[one]))
        if widths[name] <= least[name]:
            return
        widths[name] -= 1


class _Writer:
    """Lines of padded cells; no blanks at their ends."""

    def __init__(
        self, columns: Sequence[Column], widths: Sequence[int], stream: TextIO, color: bool
    ) -> None:
        self._columns, self._widths, self._stream, self._color = columns, widths, stream, color

    def header(self) -> None:
        names = zip(self._columns, self._widths, strict=True)
        self._write(
            [fit(column.header, size) for column, size in names], lambda _, text: sgr(text, "1")
        )

    def line(self, texts: Sequence[str]) -> None:
        self._write(texts, _styled)

    def _write(self, texts: Sequence[str], style: Callable[[Column, str], str]) -> None:
        last = max((index for index, text in enumerate(texts) if text), default=-1)
        parts = []
        for index, text in enumerate(texts[: last + 1]):
            column, blanks = self._columns[index], " " * (self._widths[index] - cells(text))
            styled = style(column, text) if self._color else text
            if column.kind == "number":
                parts.append(blanks + styled)
            else:
                parts.append(styled + (blanks if index < last else ""))
        self._stream.write((" " * GAP).join(parts) + "\n")


def _styled(column: Column, text: str) -> str:
    if column.marks is not None:
        return _marked(text, column.marks(text))
    if column.kind == "status":
        return sgr(text, STATUS_COLORS.get(text, ""))
    return sgr(text, {"id": "36", "time": "2"}.get(column.kind, ""))


def _marked(text: str, places: Iterable[tuple[int, int]]) -> str:
    parts, behind = [], 0
    for start, end in places:
        parts += [text[behind:start], sgr(text[start:end], MARK)]
        behind = end
    return "".join([*parts, text[behind:]])
