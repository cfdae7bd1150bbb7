"""A file that people have edited: any layout of the same JSON, and no checksums."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from agnocli import codec
from agnocli.errors import CodecError

_BLANKS = re.compile(rb"[ \t\r\n]*")
_BRACKET_OR_STRING = re.compile(rb'["\[\]{}]')
_OPEN_STRING = re.compile(rb'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*')
_SCALAR = re.compile(rb"[-+.0-9a-zA-Z]*")


class Walker:
    """JSON taken apart while it streams by. CodecError where it is none; `line` is where that is."""

    def __init__(self, text: Iterable[bytes], line: int = 1) -> None:
        self._text = iter(text)
        self._held, self._place = b"", 0
        self._lines = line

    @property
    def line(self) -> int:
        return self._lines + self._held.count(b"\n", 0, self._place)

    def rest(self) -> Iterator[bytes]:
        """The text behind what was read."""
        yield self._held[self._place :]
        yield from self._text

    def peek(self) -> bytes:
        """The next character that is no blank; none at the end."""
        while True:
            self._place += self._length(_BLANKS, 0)
            if self._place < len(self._held) or not self._more():
                return self._held[self._place : self._place + 1]

    def members(self) -> Iterator[str]:
        """Keys of the object that begins here; each one's value must be read before the next."""
        for _ in self._items(b"{", b"}"):
            if self.peek() != b'"':
                raise self._unlike("a key")
            key = codec.decode(self.value())
            self._take(b":")
            yield key

    def elements(self) -> Iterator[None]:
        """Once for each element of the array that begins here, which must be read before the next."""
        return self._items(b"[", b"]")

    def value(self) -> bytes:
        """The text of the next value; within brackets nothing but strings and brackets is looked at."""
        first = self.peek()
        if first == b'"':
            size = self._string(0)
        elif first in (b"{", b"["):
            size = self._bracketed()
        else:
            size = self._scalar()
        self._place += size
        return self._held[self._place - size : self._place]

    def _items(self, opening: bytes, closing: bytes) -> Iterator[None]:
        self._take(opening)
        if self.peek() != closing:
            yield
            while self.peek() == b",":
                self._take(b",")
                yield
        self._take(closing)

    def _take(self, mark: bytes) -> None:
        if self.peek() != mark:
            raise self._unlike(mark.decode())
        self._place += 1

    def _bracketed(self) -> int:
        size = depth = 0
        while not size or depth:
            found = _BRACKET_OR_STRING.search(self._held, self._place + size)
            if found is None:
                size = len(self._held) - self._place
                self._need_more("a closing bracket")
                continue
            size = found.start() - self._place
            if found[0] == b'"':
                size += self._string(size)
            else:
                depth += 1 if found[0] in b"{[" else -1
                size += 1
        return size

    def _string(self, start: int) -> int:
        while True:
            size = self._length(_OPEN_STRING, start)
            end = self._place + start + size
            if self._held[end : end + 1] == b'"':
                return size + 1
            if len(self._held) - end > 1:
                self._place = end
                raise self._unlike("the end of a text")
            self._need_more("the end of a text")

    def _scalar(self) -> int:
        size = 0
        while self._place + size == len(self._held) or not size:
            size = self._length(_SCALAR, 0)
            if not size:
                raise self._unlike("a value")
            if self._place + size == len(self._held) and not self._more():
                break
        return size

    def _length(self, pattern: re.Pattern[bytes], start: int) -> int:
        found = pattern.match(self._held, self._place + start)
        return len(found[0]) if found else 0

    def _need_more(self, wanted: str) -> None:
        if not self._more():
            self._place = len(self._held)
            raise self._unlike(wanted)

    def _more(self) -> bool:
        """Hold at least twice as much of the text that is not read yet; whether there was any."""
        self._lines = self.line
        held = [self._held[self._place :]]
        missing = max(1, len(held[0]))
        self._held, self._place = held[0], 0
        for block in self._text:
            held.append(block)
            missing -= len(block)
            if missing <= 0:
                break
        self._held = b"".join(held)
        return len(held[0]) < len(self._held)

    def _unlike(self, wanted: str) -> CodecError:
        found = self._held[self._place : self._place + 1] or b"the end"
        return CodecError(
            f"not JSON: {wanted} was expected, not {found.decode('utf-8', 'replace')}"
        )
