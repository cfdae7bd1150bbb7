"""A file as it was written, proven while it is read."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agnocli.errors import FileFormatError
from agnocli.formats.shape import RUNS, SEAL, SEALED, Shape, Tally
from agnocli.formats.text import pieces

_PARTIAL = "read what is whole in front of it with --partial"
_EDITED = f"if you changed it on purpose, read it with --edited; else {_PARTIAL}"


class Record(NamedTuple):
    """A session's columns as a JSON object, and its runs' rows: read them before the next record is drawn."""

    line: int
    head: bytes
    runs: Iterator[bytes]


class SealedReader:
    """FileFormatError where the file is not as it was written, once that is reached."""

    def __init__(self, text: Iterable[bytes], shape: Shape, address: str) -> None:
        self._pieces = pieces(text)
        self._shape, self._address = shape, address
        self._tally = Tally()
        self._line, self._next_line, self._begun = 1, 1, 1
        self.whole = Tally()
        """Of the header, and of all sessions that were read to their end."""
        self.cut = False
        """Whether the error was that the file ends too early."""

    def records(self) -> Iterator[Record]:
        self._header(*self._pull())
        while True:
            piece, mark = self._pull()
            if piece.startswith(self._shape.last):
                self._last_line(piece, mark)
                return
            self._begun = self._line
            if mark != self._shape.cell or not piece.endswith(RUNS):
                raise self._bad(mark)
            self._add(piece, mark)
            runs = self._runs()
            yield Record(self._begun, piece + b"]}", runs)
            for _ in runs:
                pass

    def _header(self, piece: bytes, mark: bytes) -> None:
        if piece != self._shape.header or mark != b"\n":
            raise self._bad(mark)
        self._tally.add(piece)
        self.whole = self._tally.copy()
        self._tally.add(mark)

    def _runs(self) -> Iterator[bytes]:
        while True:
            piece, mark = self._pull()
            if piece.startswith(b"]"):
                self._seal(piece, mark)
                return
            if mark != self._shape.cell:
                raise self._bad(mark)
            self._add(piece, mark)
            self._tally.runs += 1
            yield piece.removesuffix(b",")

    def _seal(self, piece: bytes, mark: bytes) -> None:
        found = SEALED.fullmatch(piece)
        self._tally.add(SEAL)
        if found is None or found[1].decode() != self._tally.sha256.hexdigest():
            raise self._bad(mark)
        self._tally.add(found[1] + b'"}')
        self._tally.sessions += 1
        self.whole = self._tally.copy()
        self._add(found[2], mark)

    def _last_line(self, piece: bytes, mark: bytes) -> None:
        self._begun = self._line
        if piece + mark != self._shape.trailer(self._tally):
            raise self._bad(mark)
        if self._pull() != (b"", b""):
            raise self._error("there is more behind the last line", _EDITED)

    def _pull(self) -> tuple[bytes, bytes]:
        self._line = self._next_line
        try:
            piece, mark = next(self._pieces, (b"", b""))
        except (EOFError, zlib.error) as error:
            raise self._bad(b"" if isinstance(error, EOFError) else b"\n") from error
        if mark == b"\n":
            self._next_line += 1
        return piece, mark

    def _add(self, piece: bytes, mark: bytes) -> None:
        self._tally.add(piece + mark)

    def _bad(self, mark: bytes) -> FileFormatError:
        """A piece with no mark behind it is the last there is."""
        if mark:
            self._line = self._begun
            return self._error("was altered since it was written", _EDITED)
        self.cut = True
        return self._error("the file is cut off here", _PARTIAL)

    def _error(self, reason: str, hint: str) -> FileFormatError:
        return FileFormatError(self._address, self._line, reason, hint=hint)
