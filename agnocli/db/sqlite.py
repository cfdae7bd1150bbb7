"""Sessions in an SQLite file, laid out as Agno 3 does."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from msgspec.structs import replace

from agnocli.abc import Backend, Capabilities, Traces
from agnocli.db._options import checked
from agnocli.db._sqlite import inserting, marking
from agnocli.db._sqlite.cursors import Connection, Cursor, text
from agnocli.db.sql.absence import nothing_there
from agnocli.db.sql.dialect import DBCursor, Dialect, no_check
from agnocli.db.sql.store import SQLStore
from agnocli.errors import (
    AgnoCLIError,
    BackendError,
    BackendReadOnlyError,
    BackendUnavailableError,
    ConfigError,
    LayoutError,
)
from agnocli.layout import names

LOCK_SECONDS = 10.0
"""How long a write waits for another program's."""
CACHE_KB, LOAD_CACHE_KB = 16 * 2**10, 32 * 2**10
LOAD_PAGE = 16384
_LOADED = 0x61676E6F
"""As the user_version of a file: a load has made it, and not yet turned it into WAL mode."""


def _keeps_moments(cursor: DBCursor) -> bool:
    """Outside of WAL mode a reader who stays keeps every writer from its commit."""
    cursor.execute("PRAGMA journal_mode")
    return bool(cursor.fetchone() == ("wal",))


def _translate(error: Exception, address: str) -> AgnoCLIError:
    if not isinstance(error, sqlite3.Error):
        return BackendError(f"{address} cannot hold this value: {error}")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BackendUnavailableError(
            f"{address} is locked by another program",
            hint=f"it was still locked after {LOCK_SECONDS:.0f} s; close the other program, or try again",
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return BackendUnavailableError(
            f"{address} cannot be opened",
            hint="check that the folder exists and that you may write there",
        )
    if code == sqlite3.SQLITE_READONLY:
        return BackendReadOnlyError(
            f"{address} cannot be written",
            hint="check the permissions of the file and of its folder",
        )
    if code == sqlite3.SQLITE_FULL:
        return BackendError(
            f"the disk of {address} is full",
            hint="free some space and try again; what was stored before is safe",
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return _damaged(error, address)
    return BackendError(f"{address}: {error}")


def _damaged(error: sqlite3.Error, address: str) -> LayoutError:
    if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
        return LayoutError(
            f"{address} is not an SQLite database", hint="give another file with -b sqlite:///PATH"
        )
    return LayoutError(
        f"{address} is damaged: {error}",
        hint="restore a backup, or save what can be read with: sqlite3 FILE .recover",
    )


def _table_columns(cursor: DBCursor, table: str) -> tuple[str, ...]:
    cursor.execute("SELECT name FROM pragma_table_info(?)", [table])
    return tuple(name for (name,) in cursor.fetchall())


def _table_names(cursor: DBCursor) -> tuple[str, ...]:
    cursor.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    return tuple(name for (name,) in cursor.fetchall())


def _full_tables(cursor: DBCursor) -> tuple[str, ...]:
    """Neither views nor tables of an extension that may not be there."""
    cursor.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND sql NOT LIKE 'CREATE VIRTUAL %' ORDER BY name"
    )
    return tuple(name for (name,) in cursor.fetchall())


def _index_names(cursor: DBCursor, table: str) -> tuple[str, ...]:
    cursor.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
        [table],
    )
    return tuple(name for (name,) in cursor.fetchall())


_DUPLICATE = {
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
}
_UNFIT = {
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT_CHECK,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL,
}


