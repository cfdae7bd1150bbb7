"""What differs between SQL databases, as one value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from agnocli.abc import Capabilities
from agnocli.errors import AgnoCLIError


class DBCursor(Protocol):
    """The part of a DB-API cursor that is used."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> object: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> object: ...


class Connection(Protocol):
    """A DB-API connection in autocommit mode; transactions are begun in words."""

    def cursor(self) -> DBCursor: ...

    def close(self) -> object: ...


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is SQLAlchemy's. In `read_document` and `bind_document`, {} stands for column and placeholder."""

    name: str
    capabilities: Capabilities
    errors: tuple[type[Exception], ...]
    translate: Callable[[Exception, str], AgnoCLIError]
    """A driver's exception and the address it came from, as ours."""
    table_columns: Callable[[DBCursor, str], tuple[str, ...]]
    """Column names in order; empty when there is no such table."""
    table_names: Callable[[DBCursor], tuple[str, ...]]
    placeholder: str = "?"
    quote: str = '"'
    read_document: str = "{}"
    bind_document: str = "{}"
    begin_write: str = "BEGIN"
    lock_row: str = ""
    """Ends a SELECT that locks its rows until the transaction ends."""
    max_parameters: int = 500
