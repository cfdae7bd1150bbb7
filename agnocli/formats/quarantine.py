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
from agnocli.errors import CodecError, FileFormatError
from agnocli.formats.jsonl import JSONL, QUARANTINE
from agnocli.formats.kinds import shape_of
from agnocli.formats.part import created, sync, telling
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
        self._path, self._address, self._backend = Path(path), str(path), backend

    def add(self, bundle: SessionBundle, *, json_path: str, reason: str) -> None:
        """Durable on return; an error while the runs are being read leaves nothing of it."""
        error = {"json_path": json_path, "reason": reason, "backend": self._backend}
        with self._open() as file:
            with telling(self._address):
                whole = self._begin_line(file)
            try:
                for text in _line(bundle, codec.encode(error)):
                    with telling(self._address):
                        file.write(text)
                whole = file.tell()
            finally:
                with telling(self._address):
                    file.truncate(whole)
                    sync(file)

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        with telling(self._address):
            file = created(self._path)
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _begin_line(self, file: BinaryIO) -> int:
        """Stand behind the last whole line, a torn one is dropped; returns how much is there."""
        beginning = file.read(_BEGINNING)
        if QUARANTINE.startswith(beginning):
            file.truncate(0)
            file.seek(0)
            return file.write(QUARANTINE + b"\n")
        if shape_of(beginning, self._address) is not None:
            raise FileFormatError(self._address, 1, "is no quarantine file", hint="name another")
        _mend_end(file)
        return file.seek(0, os.SEEK_END)


def _line(bundle: SessionBundle, error: bytes) -> Iterator[bytes]:
    yield session_row(bundle.session) + b', "error": ' + error + RUNS
    mark = JSONL.cell
    for row in map(run_row, bundle.runs):
        yield mark + row
        mark = b"," + JSONL.cell
    yield JSONL.cell + b"]}\n"


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