def _is_duplicate(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", None) in _DUPLICATE


def _is_unfit(error: BaseException | None) -> bool:
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return True
    return getattr(error, "sqlite_errorcode", None) in _UNFIT


DIALECT = Dialect(
    name="sqlite",
    capabilities=Capabilities(keeps_deleted=("free blocks of the disk", "snapshots and backups")),
    errors=(sqlite3.Error, UnicodeEncodeError, OverflowError),
    translate=_translate,
    keeps_moments=_keeps_moments,
    table_columns=_table_columns,
    table_names=_table_names,
    full_tables=_full_tables,
    index_names=_index_names,
    # bytes in and out: the text is never decoded, so nothing in it can fail or change
    read_document="CAST({} AS BLOB)",
    bind_document="CAST({} AS TEXT)",
    # told without being read, where SQLite knows how
    size="OCTET_LENGTH({})"
    if sqlite3.sqlite_version_info >= (3, 43)
    else "LENGTH(CAST({} AS BLOB))",
    fetch_within=Cursor.fetch_within,
    marks=marking.checksum,
    begin_write="BEGIN IMMEDIATE",
    bulk=inserting.insert_rows,
    check=no_check,
    is_duplicate=_is_duplicate,
    is_unfit=_is_unfit,
)


class SqliteDb(SQLStore):
    """Agno's SQLite storage. `db_url` wins over `db_file`; without either it is `./agno.db`.

    Reading leaves the file as it is to the byte; the first write makes file, folders and tables.
    """

    def __init__(
        self,
        db_file: str | os.PathLike[str] | None = None,
        *,
        db_url: str | None = None,
        session_table: str | None = None,
        runs_table: str | None = None,
        versions_table: str | None = None,
        table_name: str | None = None,
        read_only: bool = False,
    ) -> None:
        self._loads = self._erases = False
        self.path = (
            Path(_url_path(db_url) if db_url else db_file or "agno.db").expanduser().absolute()
        )
        super().__init__(
            DIALECT,
            names.tables(session_table or table_name, runs_table, versions_table),
            address=str(self.path),
            open_reader=self._open_reader,
            open_writer=self._open_writer,
            read_only=read_only,
        )

    @property
    def capabilities(self) -> Capabilities:
        if not self.path.exists():
            return DIALECT.capabilities
        with self._connections.reading() as cursor:
            return replace(DIALECT.capabilities, one_moment=_keeps_moments(cursor))

    def version(self) -> str | None:
        return marking.version(self.path, Path(f"{self.path}-wal"))

    def _open_reader(self) -> sqlite3.Connection:
        if not self.path.exists():
            raise nothing_there(self.address)
        if self._leaves_files_behind():
            connection = self._connect("rw")
            connection.execute("PRAGMA query_only = ON")
            return connection
        return self._open_unwritable()

    def _open_unwritable(self) -> sqlite3.Connection:
        """A WAL file cannot be read where its -shm cannot be made, unless it is taken for one that never changes."""
        connection = self._connect("ro")
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
        except sqlite3.OperationalError as error:
            connection.close()
            barred = error.sqlite_errorcode & 0xFF in (
                sqlite3.SQLITE_READONLY,
                sqlite3.SQLITE_CANTOPEN,
            )
            if not barred or Path(f"{self.path}-wal").exists():
                raise
            return self._connect("ro&immutable=1")
        return connection

    def _leaves_files_behind(self) -> bool:
        """A read-only connection makes -wal and -shm files and cannot remove them again.

        With none there, a connection that may write but is told not to makes them and takes them away.
        """
        if Path(f"{self.path}-wal").exists() or Path(f"{self.path}-journal").exists():
            return False
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """A new file is filled with a rollback journal, which is as safe as WAL and writes each page but once."""
        self._loads = True
        try:
            with super().loading():
                yield
        finally:
            self._loads = False
            self._connections.close()
            if self.path.exists() and not self._read_only:
                with self._connections.translated():
                    self._open_writer(create=False).close()

    def _open_writer(self, create: bool) -> sqlite3.Connection:
        if not self.path.exists() and not create:
            raise nothing_there(self.address)
        if not self.path.exists() or not self.path.stat().st_size:
            self._create_file()
        connection = self._connect("rw")
        try:
            self._make_ready(connection)
        except BaseException:  # a damaged file is looked into here first
            connection.close()
            raise
        return connection

    @contextmanager
    def erasing(self) -> Iterator[None]:
        from agnocli.db._sqlite import erasing

        self._erases = True
        self._connections.close()  # a reader of our own would bar us
        try:
            with self._connections.translated(), erasing.erasing(self.path, self._rewriter):
                yield
                self._connections.close()
        finally:
            self._erases = False
            self._connections.close()

    def traces(self, ids: Collection[str]) -> Traces:
        from agnocli.db._sqlite import erasing

        with self._connections.translated():
            return erasing.traces(self.path, self._open_reader, ids)

    def _rewriter(self) -> sqlite3.Connection:
        return self._open_writer(create=False)

    def _make_ready(self, connection: sqlite3.Connection) -> None:
        if self._erases:
            connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA cache_size = -{LOAD_CACHE_KB if self._loads else CACHE_KB}")
        if connection.execute("PRAGMA user_version").fetchone() == (_LOADED,):
            if self._loads:
                connection.execute("PRAGMA journal_mode = PERSIST")
            else:
                self._into_wal(connection)

    def _create_file(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            raise BackendUnavailableError(
                f"{self.path} cannot be made: {error.strerror}",
                hint="give another place with -b sqlite:///PATH",
            ) from error
        with closing(self._connect("rw")) as connection:
            if self._loads:
                connection.execute(f"PRAGMA page_size = {LOAD_PAGE}")
                connection.execute(f"PRAGMA user_version = {_LOADED}")
            else:
                self._into_wal(connection)

    def _into_wal(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA user_version = 0")
        except sqlite3.OperationalError as error:
            # another process makes or fills this file at the same moment, and sets the mode itself
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise

    def _connect(self, mode: str) -> sqlite3.Connection:
        if self.path.is_dir():
            raise BackendUnavailableError(
                f"{self.path} is a folder", hint="give a file with -b sqlite:///PATH"
            )
        connection = sqlite3.connect(
            f"file://{quote(str(self.path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=LOCK_SECONDS,
            factory=Connection,
            check_same_thread=False,
        )
        connection.text_factory = text
        marking.teach(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def _url_path(url: str) -> str:
    scheme, separator, path = url.partition(":///")
    if not separator or scheme.partition("+")[0] != "sqlite" or not path:
        raise ConfigError(
            f"not an SQLite URL: {url!r}", hint="sqlite:///relative.db or sqlite:////absolute.db"
        )
    return unquote(path)


_OPTIONS = dict.fromkeys(
    ("db_file", "db_url", "session_table", "runs_table", "versions_table"), str
)


def open_backend(options: Mapping[str, object], *, name: str, read_only: bool = False) -> Backend:
    """A backend from its configured options."""
    known = checked(options, _OPTIONS, name)
    if "db_file" not in known and "db_url" not in known:
        raise ConfigError(f"backend {name!r}: db_file is missing", hint='add: db_file = "agno.db"')
    return SqliteDb(**known, read_only=read_only)


__all__ = ["SqliteDb", "open_backend"]
