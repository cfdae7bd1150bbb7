"""Why there are no tables of sessions, or none that can be used."""

from __future__ import annotations

from collections.abc import Sequence

from agnocli.db.sql import rows
from agnocli.db.sql.dialect import DBCursor, Dialect
from agnocli.errors import BackendError, BackendNotSetUpError, LayoutError
from agnocli.layout import legacy
from agnocli.layout.names import Tables
from agnocli.records import RUN_COLUMNS, SESSION_COLUMNS


def absence(cursor: DBCursor, dialect: Dialect, tables: Tables, address: str) -> BackendError:
    others = dialect.table_names(cursor)
    if not others or tables.sessions in others:  # another program has made it at this moment
        return nothing_there(address)
    if old := rows.agno_1_tables(cursor, dialect, others):
        named = [f"table {one!r}" for one in old]
        return legacy.agno_1(address, named, hint=legacy.MIGRATE + legacy.BESIDE)
    return LayoutError(
        f"{address} has no table {tables.sessions!r}; it has {', '.join(others[:5])}",
        hint="is it another program's? name the right table with session_table, or make Agno's tables there: agno backends init",
    )


def check_columns(
    address: str, tables: Tables, sessions: Sequence[str], runs: Sequence[str]
) -> None:
    """LayoutError for a table that is there and is Agno 1's or another program's."""
    if legacy.is_agno_1(sessions):
        raise legacy.agno_1(address, [f"table {tables.sessions!r}"])
    for table, found, wanted in (
        (tables.sessions, sessions, SESSION_COLUMNS),
        (tables.runs, runs, RUN_COLUMNS),
    ):
        if found and (missing := [one for one in wanted if one not in found]):
            raise LayoutError(
                f"{address}: table {table!r} is not Agno 2's or 3's: it has no column {missing[0]!r}",
                hint="choose another table with session_table",
            )


def nothing_there(address: str) -> BackendNotSetUpError:
    return BackendNotSetUpError(
        f"nothing has been stored at {address} yet",
        hint="the first `agno chat` makes it; `agno backends list` shows where else to look",
    )
