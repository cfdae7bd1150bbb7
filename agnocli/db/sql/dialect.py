"""What differs between SQL databases, as one value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import msgspec

from agnocli.abc import Capabilities
from agnocli.errors import AgnoCLIError
from agnocli.layout.names import Tables
from agnocli.layout.portable import reject_unholdable
from agnocli.records import Run, Session


class DBCursor(Protocol):
    """The part of a DB-API cursor that is used."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> object: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> object: ...


class Connection(Protocol):
    """A DB-API connection in autocommit mode; transactions are begun in words."""

    def cursor(self) -> DBCursor: ...

    def close(self) -> object: ...


Statement = tuple[str, Sequence[Any]]
"""SQL and what is bound to it."""
Weigh = Callable[[Sequence[Any]], int]
"""Bytes of a row's documents."""
FetchWithin = Callable[[Any, Weigh, int], list[Any] | None]


class Insert(msgspec.Struct, frozen=True):
    """Rows of which table and columns are to be inserted."""

    statement: str
    """For one row, with placeholders."""
    table: str
    """Quoted, where nothing is bound."""
    into: str
    """Table and columns as they stand behind INSERT INTO or COPY, where nothing is bound."""
    columns: tuple[str, ...]
    documents: frozenset[int]
    """Which of the columns, counted from 0, are JSON: their values are bytes."""


def no_check(record: Session | Run, capabilities: Capabilities) -> None:
    """All that cannot be held is refused."""


def row_by_row(cursor: DBCursor, insert: Insert, rows: Iterable[Sequence[Any]]) -> None:
    cursor.executemany(insert.statement, rows)


def one_by_one(cursor: DBCursor, statements: Sequence[Statement]) -> Iterator[Any]:
    """Rows of statements, for a driver whose cursors hold no more of a result than was asked for."""
    for sql, bound in statements:
        cursor.execute(sql, bound)
        yield from cursor


def _never(error: BaseException | None) -> bool:
    return False


def _always(connection: Any) -> bool:
    return True


def _nothing_special(cursor: DBCursor) -> AbstractContextManager[None]:
    return nullcontext()


def _unknown(cursor: DBCursor, tables: Tables) -> None:
    return None


def sums_of_lengths(columns: Sequence[str]) -> str:
    return ", ".join(f"SUM(LENGTH({one}))" for one in columns)


def as_declared(cursor: DBCursor, capabilities: Capabilities) -> Capabilities:
    return capabilities


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is SQLAlchemy's. In templates {} stands for a column or a placeholder."""

    name: str
    capabilities: Capabilities
    errors: tuple[type[Exception], ...]
    translate: Callable[[Exception, str], AgnoCLIError]
    """A driver's exception and the address it came from, as ours."""
    table_columns: Callable[[DBCursor, str], tuple[str, ...]]
    """Column names in order; empty when there is no such table."""
    table_names: Callable[[DBCursor], tuple[str, ...]]
    full_tables: Callable[[DBCursor], tuple[str, ...]]
    """Tables whose rows can be counted: no views."""
    index_names: Callable[[DBCursor, str], Collection[str]] | None = None
    """Of a table; None where a load puts off no index."""
    placeholder: str = "?"
    quote: str = '"'
    read_document: str = "{}"
    bind_document: str = "{}"
    size: str = "LENGTH({})"
    """The bytes of a document, or nearly so, without handing it over."""
    marks: Callable[[Sequence[str]], str] = sums_of_lengths
    """Aggregates over these columns of which one is another when a value changes."""
    version: Callable[[DBCursor, Tables], str | None] = _unknown
    """What is another one after any write to these tables; None where that cannot be told at once."""
    begin_write: str = "BEGIN"
    begin_read: tuple[str, ...] = ("BEGIN",)
    """From here to ROLLBACK all is read as of one moment, many rows by an index, and nothing waits for it."""
    keeps_moments: Callable[[DBCursor], bool] = _always
    """Whether nothing waits for a reader who stays in one, as things are now."""
    lock_row: str = ""
    """Ends a SELECT that locks its rows until the transaction ends."""
    long_text: str = "TEXT"
    """The type of a column for any number of characters."""
    max_parameters: int = 500
    schema: str | None = None
    """Where the tables are, if that must be said."""
    id_order: str = "{}"
    """An id, to be compared by code points."""
    exact: str = "{} = {}"
    """Whether a column is just that text, case and blanks included."""
    nulls_first: bool = True
    """Whether NULL sorts before all else; where it sorts behind, runs without index are read on their own."""
    id_collations: Callable[[DBCursor, str], tuple[str | None, str | None]] = lambda cursor, table: (
        None,
        None,
    )
    """For text columns that are made, where the default one takes different ids for one; and for those that refer to
    a sessions table of that name."""
    stream: Callable[[DBCursor, Sequence[Statement]], Iterator[Any]] = one_by_one
    """Rows of one statement after the other, of one moment, in bounded memory; may be left half-read."""
    fetch_within: FetchWithin | None = None
    """All rows of a result, or None once they weigh more, for a driver whose cursors hold no more of it than was asked
    for: trying is cheaper than asking for sizes first."""
    bulk: Callable[[DBCursor, Insert, Iterable[Sequence[Any]]], None] = row_by_row
    """Many rows at once, in the order of its columns. What it leaves behind after an error is rolled back."""
    check: Callable[[Session | Run, Capabilities], None] = reject_unholdable
    """Finds what cannot be held and would not be refused by `bulk` either."""
    alive: Callable[[Any], bool] = _always
    """Whether a connection that lay idle can still be used; asks no server."""
    creating: Callable[[DBCursor], AbstractContextManager[None]] = _nothing_special
    """Around the making of tables, within a transaction: keeps others from making them too."""
    limits: Callable[[DBCursor, Capabilities], Capabilities] = as_declared
    """What this server can hold, once connected."""
    is_duplicate: Callable[[BaseException | None], bool] = _never
    """A key is taken: somebody else was quicker."""
    is_unfit: Callable[[BaseException | None], bool] = _never
    """A value that the database cannot hold."""
    is_undone: Callable[[BaseException | None], bool] = _never
    """The database gave the transaction up, as in a deadlock: all of it may be done again."""

    def escaped(self, identifier: str) -> str:
        """As it stands between quotes, in a statement that values are bound to."""
        escaped = identifier.replace(self.quote, self.quote * 2)
        return escaped.replace("%", "%%") if self.doubles_percent else escaped

    @property
    def doubles_percent(self) -> bool:
        return "%" in self.placeholder
