"""The writes that a store is made of, each inside a transaction that is open already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from agnocli.db.sql import rows
from agnocli.db.sql.dialect import DBCursor, Dialect
from agnocli.db.sql.inserting import insert_run, insert_session, refusals, run_taken_for
from agnocli.db.sql.statements import BLOB, Statements
from agnocli.errors import (
    RunNotFoundError,
    SessionConflictError,
    UsageError,
)
from agnocli.layout import legacy
from agnocli.layout.names import Tables
from agnocli.layout.portable import reject_unholdable
from agnocli.records import RUN_COLUMNS, SESSION_COLUMNS, Run, Session

_KEPT = ("run_id", "session_id", "run_index", "created_at")
_PUT_COLUMNS = tuple(one for one in RUN_COLUMNS if one not in _KEPT)


def create(cursor: DBCursor, dialect: Dialect, tables: Tables, missing: set[str]) -> None:
    """Make tables as Agno 3 makes them, stamps included."""
    from agnocli.db.sql import schema

    collations = dialect.id_collations(cursor, tables.sessions)
    for statement in schema.creation(dialect, tables, missing, *collations):
        cursor.execute(statement, [])
    made = Statements(dialect, tables, (), ())
    stamps = made.insert(tables.versions, ("table_name", "version", "created_at", "updated_at"))
    for row in schema.stamps(tables, missing):
        # going back from version 3 drops the runs and leaves their stamp
        cursor.execute(made.delete(tables.versions, "table_name"), row[:1])
        cursor.execute(stamps, row)


def append_run(cursor: DBCursor, found: Statements, run: Run, now: int) -> Run:
    session = rows.read_session(cursor, found, run.session_id, lock=True)
    blob = rows.read_blob(cursor, found, session)
    cursor.execute(found.next_index(), [run.session_id])
    (index,) = cursor.fetchone()
    if blob:
        table = rows.run_order(cursor, found, run.session_id)
        index = max(index, len({one.run_id for one in blob} | {run_id for run_id, _, _ in table}))
    run = replace(run, run_index=index)
    insert_run(cursor, found, run)
    _date(cursor, found, run.session_id, now)
    return run


def put_run(cursor: DBCursor, found: Statements, run: Run) -> None:
    reject_unholdable(run, found.can)
    if found.has_runs and run_taken_for(cursor, found, run.run_id) == run.run_id:
        changed = [getattr(run, one) for one in _PUT_COLUMNS]
        sql = found.update(found.tables.runs, _PUT_COLUMNS, ("run_id", "session_id"))
        with refusals(found, run.session_id, found.tables.runs):
            cursor.execute(sql, [*changed, run.run_id, run.session_id])
        if cursor.rowcount:
            return
    session = rows.stored_session(cursor, found, run.session_id)
    blob = rows.read_blob(cursor, found, session) if session else []
    old = next((one for one in blob if one.run_id == run.run_id), None)
    if old is None:
        raise RunNotFoundError(run.session_id, run.run_id)
    insert_run(cursor, found, replace(run, run_index=old.run_index, created_at=old.created_at))


def update(
    cursor: DBCursor,
    found: Statements,
    session_id: str,
    changes: Mapping[str, Any],
    expected: Mapping[str, Any],
) -> Session:
    session = rows.read_session(cursor, found, session_id, lock=True)
    for name in (*changes, *expected):
        if name not in SESSION_COLUMNS or name == "session_id":
            raise UsageError(f"a session has no column {name!r} that can be changed")
    reject_unholdable(Session(**{"session_id": session_id, "created_at": 0, **changes}), found.can)
    for name, value in expected.items():
        if getattr(session, name) != value:
            raise SessionConflictError(
                session_id, f"was changed by another program meanwhile ({name})", hint="try again"
            )
    sql = found.update(found.tables.sessions, tuple(changes), ("session_id",))
    with refusals(found, session_id, found.tables.sessions):
        cursor.execute(sql, [*changes.values(), session_id])
    return rows.read_session(cursor, found, session_id)


def delete(cursor: DBCursor, found: Statements, session_id: str) -> None:
    rows.read_session(cursor, found, session_id, lock=True)
    if found.has_runs:
        cursor.execute(found.delete(found.tables.runs, "session_id"), [session_id])
    cursor.execute(found.delete(found.tables.sessions, "session_id"), [session_id])


def delete_runs(
    cursor: DBCursor, found: Statements, session_id: str, run_ids: Sequence[str], now: int
) -> int:
    session = rows.read_session(cursor, found, session_id, lock=True)
    blob = [run.run_id for run in rows.read_blob(cursor, found, session)]
    stored = {run_id: index for run_id, index, _ in rows.run_order(cursor, found, session_id)}
    gone = dict.fromkeys(run_ids)
    for run_id in gone:
        if run_id not in stored and run_id not in blob:
            raise RunNotFoundError(session_id, run_id)
        if run_id in stored:
            cursor.execute(found.delete(found.tables.runs, "run_id"), [run_id])
    if not gone.keys().isdisjoint(blob):
        kept = legacy.without(rows.raw_blob(cursor, found, session_id), gone)
        sql = found.update(found.tables.sessions, (BLOB,), ("session_id",))
        cursor.execute(sql, [kept, session_id])
    order = [one for one in dict.fromkeys([*blob, *stored]) if one not in gone]
    _renumber(cursor, found, order, stored)
    _date(cursor, found, session_id, now)
    return len(gone)


def adopt(cursor: DBCursor, found: Statements, session: Session, run_ids: Sequence[str]) -> None:
    """Its row is all that the runs of a session lack."""
    cursor.execute(*found.orphans_of(session.session_id))
    known = {run_id for (run_id,) in cursor.fetchall()}
    for run_id in run_ids:
        if run_id not in known:
            raise RunNotFoundError(session.session_id, run_id)
    insert_session(cursor, found, session)
    stored = {
        run_id: index for run_id, index, _ in rows.run_order(cursor, found, session.session_id)
    }
    _renumber(cursor, found, list(stored), stored)


def delete_orphans(cursor: DBCursor, found: Statements, run_ids: Sequence[str]) -> int:
    gone = 0
    for run_id in dict.fromkeys(run_ids):
        cursor.execute(found.delete_orphan(), [run_id])
        gone += cursor.rowcount
    return gone


def _renumber(
    cursor: DBCursor, found: Statements, order: Sequence[str], stored: Mapping[str, int | None]
) -> None:
    sql = found.update(found.tables.runs, ("run_index",), ("run_id",))
    for index, run_id in enumerate(order):
        if run_id in stored and stored[run_id] != index:
            cursor.execute(sql, [index, run_id])


def _date(cursor: DBCursor, found: Statements, session_id: str, now: int) -> None:
    sql = found.update(found.tables.sessions, ("updated_at",), ("session_id",))
    cursor.execute(sql, [now, session_id])
