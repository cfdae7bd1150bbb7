"""Why there are no tables of sessions."""

from __future__ import annotations

from agnocli.db.sql import rows
from agnocli.db.sql.dialect import DBCursor, Dialect
from agnocli.errors import BackendError, BackendNotSetUpError, LayoutError
from agnocli.layout import legacy
from agnocli.layout.names import Tables


def absence(cursor: DBCursor, dialect: Dialect, tables: Tables, address: str) -> BackendError:
    others = dialect.table_names(cursor)
    if not others:
        return nothing_there(address)
    if old := rows.agno_1_tables(cursor, dialect, others):
        named = [f"table {one!r}" for one in old]
        return legacy.agno_1(address, named, hint=legacy.MIGRATE + legacy.BESIDE)
    return LayoutError(
        f"{address} has no table {tables.sessions!r}; it has {', '.join(others[:5])}",
        hint="is it another program's? name the right table with session_table, or make Agno's tables there: agno backends init",
    )


def nothing_there(address: str) -> BackendNotSetUpError:
    return BackendNotSetUpError(
        f"nothing has been stored at {address} yet",
        hint="the first `agno chat` makes it; `agno backends list` shows where else to look",
    )
