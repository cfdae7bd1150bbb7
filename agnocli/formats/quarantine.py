"""What a transfer sets aside: a file of sessions to be mended by hand, and read like any other.

A line is a session as in jsonl, with `"error": {"json_path", "reason", "backend"}` in it and without a checksum.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from agnocli import codec
from agnocli.errors import BackendError, CodecError, FileFormatError
from agnocli.formats.jsonl import JSONL, QUARANTINE
from agnocli.formats.kinds import shape_of
from agnocli.formats.part import created, sync
from agnocli.formats.rows import run_row, session_row
from agnocli.formats.shape import RUNS
from agnocli.formats.text import raw_blocks
from agnocli.formats.walking import Walker
from agnocli.records import SessionBundle

_BEGINNING = 4096


class QuarantineWriter:
    """Makes the file when something is set aside first. Several processes may write to one."""

    def __init__(self, path: str | Path, *, backend: str) -> None:
        """`backend` is the address of the one that cannot hold these sessions."""
        self._path, self._backend = Path(path), backend

    def add(self, bundle: SessionBundle, *, json_path: str, reason: str) -> None:
        """Durable on return; an error while the runs are being read leaves nothing of it."""
        error = {"json_path": json_path, "reason": reason, "backend": self._backend}
        with self._open() as file:
            whole = self._begin_line(file)
            try:
                _write(file, bundle, codec.encode(error))
                whole = file.tell()
            finally:
                file.truncate(whole)
                sync(file)

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        try:
            with created(self._path) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
        except OSError as error:
            raise BackendError(f"{self._path} cannot be written: {error.strerror}") from error

    def _begin_line(self, file: BinaryIO) -> int:
        """Stand behind the last whole line, a torn one is dropped; returns how much is there."""
        beginning = file.read(_BEGINNING)
        if QUARANTINE.startswith(beginning):
            file.truncate(0)
            file.seek(0)
            return file.write(QUARANTINE + b"\n")
        if shape_of(beginning, str(self._path)) is not None:
            raise FileFormatError(str(self._path), 1, "is no quarantine file", hint="name another")
        _mend_end(file)
        return file.seek(0, os.SEEK_END)


def _write(file: BinaryIO, bundle: SessionBundle, error: bytes) -> None:
    file.write(session_row(bundle.session) + b', "error": ' + error + RUNS)
    mark = JSONL.cell
    for row in map(run_row, bundle.runs):
        file.write(mark + row)
        mark = b"," + JSONL.cell
    file.write(JSONL.cell + b"]}\n")


def _mend_end(file: BinaryIO) -> None:
    """A line that was torn by a crash is dropped; one that an editor left without its end gets it."""
    with mmap(file.fileno(), 0, access=ACCESS_READ) as text:
        begun, size = text.rfind(b"\n") + 1, len(text)
    file.seek(begun)
    if begun < size and _is_whole(raw_blocks(file)):
        file.write(b"\n")
    elif begun < size:
        file.truncate(begun)


def _is_whole(text: Iterator[bytes]) -> bool:
    walker = Walker(text)
    try:
        for key in walker.members():
            if key == "runs":
                for _ in walker.elements():
                    walker.value()
            else:
                walker.value()
        return not walker.peek()
    except CodecError:
        return False
