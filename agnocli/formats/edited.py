"""Sessions of a file that people have edited: nothing is held against it that still is JSON of the right members."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

from agnocli import codec
from agnocli.errors import CodecError, FileFormatError
from agnocli.formats.kinds import BOM
from agnocli.formats.reading import Record
from agnocli.formats.text import pieces
from agnocli.formats.walking import Walker

_BEHIND_RUNS = ("sha256", "error")


class EditedReader:
    """FileFormatError where the text is not what it must be, once that is reached."""

    def __init__(self, text: Iterable[bytes], address: str) -> None:
        text = iter(text)
        first = next(text, b"")
        self._walker = Walker(chain([first.removeprefix(BOM)], text))
        self._address = address
        self._complete = False
        """Whether the end was seen, or there is none to see."""

    def records(self) -> Iterator[Record]:
        with self._telling_line():
            yield from self._of_document()
            yield from self._of_lines()
            if not self._complete:
                raise CodecError("the last line is missing: the file is cut off here")

    def _of_document(self) -> Iterator[Record]:
        """Of the file's first object: all there are, or none where it is the first line of many."""
        for key in self._walker.members():
            if key == "sessions":
                self._complete = True
                for _ in self._walker.elements():
                    yield from self._record()
            elif key == "kind":
                self._complete = codec.decode(self._walker.value()) == "quarantine"
            else:
                self._walker.value()

    def _of_lines(self) -> Iterator[Record]:
        number, rest = self._walker.line, pieces(self._walker.rest())
        while (begun := next(rest, None)) is not None:
            self._walker = Walker(_line(begun, rest), number)
            if self._walker.peek():
                yield from self._record(alone=True)
            number += 1

    def _record(self, *, alone: bool = False) -> Iterator[Record]:
        """One, or none where a file's counts stand; `alone` is one that nothing may stand behind."""
        line, head, counts = self._walker.line, list[bytes](), False
        members = self._walker.members()
        for key in members:
            if key == "runs":
                runs = self._runs(members, alone=alone)
                yield Record(line, b"{" + b", ".join(head) + b"}", runs)
                for _ in runs:
                    pass
                return
            if key == "raw":
                raise self._raw(head)
            counts |= key == "sessions_count"
            head.append(codec.encode(key) + b": " + self._walker.value())
        if not counts:
            raise CodecError("the session has lost its 'runs'")
        self._complete = True

    def _raw(self, head: list[bytes]) -> FileFormatError:
        """Of a line of a quarantine file that holds no session."""
        found = codec.decode(b"{" + b", ".join(head) + b"}")
        told = {"json_path": "record", "reason": "cannot be read", "backend": "its source"}
        if isinstance(error := found.get("error"), dict):
            told |= error
        return FileFormatError(
            self._address,
            self._walker.line,
            f"session {found.get('session_id')!r} is here only as the bytes that are stored at"
            f" {told['backend']}: its {told['json_path']} {told['reason']}",
            hint="mend it there, migrate again and delete this line; or write the session itself in its place",
        )

    def _runs(self, members: Iterator[str], *, alone: bool) -> Iterator[bytes]:
        with self._telling_line():
            for _ in self._walker.elements():
                yield self._walker.value()
            for key in members:
                if key not in _BEHIND_RUNS:
                    raise CodecError(f"{key!r} must stand in front of the runs")
                self._walker.value()
            if alone and self._walker.peek():
                raise CodecError("there is more behind the session")

    @contextmanager
    def _telling_line(self) -> Iterator[None]:
        try:
            yield
        except CodecError as error:
            raise FileFormatError(self._address, self._walker.line, error.message) from error
        except (EOFError, zlib.error) as error:
            reason = "the file is cut off or damaged here"
            raise FileFormatError(self._address, self._walker.line, reason) from error


def _line(begun: tuple[bytes, bytes], rest: Iterator[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Blocks of one line, of which a first piece is drawn."""
    piece, mark = begun
    while mark == b"\t":
        yield piece + mark
        piece, mark = next(rest)
    yield piece
