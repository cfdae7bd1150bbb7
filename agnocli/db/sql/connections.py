"""Connections of one SQL store: readers come from a pool, the writer is one and serves one thread at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, RLock

from agnocli.db.sql.dialect import Connection, DBCursor, Dialect
from agnocli.errors import AgnoCLIError


class Connections:
    """Opened when first needed. `open_reader` and `open_writer` may raise the dialect's errors; the latter is told
    whether it may make the database."""

    def __init__(
        self,
        dialect: Dialect,
        address: str,
        open_reader: Callable[[], Connection],
        open_writer: Callable[[bool], Connection],
    ) -> None:
        self._dialect, self._address = dialect, address
        self._open_reader, self._open_writer = open_reader, open_writer
        self._write_lock, self._idle_lock = RLock(), Lock()
        self._idle: list[Connection] = []
        self._writer: Connection | None = None
        self._closed_at = 0

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Driver errors leave as ours."""
        try:
            yield
        except self._dialect.errors as error:
            raise self._dialect.translate(error, self._address) from error

    @contextmanager
    def reading(self) -> Iterator[DBCursor]:
        """A cursor of its own connection, so that a half-read result disturbs nobody."""
        with self.translated():
            generation = self._closed_at
            connection = self._take()
            healthy = False
            cursor = connection.cursor()
            try:
                yield cursor
                healthy = True
            except (AgnoCLIError, GeneratorExit):
                healthy = True
                raise
            finally:
                cursor.close()
                self._give_back(connection, healthy and generation == self._closed_at)

    def _take(self) -> Connection:
        while True:
            with self._idle_lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._open_reader()
            if self._dialect.alive(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection, keep: bool) -> None:
        if keep:
            with self._idle_lock:
                self._idle.append(connection)
        else:
            connection.close()

    @contextmanager
    def writing(self, *, create: bool) -> Iterator[DBCursor]:
        """A transaction: committed at the end, rolled back on any error. `create`: the database may be made for it."""
        with self._write_lock, self.translated():
            if self._writer is not None and not self._dialect.alive(self._writer):
                self._writer.close()
                self._writer = None
            if self._writer is None:
                self._writer = self._open_writer(create)
            cursor = self._writer.cursor()
            try:
                cursor.execute(self._dialect.begin_write)
                try:
                    yield cursor
                    cursor.execute("COMMIT")
                except BaseException:
                    self._abandon(cursor)
                    raise
            finally:
                if self._writer is not None:  # else its cursors are closed with it
                    cursor.close()

    def _abandon(self, cursor: DBCursor) -> None:
        try:
            cursor.execute("ROLLBACK")
        except self._dialect.errors:  # the first error tells; a broken connection is not used again
            if self._writer is not None:
                self._writer.close()
            self._writer = None

    def close(self) -> None:
        with self._write_lock, self._idle_lock, self.translated():
            self._closed_at += 1
            for connection in (*self._idle, self._writer):
                if connection is not None:
                    connection.close()
            self._idle, self._writer = [], None
