"""What a transfer sets aside: a file of sessions to be mended by hand, and read like any other.

A line is a session as in jsonl, with `"error": {"json_path", "reason", "backend"}` in it and without a checksum. Of one
that its source could not read, there is instead what is stored of it, piece by piece, and a reader refuses the line:

    {"session_id": …, "error": {…}, "raw": [|{"place": …, "text": …},|{"place": …, "base64": …}|]}

A piece is text where it is UTF-8, and has a `reason` alone where the source could not hand it over.
"""

from __future__ import annotations

import fcntl
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
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
from agnocli.formats.text import pieces, raw_blocks
from agnocli.formats.values import to_json
from agnocli.formats.walking import Walker
from agnocli.records import RawPiece, SessionBundle

_BEGINNING = 4096
RAW = b', "raw": ['


class QuarantineWriter:
    """Makes the file when something is set aside first. Several processes may write to one."""

    def __init__(self, path: str | Path, *, backend: str) -> None:
        """`backend` is the address of the one that cannot hold these sessions."""
        self._path, self._address, self._backend = Path(path), str(path), backend
        self._known: set[bytes] | None = None
        """Digests of the lines that are there: a job that goes on may set the same aside again."""

    def add(self, bundle: SessionBundle, *, json_path: str, reason: str) -> None:
        """Durable on return; an error while the runs are being read leaves nothing of it."""
        error = {"json_path": json_path, "reason": reason, "backend": self._backend}
        self._append(_line(bundle, codec.encode(error)))

    def add_raw(
        self,
        session_id: str,
        pieces: Iterable[RawPiece],
        *,
        json_path: str,
        reason: str,
        source: str,
    ) -> None:
        """As `add`, of a session that could not be read at the address `source`."""
        error = {"json_path": json_path, "reason": reason, "backend": source}
        self._append(_raw_line(session_id, pieces, codec.encode(error)))

    def _append(self, line: Iterator[bytes]) -> None:
        """A line that is there already is not written again."""
        digest = _digest()
        with self._open() as file:
            with telling(self._address):
                whole = self._begin_line(file)
            try:
                for text in line:
                    digest.update(text)
                    with telling(self._address):
                        file.write(text)
                if self._is_new(digest.digest()):
                    whole = file.tell()
            finally:
                with telling(self._address):
                    file.truncate(whole)
                    sync(file)

    def _is_new(self, digest: bytes) -> bool:
        assert self._known is not None  # the line is begun
        is_new = digest not in self._known
        self._known.add(digest)
        return is_new

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
            self._known = set()
            return file.write(QUARANTINE + b"\n")
        if shape_of(beginning, self._address) is not None:
            raise FileFormatError(self._address, 1, "is no quarantine file", hint="name another")
        _mend_end(file)
        if self._known is None:
            file.seek(0)
            self._known = set(_digests(file))
        return file.seek(0, os.SEEK_END)


def _line(bundle: SessionBundle, error: bytes) -> Iterator[bytes]:
    yield session_row(bundle.session) + b', "error": ' + error + RUNS
    mark = JSONL.cell
    for row in map(run_row, bundle.runs):
        yield mark + row
        mark = b"," + JSONL.cell
    yield JSONL.cell + b"]}\n"


def _raw_line(session_id: str, stored: Iterable[RawPiece], error: bytes) -> Iterator[bytes]:
    yield b'{"session_id": ' + _json(session_id) + b', "error": ' + error + RAW
    mark = JSONL.cell
    for piece in stored:
        yield mark + _json({"place": piece.place, **_content(piece)})
        mark = b"," + JSONL.cell
    yield JSONL.cell + b"]}\n"


def _content(piece: RawPiece) -> dict[str, str]:
    if piece.data is None:
        return {"reason": piece.reason}
    try:
        return {"text": piece.data.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(piece.data).decode()}


def _json(value: object) -> bytes:
    return codec.compact(to_json(value))


def _digest() -> blake2b:
    return blake2b(digest_size=16)


def _digests(file: BinaryIO) -> Iterator[bytes]:
    """Of each line that has an end."""
    digest = _digest()
    for piece, mark in pieces(raw_blocks(file)):
        digest.update(piece + mark)
        if mark == b"\n":
            yield digest.digest()
            digest = _digest()


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
            if key in ("runs", "raw"):
                for _ in walker.elements():
                    walker.value()
            else:
                walker.value()
        return not walker.peek()
    except CodecError:
        return False
