"""Rows to records, and the reads that a store is made of."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from agnocli.abc import BackendReport
from agnocli.db.sql.dialect import DBCursor, Dialect, Statement
from agnocli.db.sql.statements import Statements
from agnocli.errors import CodecError, RecordRejectedError, SessionNotFoundError
from agnocli.layout import legacy
from agnocli.layout.names import LEDGER
from agnocli.layout.portable import fits
from agnocli.records import (
    RUN_COLUMNS,
    SESSION_COLUMNS,
    Document,
    Run,
    Session,
)


def document(value: Any) -> Document | None:
    """A JSON column as a driver gives it, which may be bytes or text."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return Document(value)
    return Document(str(value).encode("utf-8", "surrogateescape"))


def to_session(row: Sequence[Any], found: Statements) -> Session:
    """What stands behind the columns is left out."""
    known = len(SESSION_COLUMNS)
    session_id, kind, agent, team, workflow, user, *documents, created, updated = row[:known]
    data, of_agent, of_team, of_workflow, metadata, summary = [
        None if one is None else legacy.unwrap(document(one)) for one in documents
    ]
    return Session(
        session_id=session_id,
        session_type=kind,
        agent_id=agent,
        team_id=team,
        workflow_id=workflow,
        user_id=user,
        session_data=data,
        agent_data=of_agent,
        team_data=of_team,
        workflow_data=of_workflow,
        metadata=metadata,
        summary=summary,
        created_at=created,
        updated_at=updated,
        extra=_extra(row, found.session_fields, known),
    )


def to_run(row: Sequence[Any], found: Statements) -> Run:
    known = len(RUN_COLUMNS)
    run_id, session_id, kind, agent, team, workflow, user, parent, status, *rest = row[:known]
    index, data, created, updated = rest
    text: Any = document(data)
    # spelled out, it takes a tenth of the time
    return Run(
        run_id=run_id,
        session_id=session_id,
        run_type=kind,
        agent_id=agent,
        team_id=team,
        workflow_id=workflow,
        user_id=user,
        parent_run_id=parent,
        status=status,
        run_index=index,
        run_data=text,
        created_at=created,
        updated_at=updated,
        extra=_extra(row, found.run_fields, known),
    )


def _extra(row: Sequence[Any], fields: Sequence[str], known: int) -> Mapping[str, object]:
    """Columns that are not Agno's stand behind those that are."""
    return {} if len(fields) == known else dict(zip(fields[known:], row[known:], strict=False))


def read_session(
    cursor: DBCursor, found: Statements, session_id: str, *, lock: bool = False
) -> Session:
    session = _session_taken_for(cursor, found, session_id, lock=lock)
    if session is None or session.session_id != session_id:
        raise SessionNotFoundError(session_id)
    return session


def _session_taken_for(
    cursor: DBCursor, found: Statements, session_id: str, *, lock: bool
) -> Session | None:
    """The row the database finds by an id; a collation may find another id's."""
    if not fits(session_id, found.can):
        return None
    cursor.execute(found.session(lock=lock), [session_id])
    row = cursor.fetchone()
    return None if row is None else to_session(row, found)


def stored_session(cursor: DBCursor, found: Statements, session_id: str) -> Session | None:
    """Locked. RecordRejectedError when the table takes another id for this one."""
    session = _session_taken_for(cursor, found, session_id, lock=True)
    if session is not None and session.session_id != session_id:
        raise collision(session_id, "session_id", session.session_id)
    return session


def collision(session_id: str, column: str, stored: str) -> RecordRejectedError:
    reason = f"is taken for the stored {stored!r}: this table ignores case or trailing blanks"
    return RecordRejectedError(session_id, column, reason)


def raw_blob(cursor: DBCursor, found: Statements, session_id: str) -> Document | None:
    if not found.has_blob:
        return None
    cursor.execute(found.blob(), [session_id])
    row = cursor.fetchone()
    return document(row[0]) if row else None


def read_blob(cursor: DBCursor, found: Statements, session: Session) -> list[Run]:
    """The runs that Agno 2 left in the session row."""
    return list(legacy.blob_runs(raw_blob(cursor, found, session.session_id), session))


def stream(
    cursor: DBCursor, found: Statements, statements: Sequence[Statement]
) -> Generator[Any, None, None]:
    """To be closed, when it is not read to its end."""
    yield from found.dialect.stream(cursor, statements)


def newest_runs(cursor: DBCursor, found: Statements, session_id: str, number: int) -> list[Run]:
    """The last rows of the runs table, oldest first."""
    if not found.has_runs:
        return []
    cursor.execute(*found.newest_runs(session_id, number))
    return [to_run(row, found) for row in reversed(cursor.fetchall())]


