"""What tells that something was written."""

from __future__ import annotations

from collections.abc import Sequence

from agnocli.db.sql.dialect import DBCursor
from agnocli.layout.names import Tables

_END_OF_LOG = ("Innodb_lsn_current", "Innodb_redo_log_current_lsn")
"""As MariaDB and MySQL 8 name it."""


def sums(columns: Sequence[str]) -> str:
    return ", ".join(f"SUM(CRC32({one}))" for one in columns)


def version(database: str, cursor: DBCursor, tables: Tables) -> str | None:
    """The end of InnoDB's log, which any change moves and any commit; None for tables that are not kept there."""
    cursor.execute(
        "SELECT COUNT(*) FROM information_schema.tables"
        " WHERE table_schema = %s AND table_name IN (%s, %s) AND engine = 'InnoDB'",
        [database, tables.sessions, tables.runs],
    )
    if cursor.fetchone()[0] != 2:
        return None
    cursor.execute("SHOW GLOBAL STATUS WHERE Variable_name IN (%s, %s)", _END_OF_LOG)
    found = cursor.fetchone()
    return None if found is None else str(found[1])
