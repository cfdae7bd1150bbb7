"""What tells that a session has changed, without its bodies leaving the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agnocli.db.sql import rows
from agnocli.db.sql.connections import Connections
from agnocli.db.sql.dialect import DBCursor
from agnocli.db.sql.statements import Statements
from agnocli.layout.marks import mark


def marks(
    connections: Connections, statements: Callable[[DBCursor], Statements]
) -> Iterator[tuple[str, str]]:
    """Each chunk is of a moment of its own: nothing is open while the reader takes its time."""
    after = None
    while True:
        with connections.reading() as cursor:
            found = statements(cursor)
            ids = rows.session_ids(cursor, found, after)
            chunk = _marks(cursor, found, ids) if ids else []
        yield from chunk
        if not ids:
            return
        after = ids[-1]


def _marks(cursor: DBCursor, found: Statements, ids: list[str]) -> list[tuple[str, str]]:
    of_runs: dict[str, tuple[object, ...]] = {}
    if found.has_runs:
        cursor.execute(found.run_marks(len(ids)), ids)
        of_runs = {one: tuple(facts) for one, *facts in cursor.fetchall()}
    cursor.execute(found.session_marks(len(ids)), ids)
    return [
        (one, mark(changed, *facts, *of_runs.get(one, ())))
        for one, changed, *facts in cursor.fetchall()
    ]
