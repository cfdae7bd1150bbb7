"""What sources of foreign conversations share."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import chain
from typing import Any

from agnocli import codec
from agnocli.abc import Cursor
from agnocli.errors import CodecError, FileFormatError
from agnocli.formats.foreign.turns import Conversation, Owner, bundle
from agnocli.formats.kinds import BOM
from agnocli.formats.source import Checked
from agnocli.formats.walking import Walker
from agnocli.layout.readable import seconds
from agnocli.records import SessionBundle


class ForeignSource(ABC):
    """Conversations of a file in its order, each once; an empty one is none."""

    def __init__(self, path: str, owner: Owner) -> None:
        self.address, self._owner = path, owner

    @abstractmethod
    def conversations(self) -> Iterator[Conversation]: ...

    def check(self) -> Checked:
        """Read it to its end, and raise what is wrong with it."""
        sessions = runs = 0
        for _, found in self.scan():
            sessions += 1
            runs += len(tuple(found.runs))
        return Checked(sessions, runs)

    def scan(
        self, *, after: Cursor | None = None, wanted: Callable[[str], bool] | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        passed, seen = int(after or 0), set[bytes]()
        for number, one in enumerate(self.conversations(), 1):
            mark = blake2b(one.session_id.encode("utf-8", "surrogatepass"), digest_size=12).digest()
            if mark in seen or not one.messages:
                continue
            seen.add(mark)
            if number > passed and (wanted is None or wanted(one.session_id)):
                yield Cursor(str(number)), bundle(one, self._owner)

    @abstractmethod
    def close(self) -> None: ...


def documents(text: Iterable[bytes], address: str) -> Iterator[tuple[int, bytes]]:
    """JSON values, one behind the other or in one array, each with the line where it begins."""
    blocks = iter(text)
    first = next(blocks, b"").removeprefix(BOM)
    walker = Walker(chain([first], blocks))
    with telling_line(address, lambda: walker.line):
        if walker.peek() == b"[":
            for _ in walker.elements():
                yield _next(walker)
        while walker.peek():
            yield _next(walker)


def _next(walker: Walker) -> tuple[int, bytes]:
    walker.peek()
    return walker.line, walker.value()


@contextmanager
def telling_line(address: str, line: Callable[[], int]) -> Iterator[None]:
    try:
        yield
    except CodecError as error:
        raise FileFormatError(address, line(), error.message) from error
    except (EOFError, zlib.error) as error:
        raise FileFormatError(address, line(), "the file is cut off or damaged here") from error


def decoded(document: bytes, address: str, line: int) -> dict[str, Any]:
    """FileFormatError for what is no object."""
    with telling_line(address, lambda: line):
        value = codec.decode(document)
        if not isinstance(value, dict):
            raise CodecError("a JSON object was expected")
        return value


def epoch(value: object) -> int | None:
    """Seconds, of a number or ISO text."""
    moment = seconds(value)
    return None if moment is None else int(moment)
