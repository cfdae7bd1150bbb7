from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from agnocli.db.sqlite import SqliteDb
from agnocli.layout.names import RUNS, SESSIONS
from tests.harness import CUT_OFF, NO_TEXT


class Harness:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "a folder"
        self._file = self._folder / "agno.db"

    def open(self) -> SqliteDb:
        return SqliteDb(db_file=self._file)

    def reopen(self) -> SqliteDb:
        return SqliteDb(db_file=self._file)

    def read_only(self) -> SqliteDb:
        return SqliteDb(db_file=self._file, read_only=True)

    def opener(self) -> Callable[[], SqliteDb]:
        return partial(SqliteDb, db_file=self._file)

    def add_column(self, table: str, name: str) -> None:
        physical = {"sessions": SESSIONS, "runs": RUNS}[table]
        with closing(sqlite3.connect(self._file)) as connection:
            connection.execute(f'ALTER TABLE {physical} ADD COLUMN "{name}" VARCHAR')

    def lose_session(self, session_id: str) -> bool:
        with closing(sqlite3.connect(self._file)) as connection, connection:
            connection.execute(f"DELETE FROM {SESSIONS} WHERE session_id = ?", [session_id])
        return True

    def damage(self, session_id: str, part: str) -> bytes | None:
        if part != "old runs":
            return None
        with closing(sqlite3.connect(self._file)) as connection, connection:
            connection.execute(f"ALTER TABLE {SESSIONS} ADD COLUMN runs JSON")
            connection.execute(
                f"UPDATE {SESSIONS} SET runs = CAST(? AS TEXT) WHERE session_id = ?",
                [CUT_OFF + NO_TEXT, session_id],
            )
        return CUT_OFF + NO_TEXT

    def fingerprint(self) -> Mapping[str, str]:
        if not self._folder.exists():
            return {}
        found = {path.name: path.read_bytes() for path in self._folder.iterdir()}
        return {".": "", **{name: hashlib.sha256(body).hexdigest() for name, body in found.items()}}

    def close(self) -> None:
        """The folder is the test's own."""
