"""Notes of a job that several machines do together: a table that is there as long as one of them has notes in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import uuid4

from agnocli.db.sql.dialect import DBCursor, Dialect
from agnocli.db.sql.statements import Statements
from agnocli.layout.names import LEDGER, Tables

_COLUMNS = ("note_id", "job", "made_at", "note")


def notes(cursor: DBCursor, dialect: Dialect, job: str) -> Iterator[bytes]:
    """Oldest first."""
    if not dialect.table_columns(cursor, LEDGER):
        return
    written = _statements(dialect)
    cursor.execute(written.note_ids(), [job])
    for note_id in [one for (one,) in cursor.fetchall()]:
        cursor.execute(written.note(), [note_id])
        yield from (str(text).encode("ascii") for (text,) in cursor.fetchall())


def note(cursor: DBCursor, dialect: Dialect, job: str, text: bytes) -> None:
    written = _statements(dialect)
    with dialect.creating(cursor):  # so that nobody takes the table away meanwhile
        if not dialect.table_columns(cursor, LEDGER):
            cursor.execute(written.make_notes(), [])
        row = [uuid4().hex, job, time.time_ns(), text.decode("ascii")]
        cursor.execute(written.insert(LEDGER, _COLUMNS), row)


def forget(cursor: DBCursor, dialect: Dialect, job: str) -> None:
    if not dialect.table_columns(cursor, LEDGER):
        return
    written = _statements(dialect)
    with dialect.creating(cursor):
        cursor.execute(written.delete(LEDGER, "job"), [job])
        cursor.execute(written.any_row(LEDGER), [])
        if cursor.fetchone() is None:
            cursor.execute(written.drop_table(LEDGER), [])


def _statements(dialect: Dialect) -> Statements:
    return Statements(dialect, Tables(), (), ())
