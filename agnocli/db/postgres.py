"""Sessions in PostgreSQL, laid out as Agno 3 does."""

from __future__ import annotations

import re
import select
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from agnocli.abc import Backend, Capabilities
from agnocli.config.secrets import is_secret, masked_url
from agnocli.db._options import checked
from agnocli.db.sql import binary
from agnocli.db.sql.dialect import DBCursor, Dialect, Insert, Statement
from agnocli.db.sql.store import SQLStore
from agnocli.errors import (
    AgnoCLIError,
    BackendError,
    BackendReadOnlyError,
    BackendUnavailableError,
    ConfigError,
)
from agnocli.layout import names
from agnocli.layout.portable import reject_odd_numbers

SCHEMA = "ai"
"""Agno's, when none is named."""
CONNECT_SECONDS = 5
ROWS_AT_ONCE = 50

_CREATION_LOCK = 0x61676E6F
_AWAY = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
    errors.TooManyConnections,
)
_UNDONE = (errors.DeadlockDetected, errors.SerializationFailure)
_LATE = (errors.QueryCanceled, errors.LockNotAvailable)
_UNFIT = (
    errors.DataError,
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
    errors.NotNullViolation,
    UnicodeError,
)

CAPABILITIES = Capabilities(
    keeps_deleted=("the write-ahead log", "free space in table files", "replicas and backups"),
    writes_beside=True,
    keeps_json_text=False,
    respells_json=True,
    holds_nul=False,
    holds_surrogates=False,
    holds_nan=False,
    holds_nul_in_ids=False,
    max_document_bytes=2**28 - 1,
)


def _translate(error: Exception, address: str) -> AgnoCLIError:
    if not isinstance(error, psycopg.Error):
        return BackendError(f"{address} cannot hold this value: {error}")
    reason = _reason(error)
    if isinstance(error, errors.InvalidPassword | errors.InvalidAuthorizationSpecification):
        return BackendUnavailableError(
            f"{address} refuses this user: {reason}",
            hint="check user and password of its db_url",
        )
    if isinstance(error, errors.InvalidCatalogName):
        return BackendUnavailableError(
            f"{address}: {reason}", hint="make it with: createdb NAME, or name another one"
        )
    if isinstance(error, errors.ReadOnlySqlTransaction | errors.InsufficientPrivilege):
        return BackendReadOnlyError(
            f"{address}: {reason}",
            hint="this user may not do that: GRANT it, or use another user or server",
        )
    if isinstance(error, errors.DiskFull | errors.OutOfMemory):
        return BackendError(
            f"{address}: {reason}", hint="free some space there; what was stored before is safe"
        )
    if isinstance(error, (*_UNDONE, *_LATE)):
        return BackendUnavailableError(
            f"{address} gave up: {reason}", hint="nothing of it was stored; try again"
        )
    if isinstance(error, _AWAY) or error.sqlstate is None or error.sqlstate.startswith("08"):
        return _unavailable(error, address, reason)
    return BackendError(
        f"{address}: {reason}", hint="`agno backends check` looks at it more closely"
    )


