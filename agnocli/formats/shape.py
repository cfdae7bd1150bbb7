"""How sessions lie in a file: punctuation, and the checksum that runs through it.

    HEADER                                     format, version, kind
    {session's columns …, "runs": [|RUN,|RUN|], "sha256": "…"}     for each session; | is a tab or a line end
    {"sessions_count": …, "runs_count": …, "sha256": "…"}

A session's `sha256` is that of the whole file up to the hash itself: it vouches for all that is in front of it, so the
first that is wrong marks the place where a line was changed, lost or moved. The last line's is that of all lines
before it. No row has a raw tab or line end, so a reader splits runs without looking into them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

from agnocli.formats.rows import run_row, session_row
from agnocli.records import SessionBundle

FORMAT, VERSION = "agnocli-sessions", 1
HEAD = b'{"format": "%b", "version": %d' % (FORMAT.encode(), VERSION)
RUNS = b', "runs": ['
SEAL = b'], "sha256": "'
SEALED = re.compile(rb'\], "sha256": "([0-9a-f]{64})"\}(,?)')


class Tally:
    """What was written or read so far, as the checksum sees it."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.sessions = self.runs = self.length = 0

    def add(self, text: bytes) -> None:
        self.sha256.update(text)
        self.length += len(text)

    def copy(self) -> Self:
        other = self.__class__.__new__(self.__class__)
        other.sha256 = self.sha256.copy()
        other.sessions, other.runs, other.length = self.sessions, self.runs, self.length
        return other


class Shape(NamedTuple):
    name: str
    header: bytes
    """The first line, without its end."""
    cell: bytes
    """What stands in front of each run, and of the bracket behind the last."""
    between: bytes
    """What stands between two sessions."""
    last: bytes
    """How the last line begins."""

    def trailer(self, tally: Tally) -> bytes:
        """The last line, when all before it is counted."""
        counts = b'%d, "runs_count": %d' % (tally.sessions, tally.runs)
        return self.last + counts + b', "sha256": "%b"}\n' % tally.sha256.hexdigest().encode()


class Fingerprint:
    """Of a session as it stands in a file, wherever it stands there."""

    def __init__(self, head: bytes) -> None:
        self._hash = hashlib.sha256(head)

    def watch(self, rows: Iterable[bytes]) -> Iterator[bytes]:
        for row in rows:
            self._hash.update(row)
            yield row

    def digest(self) -> bytes:
        return self._hash.digest()[:16]


class Encoder:
    """Writes the text of a file; `tally` is of all that was written."""

    def __init__(
        self, shape: Shape, write: Callable[[bytes], object], tally: Tally | None = None
    ) -> None:
        self._shape, self._write = shape, write
        self.tally = tally or Tally()

    def header(self) -> None:
        self._put(self._shape.header)

    def session(self, bundle: SessionBundle) -> bytes:
        """Write one, run by run; returns its fingerprint."""
        head = session_row(bundle.session) + RUNS
        fingerprint = Fingerprint(head + b"]}")
        self._put((self._shape.between if self.tally.sessions else b"\n") + head)
        mark = self._shape.cell
        for row in fingerprint.watch(map(run_row, bundle.runs)):
            self._put(mark + row)
            self.tally.runs += 1
            mark = b"," + self._shape.cell
        self._put(self._shape.cell + SEAL)
        self._put(self.tally.sha256.hexdigest().encode() + b'"}')
        self.tally.sessions += 1
        return fingerprint.digest()

    def trailer(self) -> None:
        self._put(b"\n")
        self._put(self._shape.trailer(self.tally))

    def _put(self, text: bytes) -> None:
        self._write(text)
        self.tally.add(text)
