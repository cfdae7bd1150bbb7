"""Text that grows durably beside the file it becomes: `NAME.part`.

What is committed is there after a crash; until then it can be taken back. The name is the file's own only at the end.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Protocol

from agnocli.abc import HELD_BYTES
from agnocli.errors import BackendError, BackendUnavailableError
from agnocli.formats.text import BLOCK, pack, raw_blocks, unpack, unpacker

CHUNK = 2**18
"""Text that becomes one gzip member."""
_LONGEST_MEMBER = CHUNK + 2**12


class Part(Protocol):
    def read(self) -> Iterator[bytes]:
        """What is there from an earlier time, before anything is written."""

    def write(self, text: bytes) -> None: ...

    def cut(self, length: int) -> None:
        """Take back the text behind so many bytes: all of it, or what was not committed."""

    def commit(self) -> None: ...

    def finish(self) -> None:
        """Give it the file's name."""

    def discard(self) -> None: ...

    def close(self) -> None: ...


class PlainPart:
    def __init__(self, target: Path) -> None:
        self._target, self._path = target, target.with_name(f"{target.name}.part")
        self._file = _locked(self._path)

    def read(self) -> Iterator[bytes]:
        self._file.seek(0)
        return raw_blocks(self._file)

    def write(self, text: bytes) -> None:
        self._file.write(text)

    def cut(self, length: int) -> None:
        self._file.seek(length)
        self._file.truncate()

    def commit(self) -> None:
        sync(self._file)

    def finish(self) -> None:
        self.commit()
        self._path.replace(self._target)
        sync_folder(self._target.parent)

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        self._file.close()


class PackedPart:
    """gzip members of CHUNK bytes of text each; the text behind them is in `NAME.part.rest`, with its chunk's number.

    Where a member ends depends on the text alone, so the same sessions make the same file however often they were
    committed.
    """

    def __init__(self, target: Path) -> None:
        self._target, self._path = target, target.with_name(f"{target.name}.part")
        self._rest_path = target.with_name(f"{target.name}.part.rest")
        self._file = _locked(self._path)
        self._rest = bytearray()
        self._ends = array("Q", [0])
        """Where each member ends, and the first begins."""

    def read(self) -> Iterator[bytes]:
        self._ends = array("Q", [0])
        yield from self._members()
        self._cut_members(self._number())
        self._rest = bytearray(self._stored_rest())
        yield bytes(self._rest)

    def write(self, text: bytes) -> None:
        self._rest += text
        while len(self._rest) >= CHUNK:
            self._append(bytes(self._rest[:CHUNK]))
            del self._rest[:CHUNK]

    def cut(self, length: int) -> None:
        number, rest = divmod(length, CHUNK)
        if number < self._number():
            start, end = self._ends[number : number + 2]
            self._file.seek(start)
            self._rest = bytearray(unpack(self._file.read(end - start)))
        self._cut_members(number)
        del self._rest[rest:]
        if not length:
            self._rest_path.unlink(missing_ok=True)

    def commit(self) -> None:
        sync(self._file)
        fresh = self._rest_path.with_name(f"{self._rest_path.name}.new")
        with created(fresh) as file:
            file.write(self._number().to_bytes(8, "big") + self._rest)
            sync(file)
        fresh.replace(self._rest_path)
        sync_folder(self._target.parent)

    def finish(self) -> None:
        if self._rest:
            self._append(bytes(self._rest))
        sync(self._file)
        self._rest_path.unlink(missing_ok=True)
        self._path.replace(self._target)
        sync_folder(self._target.parent)

    def discard(self) -> None:
        self._rest_path.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        self._file.close()

    def _number(self) -> int:
        return len(self._ends) - 1

    def _append(self, chunk: bytes) -> None:
        packed = pack(chunk)
        self._file.write(packed)
        self._ends.append(self._ends[-1] + len(packed))

    def _cut_members(self, number: int) -> None:
        del self._ends[number + 1 :]
        self._file.seek(self._ends[-1])
        self._file.truncate()

    def _members(self) -> Iterator[bytes]:
        """The text of each that is whole."""
        self._file.seek(0)
        while packed := self._file.read(_LONGEST_MEMBER):
            member = unpacker()
            try:
                chunk = member.decompress(packed)
            except zlib.error:
                return
            if not member.eof:
                return
            self._ends.append(self._ends[-1] + len(packed) - len(member.unused_data))
            self._file.seek(self._ends[-1])
            yield chunk

    def _stored_rest(self) -> bytes:
        if not self._rest_path.exists():
            return b""
        stored = self._rest_path.read_bytes()
        return stored[8:] if int.from_bytes(stored[:8], "big") == self._number() else b""


class PipePart:
    """Standard output: what is committed is gone."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._sent = stream, 0
        self._spool = SpooledTemporaryFile(max_size=HELD_BYTES)  # noqa: SIM115 - closed with the part

    def read(self) -> Iterator[bytes]:
        return iter(())

    def write(self, text: bytes) -> None:
        self._spool.write(text)

    def cut(self, length: int) -> None:
        """What was sent cannot be taken back."""
        self._spool.seek(max(0, length - self._sent))
        self._spool.truncate()

    def commit(self) -> None:
        self._sent += self._spool.tell()
        self._spool.seek(0)
        copyfileobj(self._spool, self._stream)
        self._stream.flush()
        self.cut(self._sent)

    def finish(self) -> None:
        self.commit()

    def discard(self) -> None:
        """It cannot be taken back."""

    def close(self) -> None:
        self._spool.close()


def created(path: Path) -> BinaryIO:
    """Open to be read and written, by nobody else; made when it is not there."""
    return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", BLOCK)  # noqa: PTH123


def _locked(path: Path) -> BinaryIO:
    while True:
        file = created(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise BackendUnavailableError(
                f"{path} is being written by another process", hint="wait until it is done"
            ) from error
        # the other one may have finished it in between, and given it its name
        if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            sync_folder(path.parent)
            return file
        file.close()


def sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    found = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(found)
    finally:
        os.close(found)


@contextmanager
def telling(address: str, done: str = "written") -> Iterator[None]:
    """Tells an error of the system as ours; a reader that went away stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(address, error, done) from error


def unwritable(address: str, error: OSError, done: str = "written") -> BackendError:
    return BackendError(f"{address} cannot be {done}: {error.strerror}")
