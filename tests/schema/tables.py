"""Agno 3's tables in SQLAlchemy Core, which owns their DDL: `python -m tests.schema.tables` writes agnocli/db/sql/ddl.

It is compiled here and not where tables are made, because SQLAlchemy takes a third of a second to import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, registry
from sqlalchemy.schema import CreateIndex, CreateTable

from agnocli.db.sql.indexes import ORDER_INDEX, RUN_INDEXES, SESSION_INDEXES, index_name
from agnocli.db.sql.schema import DDL
from agnocli.records import SESSION_DOCUMENTS


class Kinds(msgspec.Struct, frozen=True):
    """What Agno does differently on each database. `text` takes a length, which not all use."""

    schema: str | None = None
    text: Callable[[int], Any] = lambda length: sa.String()
    reference: Callable[[int], Any] = lambda length: sa.String()
    document: Callable[[], Any] = sa.JSON
    order_index: str = ORDER_INDEX


DIALECTS = {
    "sqlite": Kinds(),
    "postgresql": Kinds(schema="{schema}", document=postgresql.JSONB),
    "mysql": Kinds(
        schema="{schema}",
        text=lambda length: mysql.VARCHAR(length, collation="{collation}"),
        reference=lambda length: mysql.VARCHAR(length, collation="{referring}"),
        order_index="{}_runs_session_id_run_index",
    ),
}


def compiled(dialect: str) -> Iterator[tuple[Path, str]]:
    """(file, statements with blanks for names) of each table: what makes it, then its indexes."""
    kinds, compiler = DIALECTS[dialect], registry.load(dialect)()
    metadata = sa.MetaData(schema=kinds.schema)
    for table in (_sessions(metadata, kinds), _runs(metadata, kinds), _versions(metadata, kinds)):
        indexes = sorted(table.indexes, key=lambda one: str(one.name))
        elements: list[Any] = [CreateTable(table), *map(CreateIndex, indexes)]
        statements = [str(one.compile(dialect=compiler)).strip() for one in elements]
        text = "".join(f"{one};\n" for one in statements)
        yield DDL / dialect / f"{table.name.strip('{}')}.sql", text.replace(", \n", ",\n")


def _sessions(metadata: sa.MetaData, kinds: Kinds) -> sa.Table:
    name, text, document = "{sessions}", kinds.text, kinds.document
    return sa.Table(
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


def _runs(metadata: sa.MetaData, kinds: Kinds) -> sa.Table:
    name, text = "{runs}", kinds.text
    (sessions,) = metadata.tables.values()
    owner = sa.ForeignKey(sessions.c.session_id, ondelete="CASCADE")
    optional = ("agent_id", "team_id", "workflow_id", "user_id", "parent_run_id")
    return sa.Table(
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


def _versions(metadata: sa.MetaData, kinds: Kinds) -> sa.Table:
    name, text = "{versions}", kinds.text
    return sa.Table(
        name,
        metadata,
        sa.Column("table_name", text(128), primary_key=True),
        sa.Column("version", text(10), nullable=False),
        sa.Column("created_at", text(128), nullable=False),
        sa.Column("updated_at", text(128)),
        sa.Index(index_name(name, "created_at"), "created_at"),
        mysql_charset="utf8mb4",
    )


if __name__ == "__main__":
    for one in DIALECTS:
        for path, text in compiled(one):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