def _unavailable(error: psycopg.Error, address: str, reason: str) -> AgnoCLIError:
    """Errors of libpq itself have no code; an authentication that fails while connecting is one of them."""
    if re.search("password|authentication failed|no pg_hba.conf entry", reason):
        return BackendUnavailableError(
            f"{address} refuses this user: {reason}", hint="check user and password of its db_url"
        )
    if re.search('(database|role) ".*" does not exist', reason):
        return BackendUnavailableError(
            f"{address}: {reason}", hint="make it with createdb or createuser, or name another one"
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return BackendUnavailableError(
            f"{address} cannot be reached: {reason}",
            hint="is the server running there? check host and port of its db_url",
        )
    return BackendError(f"{address}: {reason}")


def _reason(error: psycopg.Error) -> str:
    """In one line; of several attempts to connect, what the last one met."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL:" in line]
    text = (fatal or lines or [type(error).__name__])[-1 if fatal else 0]
    return text.rpartition("FATAL:")[2].strip()


def _table_columns(schema: str, cursor: DBCursor, table: str) -> tuple[str, ...]:
    cursor.execute(
        "SELECT a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
        " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        [schema, table],
    )
    return tuple(name for (name,) in cursor.fetchall())


def _table_names(
    schema: str, cursor: DBCursor, where: str = "c.relkind IN ('r', 'p', 'v', 'm', 'f')"
) -> tuple[str, ...]:
    cursor.execute(
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE n.nspname = %s AND {where} ORDER BY c.relname",
        [schema],
    )
    return tuple(name for (name,) in cursor.fetchall())


def _full_tables(schema: str, cursor: DBCursor) -> tuple[str, ...]:
    """Those that this user may read; of a table in parts the whole."""
    readable = "pg_catalog.has_table_privilege(c.oid, 'SELECT')"
    return _table_names(
        schema, cursor, f"c.relkind IN ('r', 'p') AND NOT c.relispartition AND {readable}"
    )


def _copy(cursor: Any, insert: Insert, rows: Iterable[Sequence[Any]]) -> None:
    if cursor.connection.has_lz4:
        cursor.execute("SET LOCAL default_toast_compression = 'lz4'")
    types = _column_types(cursor, insert.table)
    if not all(types[one] in binary.CELLS for one in insert.columns):
        _copy_as_text(cursor, insert, rows)
        return
    cells = [binary.CELLS[types[one]] for one in insert.columns]
    sql = f"COPY {insert.into} FROM STDIN (FORMAT BINARY)".encode()
    try:
        with cursor.copy(sql) as copy:
            for block in binary.blocks(cells, rows):
                copy.write(block)
    except struct.error as error:
        raise errors.NumericValueOutOfRange(str(error)) from error


def _column_types(cursor: Any, table: str) -> Mapping[str, str]:
    known: dict[str, Mapping[str, str]] = cursor.connection.column_types
    if table not in known:
        cursor.execute(
            "SELECT a.attname, t.typname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
            " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
            [table],
        )
        known[table] = dict(cursor.fetchall())
    return known[table]


def _copy_as_text(cursor: Any, insert: Insert, rows: Iterable[Sequence[Any]]) -> None:
    """For columns of types that are not Agno's."""
    with cursor.copy(f"COPY {insert.into} FROM STDIN".encode()) as copy:
        for row in rows:
            cells = list(row)
            for place in insert.documents:
                if cells[place] is not None:
                    cells[place] = cells[place].decode()
            copy.write_row(cells)


def _stream(cursor: Any, statements: Sequence[Statement]) -> Iterator[Any]:
    """A cursor on the server needs a transaction, which also gives all statements one moment."""
    connection: psycopg.Connection[Any] = cursor.connection
    own = connection.info.transaction_status is TransactionStatus.IDLE
    if own:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        for sql, bound in statements:
            with connection.cursor("agnocli") as table:
                table.itersize = ROWS_AT_ONCE
                table.execute(sql.encode(), bound)
                yield from table
    finally:
        if own and not connection.closed:
            cursor.execute("ROLLBACK")


class _Connection(psycopg.Connection[Any]):
    """`has_lz4`: the server can pack documents so, twice as fast to write as by its default."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.has_lz4 = False
        self.column_types: dict[str, Mapping[str, str]] = {}


def _alive(connection: psycopg.Connection[Any]) -> bool:
    """The server says nothing on an idle connection but that it ends it."""
    if connection.closed:
        return False
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return not readable


@contextmanager
def _creating(schema: str, create_schema: bool, cursor: DBCursor) -> Iterator[None]:
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATION_LOCK])
    cursor.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", [schema])
    if create_schema and cursor.fetchone() is None:
        quoted = schema.replace('"', '""')
        cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{quoted}"')
    yield


def _is(kinds: tuple[type[Exception], ...], error: BaseException | None) -> bool:
    return isinstance(error, kinds)


def _version(cursor: DBCursor, tables: names.Tables) -> str | None:
    """The next transaction's number; None while one is under way that may still be committed."""
    cursor.execute("SELECT txid_current_snapshot()::text, pg_postmaster_start_time()::text")
    snapshot, began = cursor.fetchone()
    oldest, following, _ = snapshot.split(":")
    return f"{began}, {following}" if oldest == following else None


def dialect(schema: str, *, create_schema: bool = True) -> Dialect:
    """PostgreSQL, with all tables in one schema."""
    return Dialect(
        name="postgresql",
        capabilities=CAPABILITIES,
        errors=(psycopg.Error, UnicodeError),
        translate=_translate,
        table_columns=partial(_table_columns, schema),
        table_names=partial(_table_names, schema),
        full_tables=partial(_full_tables, schema),
        placeholder="%s",
        read_document="{}::text",
        bind_document="CAST(convert_from({}, 'UTF8') AS JSONB)",
        # a table just filled has no statistics: its size would be guessed to be nothing, and all of it read
        begin_read=(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "SET LOCAL enable_seqscan = off",
        ),
        # as an element of an array it is unpacked, but not yet printed
        size="pg_column_size(ARRAY[{}])",
        # the transaction that wrote a row
        marks=lambda columns: "SUM(xmin::text::bigint)",
        version=_version,
        bulk=_copy,
        check=reject_odd_numbers,
        lock_row=" FOR UPDATE",
        schema=schema,
        id_order='{} COLLATE "C"',
        nulls_first=False,
        stream=_stream,
        alive=_alive,
        creating=partial(_creating, schema, create_schema),
        is_duplicate=partial(_is, (errors.UniqueViolation,)),
        is_unfit=partial(_is, _UNFIT),
        is_undone=partial(_is, _UNDONE),
    )


class PostgresDb(SQLStore):
    """Agno's PostgreSQL storage. `db_url` is libpq's or SQLAlchemy's; `db_schema` is `ai` as Agno's.

    The first write makes schema and tables; with `create_schema=False` the schema must be there.
    """

    def __init__(
        self,
        db_url: str,
        *,
        db_schema: str | None = None,
        session_table: str | None = None,
        runs_table: str | None = None,
        versions_table: str | None = None,
        table_name: str | None = None,
        create_schema: bool = True,
        read_only: bool = False,
    ) -> None:
        self._conninfo = _conninfo(db_url)
        super().__init__(
            dialect(db_schema or SCHEMA, create_schema=create_schema),
            names.tables(session_table or table_name, runs_table, versions_table),
            address=_address(db_url, db_schema or SCHEMA),
            open_reader=self._connect,
            open_writer=lambda create: self._open_writer(),
            read_only=read_only,
        )

    @contextmanager
    def erasing(self) -> Iterator[None]:
        """Dead rows are gone at the end, where this user may do that and no older transaction needs them."""
        yield
        with self._connections.reading() as cursor:
            found = self._statements(cursor)
            cursor.execute(f"VACUUM {found.sessions}, {found.runs}", [])

    def _open_writer(self) -> _Connection:
        connection = self._connect()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_catalog.pg_settings"
                " WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"
            )
            connection.has_lz4 = cursor.fetchone() is not None
        return connection

    def _connect(self) -> _Connection:
        # without prepared statements it also runs through a pooler that shares connections by transaction
        connection = _Connection.connect(**self._conninfo, autocommit=True, prepare_threshold=None)
        for kind in ("json", "jsonb"):  # columns that are not ours stay text
            connection.adapters.register_loader(kind, psycopg.types.string.TextLoader)
        return connection


