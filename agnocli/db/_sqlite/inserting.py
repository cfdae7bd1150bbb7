"""Rows by the many. A statement of many rows lets other threads work while it runs; one for each row hardly does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any

from agnocli.db.sql.dialect import DBCursor, Insert

AT_ONCE, PARAMETERS = 64, 999
"""Rows of a statement, and the values that every SQLite takes in one."""


def insert_rows(cursor: DBCursor, insert: Insert, rows: Iterable[Sequence[Any]]) -> None:
    into, _, row = insert.statement.rpartition(" VALUES ")
    number = max(1, min(AT_ONCE, PARAMETERS // len(insert.columns)))
    many = f"{into} VALUES {', '.join([row] * number)}"
    left = iter(rows)
    while some := list(islice(left, number)):
        if len(some) == number:
            cursor.execute(many, list(chain.from_iterable(some)))
        else:
            cursor.executemany(insert.statement, some)
