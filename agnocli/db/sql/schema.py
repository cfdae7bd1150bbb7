"""Agno 3's tables as SQLAlchemy Core sees them. Imported only when tables are made: it costs a third of a second."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateIndex, CreateTable

from agnocli.layout.names import SCHEMA_VERSION, Tables
from agnocli.records import SESSION_DOCUMENTS

_RUN_INDEXES = (
    "session_id",
    "run_type",
    "agent_id",
    "team_id",
    "workflow_id",
    "user_id",
    "status",
    "created_at",
)


def creation(dialect: str, tables: Tables, missing: set[str]) -> Iterator[str]:
    """DDL for the missing ones of the three tables, each with its indexes, in an order that can be executed."""
    compiler = registry.load(dialect)()
    for table in _metadata(tables).sorted_tables:
        if table.name in missing:
            yield str(CreateTable(table).compile(dialect=compiler))
            for index in sorted(table.indexes, key=lambda one: str(one.name)):
                yield str(CreateIndex(index).compile(dialect=compiler))


def stamps(tables: Tables, missing: set[str]) -> Iterator[tuple[str, str, str, str]]:
    """Version rows (table_name, version, created_at, updated_at) for tables just made; local time, as Agno."""
    now = datetime.now().isoformat()  # noqa: DTZ005 - Agno writes naive local time
    for name in (tables.sessions, tables.runs):
        if name in missing:
            yield name, SCHEMA_VERSION, now, now


def _metadata(tables: Tables) -> sa.MetaData:
    metadata = sa.MetaData()
    _sessions(metadata, tables.sessions)
    _runs(metadata, tables)
    sa.Table(
        tables.versions,
        metadata,
        sa.Column("table_name", sa.String, primary_key=True),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("updated_at", sa.String),
        sa.Index(f"idx_{tables.versions}_created_at", "created_at"),
    )
    return metadata


def _sessions(metadata: sa.MetaData, name: str) -> None:
    sa.Table(
        name,
        metadata,
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("session_type", sa.String, nullable=False),
        *(sa.Column(f"{owner}_id", sa.String) for owner in ("agent", "team", "workflow", "user")),
        *(sa.Column(document, sa.JSON) for document in SESSION_DOCUMENTS),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger),
        *(sa.Index(f"idx_{name}_{column}", column) for column in ("session_type", "created_at")),
    )


def _runs(metadata: sa.MetaData, tables: Tables) -> None:
    name = tables.runs
    owner = sa.ForeignKey(f"{tables.sessions}.session_id", ondelete="CASCADE")
    optional = ("agent_id", "team_id", "workflow_id", "user_id", "parent_run_id", "status")
    sa.Table(
        name,
        metadata,
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("session_id", sa.String, owner, nullable=False),
        sa.Column("run_type", sa.String, nullable=False),
        *(sa.Column(column, sa.String) for column in optional),
        sa.Column("run_index", sa.BigInteger),
        sa.Column("run_data", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger),
        *(sa.Index(f"idx_{name}_{column}", column) for column in _RUN_INDEXES),
        sa.Index(f"idx_{name}_session_id_run_index", "session_id", "run_index"),
    )