def _conninfo(url: str) -> dict[str, Any]:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise _not_a_url(url)
    try:
        found = conninfo_to_dict(f"postgresql://{rest}")
    except psycopg.Error:  # its message may quote the password
        raise _not_a_url(url) from None
    defaults = {"connect_timeout": CONNECT_SECONDS, "application_name": "agnocli"}
    return {**defaults, **found, "client_encoding": "UTF8"}


def _not_a_url(url: str) -> ConfigError:
    shown = masked_url(url) if "://" in url else "db_url"
    return ConfigError(
        f"not a PostgreSQL URL: {shown}", hint="postgresql://USER:PASSWORD@HOST:5432/DATABASE"
    )


def _address(url: str, schema: str) -> str:
    """As one would write it, less what is secret or says nothing of the place."""
    head, _, query = url.partition("?")
    place = [
        f"{key}={value}" for key, value in parse_qsl(query) if key in ("host", "port", "dbname")
    ]
    if schema != SCHEMA:
        place.append(f"schema={schema}")
    assert not any(is_secret(one.partition("=")[0]) for one in place)
    shown = masked_url(head).replace(":***@", "@")
    return shown + ("?" + "&".join(place) if place else "")


_TEXTS = ("db_url", "db_schema", "session_table", "runs_table", "versions_table")
_OPTIONS = {**dict.fromkeys(_TEXTS, str), "create_schema": bool}


def open_backend(options: Mapping[str, object], *, name: str, read_only: bool = False) -> Backend:
    """A backend from its configured options."""
    known = checked(options, _OPTIONS, name)
    if "db_url" not in known:
        raise ConfigError(
            f"backend {name!r}: db_url is missing",
            hint='add: db_url = "postgresql://USER:${env:PGPASSWORD}@HOST:5432/DATABASE"',
        )
    return PostgresDb(**known, read_only=read_only)


__all__ = ["PostgresDb", "open_backend"]
