from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pymysql

from agnocli.db.mysql import MySQLDb
from agnocli.layout.names import RUNS, SESSIONS, VERSIONS
from tests.harness import CUT_OFF, servers


class Harness:
    """A database of its own, and a user to know its connections by."""

    def __init__(self, folder: Path) -> None:
        self.server = servers.url("mysql")
        # databases called test_… are open to everybody in a fresh MariaDB
        self.schema = f"of_test_{uuid4().hex[:16]}"
        parts = urlsplit(self.server)
        self.url = f"mysql://{self.schema}:pw@{parts.hostname}:{parts.port or 3306}/nowhere"
        self.execute(f"CREATE USER {self.schema} IDENTIFIED BY 'pw'")
        self.execute(f"GRANT ALL ON {self.schema}.* TO {self.schema}")

    def open(self) -> MySQLDb:
        return self.opener()()

    def reopen(self) -> MySQLDb:
        return self.opener()()

    def read_only(self) -> MySQLDb:
        return MySQLDb(self.url, db_schema=self.schema, read_only=True)

    def opener(self) -> Callable[[], MySQLDb]:
        return partial(MySQLDb, self.url, db_schema=self.schema)

    def execute(self, sql: str, *bound: object) -> list[Any]:
        """As somebody who may do all."""
        with self._cursor() as cursor:
            cursor.execute(sql, bound or None)
            return list(cursor.fetchall())

    @contextmanager
    def _cursor(self) -> Iterator[pymysql.cursors.Cursor]:
        connection = pymysql.connect(**self.connecting(), autocommit=True)
        with closing(connection), connection.cursor() as cursor:
            yield cursor

    def connecting(self) -> dict[str, Any]:
        parts = urlsplit(self.server)
        return {
            "host": parts.hostname,
            "port": parts.port or 3306,
            "user": parts.username or "root",
            "password": parts.password or "",
            "charset": "utf8mb4",
            "ssl_disabled": True,
        }

    def add_column(self, table: str, name: str) -> None:
        physical = {"sessions": SESSIONS, "runs": RUNS}[table]
        self.execute(f"ALTER TABLE {self.schema}.{physical} ADD COLUMN `{name}` VARCHAR(200)")

    def lose_session(self, session_id: str) -> bool:
        with self._cursor() as cursor:
            cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
            cursor.execute(
                f"DELETE FROM {self.schema}.{SESSIONS} WHERE session_id = %s", [session_id]
            )
        return True

    def damage(self, session_id: str, part: str) -> bytes | None:
        if part != "old runs":
            return None
        self.execute(f"ALTER TABLE {self.schema}.{SESSIONS} ADD COLUMN runs LONGTEXT")
        spoil = f"UPDATE {self.schema}.{SESSIONS} SET runs = %s WHERE session_id = %s"
        self.execute(spoil, CUT_OFF.decode(), session_id)
        return CUT_OFF

    def fingerprint(self) -> Mapping[str, str]:
        where = "FROM information_schema.tables WHERE table_schema = %s"
        tables = self.execute(f"SELECT table_name {where}", self.schema)
        exists = self.execute(
            "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", self.schema
        )
        found = {
            name: str(self.execute(f"SELECT * FROM {self.schema}.`{name}`")) for (name,) in tables
        }
        return {".": "", **found} if exists else {}

    def shape(self) -> object:
        """Its tables to the letter, and the versions they are stamped with."""
        with self._cursor() as cursor:
            if not cursor.execute("SHOW DATABASES LIKE %s", [self.schema]):
                return None
            cursor.execute(f"USE {self.schema}")
            cursor.execute("SHOW TABLES")
            made = {}
            for (name,) in list(cursor.fetchall()):
                cursor.execute(f"SHOW CREATE TABLE `{name}`")
                made[name] = cursor.fetchall()
            if VERSIONS in made:
                cursor.execute(f"SELECT table_name, version FROM {VERSIONS} ORDER BY 1")
            return made, cursor.fetchall()

    def empty(self) -> int:
        with self._cursor() as cursor:
            return sum(
                cursor.execute(f"DELETE FROM {self.schema}.{one}") for one in (RUNS, SESSIONS)
            )

    def close(self) -> None:
        left = self.left_connected()
        self.execute(f"DROP DATABASE IF EXISTS {self.schema}")
        self.execute(f"DROP USER {self.schema}")
        assert not left, f"left connected: {left}"

    def left_connected(self) -> list[Any]:
        """Those of the test, after the server had time to notice that they ended."""
        wanted = "SELECT id, command, info FROM information_schema.processlist WHERE user = %s"
        for _ in range(2000):
            if not (left := self.execute(wanted, self.schema)):
                return []
            time.sleep(0.005)
        for number, *_ in left:
            self.execute(f"KILL {number}")
        return left
