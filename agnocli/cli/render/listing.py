"""One renderer for everything that is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import chain, islice
from typing import Literal, TextIO

from agnocli import codec
from agnocli.cli.render.table import Column, Row, plain, plain_table, terminal_table
from agnocli.cli.render.text import neutral, neutral_json
from agnocli.errors import UsageError

__all__ = ["Column", "Output", "Row", "pick", "write_listing"]

Output = Literal["table", "json", "jsonl", "csv", "tsv", "ids"]


def write_listing(
    rows: Iterable[Row],
    columns: Sequence[Column],
    *,
    output: Output,
    stream: TextIO,
    color: bool,
    width: int,
    now: float,
    fields: Sequence[str] | None = None,
    tty: bool,
) -> int:
    """Print rows as they come; returns how many. UsageError for a field nobody knows.

    JSON keeps exact values and, unless `fields` picks some, all keys of a row; the others take the columns.
    """
    chosen = pick(columns, fields)
    counted = _Counter(_begun(rows))
    if output == "json":
        _json(counted, chosen if fields else None, stream)
    elif output == "table":
        _table(counted, chosen, fields is not None, stream, color, width if tty else None, now)
    else:
        _WRITERS[output](counted, chosen, stream, fields is not None)
    return counted.count


def _table(
    rows: Iterable[Row],
    chosen: Sequence[Column],
    picked: bool,
    stream: TextIO,
    color: bool,
    width: int | None,
    now: float,
) -> None:
    shown = chosen if picked else [column for column in chosen if column.table]
    if width is None:
        plain_table(rows, shown, stream, color=color)
    else:
        terminal_table(rows, shown, stream, color=color, width=width, now=now, whole=picked)


def pick(columns: Sequence[Column], fields: Sequence[str] | None) -> list[Column]:
    """The columns named, in that order."""
    if not fields:
        return list(columns)
    known = {column.name: column for column in columns}
    for field in fields:
        if field not in known:
            near = get_close_matches(field, known, n=1)
            hint = f"known: {', '.join(known)}"
            hint = f"did you mean {near[0]!r}? {hint}" if near else hint
            raise UsageError(f"unknown field {field!r}", hint=hint)
    return [known[field] for field in fields]


def _begun(rows: Iterable[Row]) -> Iterator[Row]:
    """What fails before there is a row leaves no header either."""
    every = iter(rows)
    return chain(list(islice(every, 1)), every)


class _Counter:
    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows, self.count = rows, 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


def _json(rows: Iterable[Row], chosen: Sequence[Column] | None, stream: TextIO) -> None:
    separator = "[\n"
    for row in rows:
        text = neutral_json(codec.pretty(_object(row, chosen)))
        stream.write(separator + "  " + text.replace("\n", "\n  "))
        separator = ",\n"
    stream.write("[]\n" if separator == "[\n" else "\n]\n")


def _object(row: Row, chosen: Sequence[Column] | None) -> dict[str, object]:
    return dict(row) if chosen is None else {one.name: row.get(one.name) for one in chosen}


def _jsonl(rows: Iterable[Row], chosen: Sequence[Column], stream: TextIO, picked: bool) -> None:
    for row in rows:
        stream.write(neutral_json(codec.line(_object(row, chosen if picked else None))) + "\n")


def _csv(rows: Iterable[Row], chosen: Sequence[Column], stream: TextIO, picked: bool) -> None:
    import csv

    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.name for column in chosen])
    for row in rows:
        writer.writerow([neutral(plain(row.get(one.name), one.kind)) for one in chosen])


def _tsv(rows: Iterable[Row], chosen: Sequence[Column], stream: TextIO, picked: bool) -> None:
    stream.write("\t".join(column.name for column in chosen) + "\n")
    for row in rows:
        values = (_escaped(plain(row.get(one.name), one.kind)) for one in chosen)
        stream.write("\t".join(values) + "\n")


def _ids(rows: Iterable[Row], chosen: Sequence[Column], stream: TextIO, picked: bool) -> None:
    for row in rows:
        stream.write(_escaped(plain(row.get(chosen[0].name), chosen[0].kind)) + "\n")


_WRITERS: dict[str, Callable[[Iterable[Row], Sequence[Column], TextIO, bool], None]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "tsv": _tsv,
    "ids": _ids,
}


def _escaped(text: str) -> str:
    for character, escape in (("\\", "\\\\"), ("\r\n", "\\n"), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(character, escape)
    return neutral(text, keep="")
