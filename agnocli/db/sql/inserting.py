"""New rows, one by one and by the many, each inside a transaction that is open already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import attrgetter
from typing import Any

from agnocli.db.sql import rows
from agnocli.db.sql.dialect import DBCursor, no_check
from agnocli.db.sql.statements import Statements
from agnocli.errors import RecordRejectedError, SessionConflictError
from agnocli.layout.portable import reject_unholdable
from agnocli.records import RUN_COLUMNS, SESSION_COLUMNS, Run, Session

PART_BYTES = 4 * 2**20
"""Of runs that are inserted at once, unless one is larger."""
PART_RUNS = 5000

_run_values: Callable[[Any], tuple[Any, ...]] = attrgetter(*RUN_COLUMNS)
_session_values: Callable[[Any], tuple[Any, ...]] = attrgetter(*SESSION_COLUMNS)


def insert_session(cursor: DBCursor, found: Statements, session: Session) -> None:
    _check(session, found)
    with refusals(found, session.session_id, found.tables.sessions):
        _insert(cursor, found, session)


def insert_run(cursor: DBCursor, found: Statements, run: Run) -> None:
    _check(run, found)
    if (stored := run_taken_for(cursor, found, run.run_id)) is not None:
        if stored != run.run_id:
            raise rows.collision(run.session_id, "run_id", stored)
        raise SessionConflictError(
            run.session_id, f"cannot take run {run.run_id!r}: it is stored already"
        )
    with refusals(found, run.session_id, found.tables.runs):
        _insert(cursor, found, run)


def run_taken_for(cursor: DBCursor, found: Statements, run_id: str) -> str | None:
    """The id of the row the database finds by a run id; a collation may find another's."""
    cursor.execute(found.stored_run(), [run_id])
    row = cursor.fetchone()
    return row[0] if row else None


@contextmanager
def refusals(found: Statements, session_id: str, table: str) -> Iterator[None]:
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


def insert_sessions(cursor: DBCursor, found: Statements, sessions: Sequence[Session]) -> None:
    if not _all_at_once(cursor, found, sessions):
        for session in sessions:
            rows.stored_session(cursor, found, session.session_id)
            insert_session(cursor, found, session)


def insert_runs(cursor: DBCursor, found: Statements, runs: Iterable[Run]) -> None:
    for part in _parts(runs):
        if not _all_at_once(cursor, found, part):
            for run in part:
                insert_run(cursor, found, run)


def _parts(runs: Iterable[Run]) -> Iterator[list[Run]]:
    part: list[Run] = []
    weight = 0
    for run in runs:
        part.append(run)
        weight += len(run.run_data)
        if weight >= PART_BYTES or len(part) == PART_RUNS:
            yield part
            part, weight = [], 0
    if part:
        yield part


def _check(record: Session | Run, found: Statements) -> None:
    reject_unholdable(record, found.can)
    _check_extra(record, found)


def _check_extra(record: Session | Run, found: Statements) -> None:
    table, there, _ = _place(record, found)
    for name in record.extra:
        if name not in there:
            raise RecordRejectedError(
                record.session_id, name, f"is a column that {table!r} has not"
            )


def _place(
    record: Session | Run, found: Statements
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Its table, the columns that are there, and those of Agno."""
    if isinstance(record, Run):
        return found.tables.runs, found.run_columns, RUN_COLUMNS
    return found.tables.sessions, found.session_columns, SESSION_COLUMNS


def _insert(cursor: DBCursor, found: Statements, record: Session | Run) -> None:
    table, _, columns = _place(record, found)
    cursor.execute(found.insert(table, (*columns, *record.extra)), _values(record))


def _values(record: Session | Run) -> tuple[Any, ...]:
    values = _run_values(record) if isinstance(record, Run) else _session_values(record)
    return (*values, *record.extra.values()) if record.extra else values


def _checked_values(
    records: Iterable[Session | Run], found: Statements
) -> Iterator[tuple[Any, ...]]:
    """As they are asked for, so that a database that takes them one by one works meanwhile."""
    check, can = found.dialect.check, found.can
    if check is no_check:
        yield from map(_values, records)
        return
    for record in records:
        check(record, can)
        yield _values(record)


def _all_at_once(cursor: DBCursor, found: Statements, records: Sequence[Session | Run]) -> bool:
    """False when one of them was refused, and none is stored."""
    if not records:
        return True
    cursor.execute("SAVEPOINT agnocli")
    try:
        for extra, some in groupby(records, lambda one: tuple(one.extra)):
            same = list(some)
            _check_extra(same[0], found)
            table, _, columns = _place(same[0], found)
            insert = found.bulk(table, (*columns, *extra))
            found.dialect.bulk(cursor, insert, _checked_values(same, found))
    except found.dialect.errors as error:
        if not (found.dialect.is_duplicate(error) or found.dialect.is_unfit(error)):
            raise
        cursor.execute("ROLLBACK TO SAVEPOINT agnocli")
        return False
    cursor.execute("RELEASE SAVEPOINT agnocli")
    return True
