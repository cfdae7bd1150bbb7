"""A session file as a source."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import BinaryIO, NamedTuple, cast

from agnocli.abc import HELD_BYTES, Cursor
from agnocli.errors import (
    BackendError,
    BackendNotSetUpError,
    CodecError,
    FileFormatError,
    UsageError,
)
from agnocli.formats import text
from agnocli.formats.edited import EditedReader
from agnocli.formats.kinds import shape_of
from agnocli.formats.reading import Record, SealedReader
from agnocli.formats.rows import to_run, to_session
from agnocli.records import Run, Session, SessionBundle

STDIO = "-"
_BEGINNING = 4096


class Checked(NamedTuple):
    """What a file holds that is whole; `error` is what ends it early where that was allowed."""

    sessions: int
    runs: int
    error: FileFormatError | None = None


class FileSource:
    """Its text decides what it is, not its name. Nothing is handed out before the whole file was checked."""

    def __init__(self, path: str, *, partial: bool = False, edited: bool = False) -> None:
        self.address = path
        self._partial, self._edited = partial, edited
        self._input = InputFile(path)
        self._checked: tuple[object, Checked] | None = None

    def check(self) -> Checked:
        """Read it to its end. FileFormatError where it is not whole, unless opened as `partial`."""
        with self._input.open() as file:
            state = os.fstat(file.fileno())
            stamp = (state.st_ino, state.st_size, state.st_mtime_ns)
            if self._checked is None or self._checked[0] != stamp:
                self._checked = stamp, self._check(file)
            return self._checked[1]

    def scan(
        self, *, after: Cursor | None = None, wanted: Callable[[str], bool] | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        """In the file's order. FileFormatError comes before the first session."""
        passed, checked = _number(after), self.check()
        with self._input.open() as file:
            records = self._reader(file).records()
            whole = islice(records, checked.sessions) if checked.error else records
            for number, record in enumerate(whole, 1):
                if number > passed and (bundle := self._bundle(record, wanted)) is not None:
                    yield Cursor(str(number)), bundle

    def close(self) -> None:
        self._input.close()

    def _check(self, file: BinaryIO) -> Checked:
        sessions = runs = 0
        reader = self._reader(file)
        try:
            for record in reader.records():
                if isinstance(reader, EditedReader):
                    self._session(record)
                    rows: Iterator[object] = self._runs(record)
                else:
                    rows = record.runs
                runs += sum(1 for _ in rows)
                sessions += 1
        except FileFormatError as error:
            if not self._partial:
                raise
            return Checked(sessions, runs, error)
        return Checked(sessions, runs)

    def _reader(self, file: BinaryIO) -> SealedReader | EditedReader:
        file.seek(0)
        beginning, whole = _begun(text.blocks(file))
        shape = shape_of(beginning, self.address, edited=self._edited)
        if shape is None:
            return EditedReader(whole, self.address)
        return SealedReader(whole, shape, self.address)

    def _bundle(self, record: Record, wanted: Callable[[str], bool] | None) -> SessionBundle | None:
        session = self._session(record)
        if wanted is not None and not wanted(session.session_id):
            return None
        runs, held, size = self._runs(record), [], 0
        for run in runs:
            held.append(run)
            size += len(run.run_data)
            if size > HELD_BYTES:
                return SessionBundle(session, chain(held, runs))
        return SessionBundle(session, tuple(held))

    def _session(self, record: Record) -> Session:
        with self._line_told(record):
            return to_session(record.head)

    def _runs(self, record: Record) -> Iterator[Run]:
        with self._line_told(record):
            yield from map(to_run, record.runs)

    @contextmanager
    def _line_told(self, record: Record) -> Iterator[None]:
        try:
            yield
        except CodecError as error:
            raise FileFormatError(self.address, record.line, error.message) from error


class InputFile:
    """A file to be read more than once; what can be read once only is kept."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._spooled: BinaryIO | None = None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        try:
            if self._spooled is None:
                with _opened(self._path) as file:
                    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                        yield file
                        return
                    self._spooled = _spooled(file)
            yield self._spooled
        except FileNotFoundError as error:
            raise BackendNotSetUpError(f"there is no file {self._path}") from error
        except OSError as error:
            raise BackendError(f"{self._path} cannot be read: {error.strerror}") from error

    def close(self) -> None:
        if self._spooled is not None:
            self._spooled.close()
            self._spooled = None


def _opened(path: str) -> BinaryIO:
    # a copy, so that closing it leaves standard input open
    return open(os.dup(sys.stdin.fileno()) if path == STDIO else path, "rb")  # noqa: PTH123


def _spooled(file: BinaryIO) -> BinaryIO:
    """What can be read once only, to be read again."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
    shutil.copyfileobj(file, spool)
    return cast(BinaryIO, spool)


def _begun(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Enough text to tell what it is, and the text with that again; what is wrong with it is told later."""
    held, rest = b"", blocks
    try:
        while len(held) < _BEGINNING and (block := next(blocks, None)) is not None:
            held += block
    except (EOFError, zlib.error) as error:
        rest = _failing(error)
    return held, chain([held], rest)


def _failing(error: Exception) -> Iterator[bytes]:
    yield from ()
    raise error


def _number(after: Cursor | None) -> int:
    try:
        return int(after or 0)
    except ValueError as error:
        raise UsageError(f"{after!r} is no place in a session file") from error
