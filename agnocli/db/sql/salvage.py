"""What is stored of a session, column by column, whatever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any, NamedTuple

from agnocli import codec
from agnocli.db.sql.dialect import DBCursor
from agnocli.db.sql.statements import BLOB, Statements
from agnocli.errors import LayoutError, SessionNotFoundError
from agnocli.layout.portable import fits
from agnocli.records import RawPiece


class _Table(NamedTuple):
    name: str
    key: str
    columns: Sequence[str]


class Salvage:
    """`translated` is around each statement: what a damaged file keeps back fails alone."""

    def __init__(
        self,
        cursor: DBCursor,
        found: Statements,
        translated: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._cursor, self._found, self._translated = cursor, found, translated

    def pieces(self, session_id: str) -> Iterator[RawPiece]:
        found = self._found
        if not fits(session_id, found.can):
            raise SessionNotFoundError(session_id)
        blob = (BLOB,) * found.has_blob
        sessions = _Table(found.tables.sessions, "session_id", (*found.session_fields, *blob))
        row = self._row(sessions, session_id, found.tables.sessions)
        first = next(row, None)
        if first is None:
            raise SessionNotFoundError(session_id)
        yield from chain([first], row)
        if found.has_runs:
            yield from self._runs(session_id)

    def _runs(self, session_id: str) -> Iterator[RawPiece]:
        name = self._found.tables.runs
        try:
            ids = sorted(one for (one,) in self._asked(name, "session_id", ["run_id"], session_id))
        except LayoutError as error:
            yield RawPiece(name, None, error.message)
            return
        runs = _Table(name, "run_id", self._found.run_fields)
        for run_id in ids:
            yield from self._row(runs, run_id, f"{name}[{run_id}]")

    def _row(self, table: _Table, row_id: str, place: str) -> Iterator[RawPiece]:
        """All columns at once, or else what can be had of them one by one. SQL NULL is no piece."""
        try:
            rows = self._asked(*table, row_id)
        except LayoutError as error:
            if len(table.columns) == 1:
                yield RawPiece(f"{place}.{table.columns[0]}", None, error.message)
                return
            for column in table.columns:
                yield from self._row(table._replace(columns=[column]), row_id, place)
            return
        for row in rows:
            for column, value in zip(table.columns, row, strict=True):
                if value is not None:
                    yield RawPiece(f"{place}.{column}", _bytes(value))

    def _asked(self, table: str, key: str, columns: Sequence[str], wanted: str) -> list[Any]:
        with self._translated():
            self._cursor.execute(self._found.stored(table, key, columns), [wanted, wanted])
            return self._cursor.fetchall()


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict | list):
        return codec.encode(value)
    return str(value).encode("utf-8", "surrogateescape")
