"""Indexes that a load puts off: it needs none of them, and made at its end they cost less.

Dropped together and made together, so that their absence tells a load that was killed from one that ended.
"""

from __future__ import annotations

from agnocli.db.sql.dialect import DBCursor, Dialect
from agnocli.db.sql.statements import Statements
from agnocli.layout.names import Tables

SESSION_INDEXES = ("session_type", "created_at")
"""Columns that have one of their own."""
RUN_INDEXES = (
    "session_id",
    "run_type",
    "agent_id",
    "team_id",
    "workflow_id",
    "user_id",
    "status",
    "created_at",
)
ORDER_INDEX = "idx_{}_session_id_run_index"
"""Of the runs table; it stays: by it the runs of a session are found."""


def index_name(table: str, column: str) -> str:
    return f"idx_{table}_{column}"


def put_off(cursor: DBCursor, found: Statements) -> None:
    """Drop them, if both tables are empty and have them all."""
    late = _of_runs(found.tables) | _of_sessions(found.tables)
    if late <= _there(cursor, found.dialect, found.tables) and _is_empty(cursor, found):
        for name in sorted(late):
            cursor.execute(found.drop_index(name), [])


def are_put_off(cursor: DBCursor, dialect: Dialect, tables: Tables) -> bool:
    if dialect.index_names is None:
        return False
    there = dialect.index_names(cursor, tables.runs)
    return ORDER_INDEX.format(tables.runs) in there and _of_runs(tables).isdisjoint(there)


def complete(cursor: DBCursor, dialect: Dialect, tables: Tables) -> None:
    """Make those that a load has put off, this one or one that was killed."""
    from agnocli.db.sql import schema

    with dialect.creating(cursor):
        if not are_put_off(cursor, dialect, tables):
            return
        there = _there(cursor, dialect, tables)
        for name, statement in schema.indexes(dialect, tables):
            if name not in there:
                cursor.execute(statement, [])


def _of_runs(tables: Tables) -> set[str]:
    return {index_name(tables.runs, column) for column in RUN_INDEXES}


def _of_sessions(tables: Tables) -> set[str]:
    return {index_name(tables.sessions, column) for column in SESSION_INDEXES}


def _there(cursor: DBCursor, dialect: Dialect, tables: Tables) -> set[str]:
    assert dialect.index_names is not None
    both = (tables.sessions, tables.runs)
    return {name for table in both for name in dialect.index_names(cursor, table)}


def _is_empty(cursor: DBCursor, found: Statements) -> bool:
    for table in (found.tables.runs, found.tables.sessions):
        cursor.execute(found.any_row(table), [])
        if cursor.fetchone() is not None:
            return False
    return True
