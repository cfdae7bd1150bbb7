"""A batch as BSON, in memory or on disk, before anything of it is written.

A source that fails half-way has left no trace then, a slow one holds no lock, and a transaction can be done again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, NamedTuple

import bson

from agnocli.closing import Closing
from agnocli.db._mongo.documents import run_bson, session_bson, to_run, to_session
from agnocli.errors import BackendError
from agnocli.records import Run, Session, SessionBundle

IN_MEMORY, LISTED = 4 * 2**20, 24 * 2**20
"""Bytes of BSON that are kept in memory; the second when the caller has it all there anyway."""


class Item(NamedTuple):
    """A session of the batch: the number of its document, its runs' behind it."""

    session_id: str
    number: int
    runs: int
    size: int


class Spool(Closing):
    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._ends = array("Q", [0])
        self.items: list[Item] = []

    @property
    def size(self) -> int:
        return self._ends[-1]

    def fill(self, bundles: Iterable[SessionBundle]) -> None:
        most = LISTED if _are_in_memory(bundles) else IN_MEMORY
        for session, runs in bundles:
            start, number = self.size, len(self._ends) - 1
            self._add(session_bson(session), most)
            for run in runs:
                self._add(run_bson(run), most)
            found = len(self._ends) - 2 - number
            self.items.append(Item(session.session_id, number, found, self.size - start))

    def _add(self, raw: bytes, most: int) -> None:
        self._ends.append(self._ends[-1] + len(raw))
        if self._file is None:
            self._held.append(raw)
            if self._ends[-1] > most:
                self._to_disk()
        else:
            with _room():
                self._file.write(raw)

    def _to_disk(self) -> None:
        with _room():
            self._file = TemporaryFile()  # noqa: SIM115 - closed with the spool
            self._file.writelines(self._held)
        self._held.clear()

    def session(self, item: Item) -> bytes:
        return self._document(item.number)

    def runs(self, item: Item) -> Iterator[bytes]:
        """Other parts may be read meanwhile."""
        return map(self._document, range(item.number + 1, item.number + 1 + item.runs))

    def decoded(self, item: Item) -> Session:
        """The session as it will be read back."""
        return to_session(bson.decode(self.session(item)))

    def decoded_runs(self, item: Item) -> Iterator[Run]:
        return (to_run(bson.decode(one)) for one in self.runs(item))

    def _document(self, number: int) -> bytes:
        if self._file is None:
            return self._held[number]
        start, end = self._ends[number], self._ends[number + 1]
        self._file.seek(start)
        return self._file.read(end - start)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _are_in_memory(bundles: Iterable[SessionBundle]) -> bool:
    return isinstance(bundles, Sequence) and all(isinstance(one.runs, Sequence) for one in bundles)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendError(
            f"there is no room to collect a batch: {error.strerror}",
            hint="free some space, or name a bigger folder in TMPDIR",
        ) from error
