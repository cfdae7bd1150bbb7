"""Sessions in MySQL 8 or MariaDB, laid out as Agno 3 does."""

from __future__ import annotations

import re
import select
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pymysql
from msgspec.structs import replace
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor, SSCursor

from agnocli.abc import Backend, Capabilities
from agnocli.config.secrets import masked_url
from agnocli.db._mysql import failures, marking
from agnocli.db._options import checked
from agnocli.db.sql import literals
from agnocli.db.sql.dialect import DBCursor, Dialect, Insert, Statement
from agnocli.db.sql.store import SQLStore
from agnocli.errors import (
    ConfigError,
)
from agnocli.layout import names

DATABASE = "ai"
"""Agno's, when none is named, whatever database the URL names."""
CONNECT_SECONDS = 5
LOCK_SECONDS = 30
ROWS_AT_ONCE = 50
SURELY_TAKEN = 250_000
"""Bytes that fit into the smallest packet a server can be set to, even when every second one is escaped."""

CAPABILITIES = Capabilities(
    keeps_deleted=("the server's logs", "free space in table files", "replicas and backups"),
    writes_beside=True,
    keeps_json_text=False,
    holds_surrogates=False,
    holds_nan=False,
    holds_big_integers=False,
    max_id_length=128,
    max_depth=100,
)


def _table_columns(database: str, cursor: DBCursor, table: str) -> tuple[str, ...]:
    cursor.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        [database, table],
    )
    return tuple(name for (name,) in cursor.fetchall())


def _table_names(database: str, cursor: DBCursor, where: str = "1 = 1") -> tuple[str, ...]:
    cursor.execute(
        "SELECT table_name FROM information_schema.tables"
        f" WHERE table_schema = %s AND {where} ORDER BY table_name",
        [database],
    )
    return tuple(name for (name,) in cursor.fetchall())


def _full_tables(database: str, cursor: DBCursor) -> tuple[str, ...]:
    return _table_names(database, cursor, "table_type NOT LIKE '%%VIEW'")


def _is_mariadb(cursor: DBCursor) -> bool:
    cursor.execute("SELECT VERSION()", [])
    return "mariadb" in cursor.fetchone()[0].lower()


def _id_collations(database: str, cursor: DBCursor, sessions: str) -> tuple[str, str]:
    """The first compares code points, trailing blanks included; a reference must compare as what it refers to."""
    exact = "utf8mb4_nopad_bin" if _is_mariadb(cursor) else "utf8mb4_0900_bin"
    cursor.execute(
        "SELECT collation_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s AND column_name = 'session_id'",
        [database, sessions],
    )
    row = cursor.fetchone()
    return exact, row[0] if row else exact


def _limits(cursor: DBCursor, capabilities: Capabilities) -> Capabilities:
    """MariaDB keeps JSON as text, and refuses what nests more than 31 levels deep."""
    cursor.execute(
        "SELECT @@max_allowed_packet, JSON_VALID(CONCAT(REPEAT('[', 32), REPEAT(']', 32)))", []
    )
    packet, deep = cursor.fetchone()
    return replace(
        capabilities,
        holds_big_integers=_is_mariadb(cursor),
        max_depth=capabilities.max_depth if deep else 31,
        max_document_bytes=int(packet),
    )


class _Connection(pymysql.connections.Connection):  # type: ignore[misc]
    """Can be closed twice, and with a result half-read: the driver would read it to its end first."""

    packet = 0
    """The largest statement the server takes, in bytes."""

    def close(self) -> None:
        if not self._closed:
            super().close()

    def _create_ssl_ctx(self, asked: Any) -> Any:
        # to verify nobody PyMySQL would read every certificate of the machine, for each connection
        return super()._create_ssl_ctx(asked) if asked else _unverified()

    def check(self, statement: bytes) -> None:
        if (whole := len(statement) + 1) > self.packet:
            reason = (
                f"takes {whole:,} bytes, and the server's max_allowed_packet is {self.packet:,}"
            )
            raise pymysql.DataError(1153, reason)

    def drop(self) -> None:
        result = self._result
        if result is not None:
            result.unbuffered_active, result.connection = False, None
        self.close()


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Cursor(Cursor):  # type: ignore[misc]
    """Knows before sending that a statement is larger than the server takes, which would end the connection."""

    def execute(self, query: str, args: Any = None) -> Any:
        connection: Any = self._get_db()
        if args and sum(len(one) for one in args if isinstance(one, str | bytes)) > SURELY_TAKEN:
            connection.check(self.mogrify(query, args).encode("utf-8", "surrogateescape"))
        return super().execute(query, args)


def _insert(cursor: Any, insert: Insert, rows: Iterable[Sequence[Any]]) -> None:
    connection: _Connection = cursor.connection
    for statement in literals.statements(insert, rows, connection.escape):
        connection.check(statement)
        connection.query(statement)


def _stream(cursor: Any, statements: Sequence[Statement]) -> Iterator[Any]:
    connection: _Connection = cursor.connection
    for sql, bound in statements:
        table = connection.cursor(SSCursor)
        try:
            table.execute(sql, bound)
            while rows := table.fetchmany(ROWS_AT_ONCE):
                yield from rows
        except BaseException:
            connection.drop()
            table.connection = None
            raise
        table.close()


def _alive(connection: Any) -> bool:
    """The server says nothing on an idle connection but that it ends it."""
    if not connection.open:
        return False
    readable, _, _ = select.select([connection._sock], [], [], 0)
    return not readable