def run_order(
    cursor: DBCursor, found: Statements, session_id: str
) -> list[tuple[str, int | None, str | None]]:
    """(run_id, run_index, status) of the rows of the runs table, in order."""
    if not found.has_runs:
        return []
    cursor.execute(found.run_order(), [session_id])
    return cursor.fetchall()


def run_facts(
    cursor: DBCursor, found: Statements, session_ids: Sequence[str]
) -> dict[str, tuple[int, str | None]]:
    """Number of runs and last run's status, by session id."""
    if not session_ids:
        return {}
    facts: dict[str, tuple[int, str | None]] = {}
    if found.has_runs:
        cursor.execute(found.run_counts(len(session_ids)), session_ids)
        counted = cursor.fetchall()
        status = _last_statuses(cursor, found, [(one, highest) for one, _, highest in counted])
        facts = {one: (count, status.get(one)) for one, count, _ in counted}
    if found.has_blob:
        _add_blob_facts(cursor, found, session_ids, facts)
    return facts


def _last_statuses(
    cursor: DBCursor, found: Statements, highest: Sequence[tuple[str, int | None]]
) -> dict[str, str | None]:
    status: dict[str, str | None] = {}
    size = found.dialect.max_parameters // 2
    for start in range(0, len(highest), size):
        cursor.execute(*found.last_statuses(highest[start : start + size]))
        status.update(cursor.fetchall())
    return status


def _add_blob_facts(
    cursor: DBCursor,
    found: Statements,
    session_ids: Sequence[str],
    facts: dict[str, tuple[int, str | None]],
) -> None:
    cursor.execute(found.sessions_of(len(session_ids), with_blob=True), session_ids)
    for row in cursor.fetchall():
        session = to_session(row[:-1], found)
        try:
            blob = list(legacy.blob_runs(document(row[-1]), session))
        except CodecError:
            continue
        if blob:
            facts[session.session_id] = _merged_facts(
                blob, run_order(cursor, found, session.session_id)
            )


def _merged_facts(
    blob: Sequence[Run], table: Sequence[tuple[str, int | None, str | None]]
) -> tuple[int, str | None]:
    status = {run.run_id: run.status for run in blob}
    status |= {run_id: status for run_id, _, status in table}
    return len(status), status[list(status)[-1]]


def report(cursor: DBCursor, found: Statements, address: str) -> BackendReport:
    tables, names = found.tables, found.dialect.table_names(cursor)
    stamped = tables.versions in names
    if stamped:
        cursor.execute(found.versions(), [])
    versions = dict(cursor.fetchall()) if stamped else {}
    layout = "v3" if not found.has_blob else "mixed" if found.has_runs else "v2"
    return BackendReport(
        address=address,
        layout=layout,
        sessions=_count(cursor, found, tables.sessions),
        runs=_count_runs(cursor, found),
        versions=versions,
        tables=names,
        others=_others(cursor, found),
        notes=(
            *_notes(found, versions),
            *(
                legacy.agno_1_note(f"table {one!r}")
                for one in agno_1_tables(cursor, found.dialect, names)
            ),
        ),
    )


def _others(cursor: DBCursor, found: Statements) -> Mapping[str, int]:
    ours = {found.tables.sessions, found.tables.runs, found.tables.versions, LEDGER}
    others = (one for one in found.dialect.full_tables(cursor) if one not in ours)
    return {one: _count(cursor, found, one) for one in others}


def agno_1_tables(cursor: DBCursor, dialect: Dialect, tables: Sequence[str]) -> list[str]:
    """Those of these tables that are Agno 1's."""
    return [one for one in tables if legacy.is_agno_1(dialect.table_columns(cursor, one))]


def _count(cursor: DBCursor, found: Statements, table: str) -> int:
    cursor.execute(found.count(table), [])
    return int(cursor.fetchone()[0])


def _count_runs(cursor: DBCursor, found: Statements) -> int:
    if not found.has_blob:
        return _count(cursor, found, found.tables.runs)
    total, after = 0, None
    while ids := session_ids(cursor, found, after):
        total += sum(count for count, _ in run_facts(cursor, found, ids).values())
        after = ids[-1]
    return total


def session_ids(cursor: DBCursor, found: Statements, after: str | None) -> list[str]:
    """The next ids in the order of a scan; none at the end."""
    bound = [found.dialect.max_parameters]
    cursor.execute(found.session_ids(after is None), bound if after is None else [after, *bound])
    return [one for (one,) in cursor.fetchall()]


def _notes(found: Statements, versions: Mapping[str, str]) -> tuple[str, ...]:
    notes = []
    if found.has_blob:
        notes.append("runs of Agno 2 are inside the session rows; they are read from there")
    if not found.has_runs:
        notes.append(f"no table {found.tables.runs!r} yet: the first write makes it")
    for table in (found.tables.sessions, found.tables.runs):
        if table not in versions:
            notes.append(f"no version stamp for {table!r}; Agno takes that for 2.0.0")
    return tuple(notes)
