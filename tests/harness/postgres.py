from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from agnocli.db.postgres import PostgresDb
from agnocli.layout.names import RUNS, SESSIONS, VERSIONS
from tests.harness import CUT_OFF, as_string, servers

_OURS = "c.relnamespace = to_regnamespace(%s)"
SHAPE = (
    # columns of tables and of indexes, then what is declared of either
    f"""SELECT c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE {_OURS} ORDER BY c.relname, a.attnum""",
    f"""SELECT n.conname, pg_get_constraintdef(n.oid)
    FROM pg_class c JOIN pg_constraint n ON n.conrelid = c.oid WHERE {_OURS} ORDER BY 1, 2""",
    f"""SELECT c.relname, i.indisunique, pg_get_expr(i.indpred, i.indrelid)
    FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE {_OURS} ORDER BY 1""",
)


class Harness:
    """A schema of its own, and an application name to know its connections by."""

    def __init__(self, folder: Path) -> None:
        self.server = servers.url("postgres")
        self.schema = f"of_test_{uuid4().hex[:16]}"
        mark = "&" if "?" in self.server else "?"
        self.url = f"{self.server}{mark}application_name={self.schema}"

    def open(self) -> PostgresDb:
        return self.opener()()

    def reopen(self) -> PostgresDb:
        return self.opener()()

    def read_only(self) -> PostgresDb:
        return PostgresDb(self.url, db_schema=self.schema, read_only=True)

    def opener(self) -> Callable[[], PostgresDb]:
        return partial(PostgresDb, self.url, db_schema=self.schema)

    def execute(self, sql: str, *bound: object) -> list[Any]:
        """As somebody who may do all."""
        with self._connected() as connection:
            cursor = connection.execute(sql.encode(), bound)
            return cursor.fetchall() if cursor.description else []

    def _connected(self) -> closing[psycopg.Connection[Any]]:
        return closing(psycopg.connect(self.server, autocommit=True))

    def add_column(self, table: str, name: str) -> None:
        physical = {"sessions": SESSIONS, "runs": RUNS}[table]
        self.execute(f'ALTER TABLE "{self.schema}".{physical} ADD COLUMN "{name}" VARCHAR')

    def lose_session(self, session_id: str) -> bool:
        with self._connected() as connection:
            connection.execute("SET session_replication_role = replica")  # no trigger of a key
            connection.execute(
                f'DELETE FROM "{self.schema}".{SESSIONS} WHERE session_id = %s'.encode(),
                [session_id],
            )
        return True

    def damage(self, session_id: str, part: str) -> bytes | None:
        """Of what the type lets in: the text of Agno 2's runs, cut off, in a string."""
        if part != "old runs":
            return None
        self.execute(f'ALTER TABLE "{self.schema}".{SESSIONS} ADD COLUMN runs JSONB')
        spoil = f'UPDATE "{self.schema}".{SESSIONS} SET runs = %s WHERE session_id = %s'
        self.execute(spoil, as_string(CUT_OFF), session_id)
        return as_string(CUT_OFF).encode()

    def fingerprint(self) -> Mapping[str, str]:
        exists = self.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", self.schema)
        tables = self.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", self.schema)
        found = {
            name: str(self.execute(f'SELECT xmin, ctid, t::text FROM "{self.schema}"."{name}" t'))
            for (name,) in tables
        }
        return {".": "", **found} if exists else {}

    def shape(self) -> object:
        """Its tables, columns, constraints and indexes, and the versions they are stamped with."""
        with self._connected() as connection:
            connection.execute(f"SET search_path TO {self.schema}")
            found = [connection.execute(sql, [self.schema]).fetchall() for sql in SHAPE]
            if found[0]:
                stamps = f"SELECT table_name, version FROM {VERSIONS} ORDER BY 1"
                found.append(connection.execute(stamps).fetchall())
            return found

    def empty(self) -> int:
        with self._connected() as connection:
            connection.execute(f"SET search_path TO {self.schema}")
            return sum(
                connection.execute(f"DELETE FROM {one}").rowcount for one in (RUNS, SESSIONS)
            )

    def close(self) -> None:
        left = self.left_connected()
        self.execute(f'DROP SCHEMA IF EXISTS "{self.schema}" CASCADE')
        assert not left, f"left connected: {left}"

    def left_connected(self) -> list[Any]:
        """Those of the test, after the server had time to notice that they ended."""
        for _ in range(2000):
            left = self.execute(
                "SELECT pid, state, query FROM pg_stat_activity WHERE application_name = %s",
                self.schema,
            )
            if not left:
                return []
            time.sleep(0.005)
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            self.schema,
        )
        return left
