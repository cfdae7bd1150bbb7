"""Rows as the text of INSERT statements, for a driver that is slow at binding values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from agnocli.db.sql.dialect import Insert

STATEMENT_BYTES = 2**20
"""One row may take more."""


def statements(
    insert: Insert, rows: Iterable[Sequence[Any]], other: Callable[[Any], str]
) -> Iterator[bytes]:
    """UTF-8, for a connection where a backslash escapes; `other` writes values that are neither text nor integer."""
    head = f"INSERT INTO {insert.into} VALUES ".encode()
    values: list[bytes] = []
    size = 0
    for row in rows:
        value = _row(row, insert.documents, other)
        if values and size + len(value) > STATEMENT_BYTES:
            yield head + b",".join(values)
            values, size = [], 0
        values.append(value)
        size += len(value)
    if values:
        yield head + b",".join(values)


def _row(row: Sequence[Any], documents: frozenset[int], other: Callable[[Any], str]) -> bytes:
    cells = []
    for place, value in enumerate(row):
        if value is None:
            cells.append(b"NULL")
        elif type(value) is str:
            cells.append(_text(value.encode()))
        elif type(value) is int:
            cells.append(b"%d" % value)
        elif place in documents:
            cells.append(_text(value))
        else:
            cells.append(other(value).encode())
    return b"(" + b",".join(cells) + b")"


def _text(raw: bytes) -> bytes:
    escaped = raw.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"\0", b"\\0")
    return b"'" + escaped + b"'"
