"""The driver's connection and cursor, with text that need not be Unicode."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Self, TypeVar

from agnocli.db.sql.dialect import Weigh

Fetched = TypeVar("Fetched")


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


class Connection(sqlite3.Connection):
    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or Cursor)


class Cursor(sqlite3.Cursor):
    """Many rows are decoded by the driver itself, as long as all they hold is Unicode."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        self._asked = sql, parameters
        super().execute(sql, parameters)
        return self

    def fetchall(self) -> list[Any]:
        return self._decoded(super().fetchall)

    def fetch_within(self, weigh: Weigh, most: int) -> list[Any] | None:
        def fetch() -> list[Any] | None:
            found, weight = [], 0
            for row in self:
                weight += weigh(row)
                if weight > most:
                    return None
                found.append(row)
            return found

        return self._decoded(fetch)

    def _decoded(self, fetch: Callable[[], Fetched]) -> Fetched:
        self.connection.text_factory = str
        try:
            return fetch()
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                raise
        finally:
            self.connection.text_factory = text
        super().execute(*self._asked)
        return fetch()
