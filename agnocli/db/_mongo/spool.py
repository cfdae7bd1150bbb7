"""A batch as BSON on disk, before anything of it is written.

A source that fails half-way has left no trace then, a slow one holds no lock, and a transaction can be done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import NamedTuple, Self

import bson
from bson.raw_bson import RawBSONDocument

from agnocli.db._mongo.documents import run_bson, session_bson, to_run, to_session
from agnocli.errors import BackendError
from agnocli.records import Run, Session, SessionBundle

IN_MEMORY = 4 * 1024 * 1024


class Item(NamedTuple):
    """A session of the batch: where its document lies, its runs' behind it."""

    session_id: str
    place: int
    runs: int
    size: int


class Spool:
    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the spool
        self.items: list[Item] = []
        self.size = 0

    def fill(self, bundles: Iterable[SessionBundle]) -> None:
        for session, runs in bundles:
            place, number = self.size, 0
            self._add(session_bson(session))
            for run in runs:
                self._add(run_bson(run))
                number += 1
            size = self.size - place
            self.items.append(Item(session.session_id, place, number, size))

    def _add(self, raw: bytes) -> None:
        with _room():
            self._file.write(raw)
        self.size += len(raw)

    def session(self, item: Item) -> RawBSONDocument:
        self._file.seek(item.place)
        return RawBSONDocument(self._next())

    def runs(self, item: Item) -> Iterator[RawBSONDocument]:
        """Other parts may be read meanwhile."""
        self._file.seek(item.place)
        self._next()
        place = self._file.tell()
        for _ in range(item.runs):
            self._file.seek(place)
            document = RawBSONDocument(self._next())
            place = self._file.tell()
            yield document

    def decoded(self, item: Item) -> Session:
        """The session as it will be read back."""
        return to_session(bson.decode(self.session(item).raw))

    def decoded_runs(self, item: Item) -> Iterator[Run]:
        return (to_run(bson.decode(one.raw)) for one in self.runs(item))

    def _next(self) -> bytes:
        """BSON begins with its own length."""
        head = self._file.read(4)
        return head + self._file.read(int.from_bytes(head, "little") - 4)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendError(
            f"there is no room to collect a batch: {error.strerror}",
            hint="free some space, or name a bigger folder in TMPDIR",
        ) from error
