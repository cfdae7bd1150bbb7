"""Agno 3's tables as SQLAlchemy Core sees them. Imported only when tables are made: it costs a third of a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateIndex, CreateTable

from agnocli.db.sql.indexes import ORDER_INDEX, RUN_INDEXES, SESSION_INDEXES, index_name
from agnocli.layout.names import SCHEMA_VERSION, Tables
from agnocli.records import SESSION_DOCUMENTS


def creation(
    dialect: str,
    tables: Tables,
    missing: set[str],
    schema: str | None = None,
    collation: str | None = None,
    referring: str | None = None,
) -> Iterator[str]:
    """DDL for the missing ones of the three tables, each with its indexes, in an order that can be executed."""
    compiler = registry.load(dialect)()
    metadata = _metadata(tables, schema, _kinds(dialect, collation, referring))
    for table in metadata.sorted_tables:
        if table.name in missing:
            yield str(CreateTable(table).compile(dialect=compiler))
            yield from (statement for _, statement in _indexes(table, compiler))


def indexes(dialect: str, tables: Tables, schema: str | None = None) -> Iterator[tuple[str, str]]:
    """(name, DDL) of the indexes of sessions and runs."""
    metadata = _metadata(tables, schema, _kinds(dialect, None, None))
    compiler = registry.load(dialect)()
    for table in metadata.sorted_tables:
        if table.name != tables.versions:
            yield from _indexes(table, compiler)


def _indexes(table: sa.Table, compiler: sa.Dialect) -> Iterator[tuple[str, str]]:
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        yield str(index.name), str(CreateIndex(index).compile(dialect=compiler))


def stamps(tables: Tables, missing: set[str]) -> Iterator[tuple[str, str, str, str]]:
    """Version rows (table_name, version, created_at, updated_at) for tables just made; local time, as Agno."""
    now = datetime.now().isoformat()  # noqa: DTZ005 - Agno writes naive local time
    for name in (tables.sessions, tables.runs):
        if name in missing:
            yield name, SCHEMA_VERSION, now, now


def _metadata(tables: Tables, schema: str | None, kinds: _Kinds) -> sa.MetaData:
    metadata = sa.MetaData(schema=schema)
    text = kinds.text
    _sessions(metadata, tables.sessions, kinds)
    _runs(metadata, tables, kinds)
    sa.Table(
        tables.versions,
        metadata,
        sa.Column("table_name", text(128), primary_key=True),
        sa.Column("version", text(10), nullable=False),
        sa.Column("created_at", text(128), nullable=False),
        sa.Column("updated_at", text(128)),
        sa.Index(f"idx_{tables.versions}_created_at", "created_at"),
        mysql_charset="utf8mb4",
    )
    return metadata


class _Kinds(msgspec.Struct, frozen=True):
    """What Agno does differently on each database. `text` takes a length, which not all use."""

    text: Callable[[int], Any] = lambda length: sa.String()
    reference: Callable[[int], Any] = lambda length: sa.String()
    document: Callable[[], Any] = sa.JSON
    order_index: str = ORDER_INDEX


def _kinds(dialect: str, collation: str | None, referring: str | None) -> _Kinds:
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import JSONB

        return _Kinds(document=JSONB)
    if dialect == "mysql":
        from sqlalchemy.dialects.mysql import VARCHAR

        return _Kinds(
            text=lambda length: VARCHAR(length, collation=collation),
            reference=lambda length: VARCHAR(length, collation=referring),
            order_index="{}_runs_session_id_run_index",
        )
    return _Kinds()


def _sessions(metadata: sa.MetaData, name: str, kinds: _Kinds) -> None:
    text, document = kinds.text, kinds.document
    sa.Table(
        name,
        metadata,
        sa.Column("session_id", text(128), primary_key=True),
        sa.Column("session_type", text(20), nullable=False),
        *(sa.Column(f"{owner}_id", text(128)) for owner in ("agent", "team", "workflow", "user")),
        *(sa.Column(column, document()) for column in SESSION_DOCUMENTS),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger),
        *(sa.Index(index_name(name, column), column) for column in SESSION_INDEXES),
        mysql_charset="utf8mb4",
    )


def _runs(metadata: sa.MetaData, tables: Tables, kinds: _Kinds) -> None:
    name, text = tables.runs, kinds.text
    sessions = metadata.tables[_qualified(metadata, tables.sessions)]
    owner = sa.ForeignKey(sessions.c.session_id, ondelete="CASCADE")
    optional = ("agent_id", "team_id", "workflow_id", "user_id", "parent_run_id")
    sa.Table(
        name,
        metadata,
        sa.Column("run_id", text(128), primary_key=True),
        sa.Column("session_id", kinds.reference(128), owner, nullable=False),
        sa.Column("run_type", text(20), nullable=False),
        *(sa.Column(column, text(128)) for column in optional),
        sa.Column("status", text(50)),
        sa.Column("run_index", sa.BigInteger),
        sa.Column("run_data", kinds.document(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger),
        *(sa.Index(index_name(name, column), column) for column in RUN_INDEXES),
        sa.Index(kinds.order_index.format(name), "session_id", "run_index"),
        mysql_charset="utf8mb4",
    )


def _qualified(metadata: sa.MetaData, table: str) -> str:
    return table if metadata.schema is None else f"{metadata.schema}.{table}"
