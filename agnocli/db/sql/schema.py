"""Agno 3's tables: DDL as SQLAlchemy compiles it from tests/schema/tables.py, with blanks for names; version stamps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec.structs import asdict

from agnocli.db.sql.dialect import Dialect
from agnocli.layout.names import SCHEMA_VERSION, Tables

DDL = Path(__file__).with_name("ddl")
_PLAIN = re.compile("|ai|agno_[a-z0-9_]*")
"""Names that stand without quotes, as Agno writes them: none is a word of SQL."""


def creation(
    dialect: Dialect,
    tables: Tables,
    missing: set[str],
    collation: str | None,
    referring: str | None,
) -> Iterator[str]:
    """DDL for the missing ones of the three tables, each with its indexes, in an order that can be executed."""
    for logical, name in asdict(tables).items():
        if name in missing:
            for statement in _statements(dialect, logical):
                yield _filled(dialect, statement, tables, collation=collation, referring=referring)


def indexes(dialect: Dialect, tables: Tables) -> Iterator[tuple[str, str]]:
    """(name, DDL) of the indexes of sessions and runs."""
    for logical in ("sessions", "runs"):
        _, *statements = _statements(dialect, logical)
        for statement in statements:
            _, name, _ = statement.split(dialect.quote, 2)
            yield name.format_map(asdict(tables)), _filled(dialect, statement, tables)


def _statements(dialect: Dialect, logical: str) -> list[str]:
    """The one that makes the table, then those that make its indexes."""
    return (DDL / dialect.name / f"{logical}.sql").read_text("utf-8").split(";\n")[:-1]


def _filled(dialect: Dialect, statement: str, tables: Tables, **collations: str | None) -> str:
    names = {"schema": dialect.schema or "", **asdict(tables)}
    if all(map(_PLAIN.fullmatch, names.values())):
        return statement.replace(dialect.quote, "").format_map(names | collations)
    escaped = {blank: dialect.escaped(name) for blank, name in names.items()}
    return statement.format_map(escaped | collations)


def stamps(tables: Tables, missing: set[str]) -> Iterator[tuple[str, str, str, str]]:
    """Version rows (table_name, version, created_at, updated_at) for tables just made; local time, as Agno."""
    now = datetime.now().isoformat()  # noqa: DTZ005 - Agno writes naive local time
    for name in (tables.sessions, tables.runs):
        if name in missing:
            yield name, SCHEMA_VERSION, now, now