@contextmanager
def _creating(database: str, create_schema: bool, cursor: DBCursor) -> Iterator[None]:
    """Making a table ends the transaction, so another one begins behind it."""
    lock = f"agnocli.{database}"[:64]
    cursor.execute("SELECT GET_LOCK(%s, %s)", [lock, LOCK_SECONDS])
    try:
        cursor.execute(
            "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [database]
        )
        if create_schema and cursor.fetchone() is None:
            quoted = database.replace("`", "``").replace("%", "%%")
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{quoted}` CHARACTER SET utf8mb4", [])
        yield
    finally:
        cursor.execute("SELECT RELEASE_LOCK(%s)", [lock])
    cursor.execute("BEGIN", [])


def dialect(database: str, *, create_schema: bool = True) -> Dialect:
    """MySQL 8 and MariaDB, with all tables in one database."""
    return Dialect(
        name="mysql",
        capabilities=CAPABILITIES,
        errors=(pymysql.Error, UnicodeEncodeError),
        translate=failures.translate,
        table_columns=partial(_table_columns, database),
        table_names=partial(_table_names, database),
        full_tables=partial(_full_tables, database),
        begin_read=(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ),
        placeholder="%s",
        quote="`",
        # the driver sends bytes as binary, which is no JSON to MySQL
        bind_document="CONVERT({} USING utf8mb4)",
        marks=marking.sums,
        version=partial(marking.version, database),
        bulk=_insert,
        lock_row=" FOR UPDATE",
        long_text="LONGTEXT",
        schema=database,
        exact="CAST(CONVERT({} USING utf8mb4) AS BINARY) = CAST({} AS BINARY)",
        id_collations=partial(_id_collations, database),
        stream=_stream,
        alive=_alive,
        creating=partial(_creating, database, create_schema),
        limits=_limits,
        is_duplicate=partial(failures.has_code, failures.DUPLICATE),
        is_unfit=partial(failures.has_code, failures.UNFIT),
        is_undone=partial(failures.has_code, failures.UNDONE),
    )


class MySQLDb(SQLStore):
    """Agno's MySQL storage. The tables are in the database `db_schema`, `ai` as Agno's, not in the URL's.

    The first write makes database and tables; with `create_schema=False` the database must be there.
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
        self._arguments = _arguments(db_url)
        database = db_schema or DATABASE
        super().__init__(
            dialect(database, create_schema=create_schema),
            names.tables(session_table or table_name, runs_table, versions_table),
            address=_address(db_url, database),
            open_reader=self._connect,
            open_writer=lambda create: self._connect(),
            read_only=read_only,
        )

    def _connect(self) -> Any:
        # in the stricter level two writers who look for one new session would block each other
        level = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
        arguments = dict(self._arguments)
        patience = arguments.pop("read_timeout", None)
        connection = _Connection(
            **arguments,
            read_timeout=arguments["connect_timeout"],  # connecting includes the server's greeting
            charset="utf8mb4",
            autocommit=True,
            sql_mode="STRICT_ALL_TABLES",  # and a backslash escapes, whatever the server's own mode
            client_flag=CLIENT.FOUND_ROWS,
            init_command=level,
            cursorclass=_Cursor,
        )
        connection._read_timeout = patience
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            (connection.packet,) = cursor.fetchone()
        return connection


_PARAMETERS = {
    **dict.fromkeys(("ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password", "unix_socket"), str),
    **dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), int),
    **dict.fromkeys(("ssl_disabled", "ssl_verify_cert", "ssl_verify_identity"), bool),
}


def _arguments(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its message may quote the password
        raise _not_a_url(url) from None
    if "://" not in url or parts.scheme.partition("+")[0] not in ("mysql", "mariadb"):
        raise _not_a_url(url)
    return {
        "host": parts.hostname or "localhost",
        "port": port or 3306,
        "user": unquote(parts.username or "") or None,
        "password": unquote(parts.password or ""),
        "connect_timeout": CONNECT_SECONDS,
        **_parameters(parts.query, url),
    }


def _parameters(query: str, url: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "charset":  # it is utf8mb4, come what may
            continue
        kind = _PARAMETERS.get(key)
        if kind is None:
            raise ConfigError(
                f"{masked_url(url)}: unknown parameter {key!r}",
                hint=f"known: {', '.join(sorted(_PARAMETERS))}",
            )
        if kind is int and not value.isdecimal():
            raise ConfigError(f"{masked_url(url)}: {key} must be a whole number")
        found[key] = value.lower() in ("1", "true", "yes") if kind is bool else kind(value)
    return found


def _not_a_url(url: str) -> ConfigError:
    shown = masked_url(url) if "://" in url else "db_url"
    return ConfigError(f"not a MySQL URL: {shown}", hint="mysql://USER:PASSWORD@HOST:3306")


def _address(url: str, database: str) -> str:
    """With the database that is really used."""
    head = re.match(r"[^?]*?://[^/?]*", url)
    shown = masked_url(head.group() if head else url).replace(":***@", "@")
    return f"{shown}/{database}"


_TEXTS = ("db_url", "db_schema", "session_table", "runs_table", "versions_table")
_OPTIONS = {**dict.fromkeys(_TEXTS, str), "create_schema": bool}


def open_backend(options: Mapping[str, object], *, name: str, read_only: bool = False) -> Backend:
    """A backend from its configured options."""
    known = checked(options, _OPTIONS, name)
    if "db_url" not in known:
        raise ConfigError(
            f"backend {name!r}: db_url is missing",
            hint='add: db_url = "mysql://USER:${env:MYSQL_PWD}@HOST:3306"',
        )
    return MySQLDb(**known, read_only=read_only)


__all__ = ["MySQLDb", "open_backend"]
