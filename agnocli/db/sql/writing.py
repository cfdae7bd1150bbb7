"""The writes that a store is made of, each inside a transaction that is open already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from agnocli.abc import ConflictPolicy
from agnocli.db.sql import rows
from agnocli.db.sql.dialect import DBCursor, Dialect
from agnocli.db.sql.statements import BLOB, Statements
from agnocli.errors import (
    RecordRejectedError,
    RunNotFoundError,
    SessionConflictError,
    UsageError,
)
from agnocli.layout import legacy
from agnocli.layout.compare import BundleDigest
from agnocli.layout.names import Tables
from agnocli.layout.portable import reject_unholdable
from agnocli.records import RUN_COLUMNS, SESSION_COLUMNS, Run, Session, SessionBundle

_KEPT = ("run_id", "session_id", "run_index", "created_at")
_PUT_COLUMNS = tuple(one for one in RUN_COLUMNS if one not in _KEPT)


def create(cursor: DBCursor, dialect: Dialect, tables: Tables, missing: set[str]) -> None:
    """Make tables as Agno 3 makes them, stamps included."""
    from agnocli.db.sql import schema

    collations = dialect.id_collations(cursor, tables.sessions)
    for statement in schema.creation(dialect.name, tables, missing, dialect.schema, *collations):
        cursor.execute(statement, [])
    made = Statements(dialect, tables, (), ())
    stamps = made.insert(tables.versions, ("table_name", "version", "created_at", "updated_at"))
    for row in schema.stamps(tables, missing):
        # going back from version 3 drops the runs and leaves their stamp
        cursor.execute(made.delete(tables.versions, "table_name"), row[:1])
        cursor.execute(stamps, row)


def insert_session(cursor: DBCursor, found: Statements, session: Session) -> None:
    reject_unholdable(session, found.can)
    _insert(cursor, found, found.tables.sessions, session, SESSION_COLUMNS, found.session_columns)


def insert_run(cursor: DBCursor, found: Statements, run: Run) -> None:
    reject_unholdable(run, found.can)
    if (stored := _run_taken_for(cursor, found, run.run_id)) is not None:
        if stored != run.run_id:
            raise rows.collision(run.session_id, "run_id", stored)
        raise SessionConflictError(
            run.session_id, f"cannot take run {run.run_id!r}: it is stored already"
        )
    _insert(cursor, found, found.tables.runs, run, RUN_COLUMNS, found.run_columns)


@contextmanager
def _refusals(found: Statements, session_id: str, table: str) -> Iterator[None]:
    """What only the database itself could know."""
    try:
        yield
    except found.dialect.errors as error:
        if found.dialect.is_duplicate(error):
            raise SessionConflictError(
                session_id, "was stored by another program at this moment", hint="try again"
            ) from error
        if found.dialect.is_unfit(error):
            reason = f"is refused by the database: {str(error).partition(chr(10))[0]}"
            raise RecordRejectedError(session_id, table, reason) from error
        raise


def _insert(
    cursor: DBCursor,
    found: Statements,
    table: str,
    record: Session | Run,
    columns: Sequence[str],
    there: Sequence[str],
) -> None:
    for name in record.extra:
        if name not in there:
            raise RecordRejectedError(
                record.session_id, name, f"is a column that {table!r} has not"
            )
    values = [getattr(record, one) for one in columns] + list(record.extra.values())
    with _refusals(found, record.session_id, table):
        cursor.execute(found.insert(table, (*columns, *record.extra)), values)


def _run_taken_for(cursor: DBCursor, found: Statements, run_id: str) -> str | None:
    """The id of the row the database finds by a run id; a collation may find another's."""
    cursor.execute(found.stored_run(), [run_id])
    row = cursor.fetchone()
    return row[0] if row else None


def write_bundle(
    cursor: DBCursor, found: Statements, bundle: SessionBundle, policy: ConflictPolicy
) -> str:
    """Returns what became of it, as the field of WriteResult."""
    session, runs = bundle
    stored = rows.stored_session(cursor, found, session.session_id)
    incoming = BundleDigest(session)
    if stored is None:
        insert_session(cursor, found, session)
        for run in runs:
            insert_run(cursor, found, run)
        return "written"
    if policy is not ConflictPolicy.REPLACE:
        if incoming.drain(runs) == _stored_digest(cursor, found, stored):
            return "identical"
        if policy is ConflictPolicy.SKIP:
            return "skipped"
        raise SessionConflictError(
            session.session_id,
            "is there already and differs",
            hint="choose what wins with --on-conflict",
        )
    before = _stored_digest(cursor, found, stored)
    delete(cursor, found, session.session_id)
    insert_session(cursor, found, session)
    for run in incoming.watch(runs):
        insert_run(cursor, found, run)
    return "identical" if incoming.hexdigest() == before else "replaced"


def _stored_digest(cursor: DBCursor, found: Statements, stored: Session) -> str:
    blob = rows.read_blob(cursor, found, stored)
    table = rows.stream_runs(cursor, found, stored.session_id)
    return BundleDigest(stored).drain(legacy.merge(blob, table) if blob else table)


def append_run(cursor: DBCursor, found: Statements, run: Run, now: int) -> Run:
    session = rows.read_session(cursor, found, run.session_id, lock=True)
    blob = rows.read_blob(cursor, found, session)
    cursor.execute(found.next_index(), [run.session_id])
    after_highest, count = cursor.fetchone()
    if blob:
        count = len(list(legacy.merge(blob, rows.stream_runs(cursor, found, run.session_id))))
    run = replace(run, run_index=max(after_highest, count))
    insert_run(cursor, found, run)
    _date(cursor, found, run.session_id, now)
    return run


def put_run(cursor: DBCursor, found: Statements, run: Run) -> None:
    reject_unholdable(run, found.can)
    if found.has_runs and _run_taken_for(cursor, found, run.run_id) == run.run_id:
        changed = [getattr(run, one) for one in _PUT_COLUMNS]
        sql = found.update(found.tables.runs, _PUT_COLUMNS, ("run_id", "session_id"))
        with _refusals(found, run.session_id, found.tables.runs):
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
    with _refusals(found, session_id, found.tables.sessions):
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
