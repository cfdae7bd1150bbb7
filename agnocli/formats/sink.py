"""A session file as a sink."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from agnocli.abc import Capabilities, ConflictPolicy, WriteResult
from agnocli.errors import ExistsError, FileFormatError, SessionConflictError
from agnocli.formats.part import PackedPart, Part, PipePart, PlainPart, telling, unwritable
from agnocli.formats.reading import SealedReader
from agnocli.formats.rows import to_session
from agnocli.formats.seen import Seen
from agnocli.formats.shape import Encoder, Fingerprint, Shape, Tally
from agnocli.formats.source import STDIO
from agnocli.records import SessionBundle

_RESTART = "start over with --restart"


class FileSink(ABC):
    """A file appears under its name when it is complete. Without `loading`, each `write` is a complete file."""

    capabilities = Capabilities(needs_setup=False)

    def __init__(self, path: str, *, force: bool = False, restart: bool = False) -> None:
        self.address = path
        self._force, self._restart = force, restart
        self._writing: Writing | None = None

    def write(
        self, bundles: Iterable[SessionBundle], policy: ConflictPolicy = ConflictPolicy.ERROR
    ) -> WriteResult:
        """SessionConflictError under every policy but `skip`: a line cannot be replaced."""
        if self._writing is not None:
            return self._writing.write(bundles, policy)
        with self._opened(restart=True, keep=False) as writing:
            return writing.write(bundles, policy)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """ExistsError when there is such a file, unless `force`. What an earlier loading left is gone on with, unless
        this one begins anew: then it leaves nothing either."""
        restart, self._restart = self._restart, False
        with self._opened(restart=restart, keep=not restart) as self._writing:
            try:
                yield
            finally:
                self._writing = None

    @abstractmethod
    def _into(self, part: Part) -> Writing: ...

    @contextmanager
    def _opened(self, *, restart: bool, keep: bool) -> Iterator[Writing]:
        self._check_absent()
        with ExitStack() as stack:
            with telling(self.address):
                part = self._part()
            stack.callback(part.close)
            writing = stack.enter_context(closing(self._into(part)))
            if restart:
                writing.begin()
            else:
                writing.go_on()
            undo = stack.enter_context(ExitStack())
            undo.callback(writing.leave, keep=keep)
            yield writing
            self._check_absent()
            writing.finish()
            undo.pop_all()

    def _part(self) -> Part:
        if self.address == STDIO:
            return PipePart(sys.stdout.buffer)
        kind = PackedPart if self.address.endswith(".gz") else PlainPart
        return kind(Path(self.address))

    def _check_absent(self) -> None:
        if self.address != STDIO and not self._force and Path(self.address).exists():
            raise ExistsError(f"there is a file {self.address} already")


class RecordSink(FileSink):
    """A file that can be read again."""

    def __init__(
        self, path: str, shape: Shape, *, force: bool = False, restart: bool = False
    ) -> None:
        super().__init__(path, force=force, restart=restart)
        self._shape = shape

    def _into(self, part: Part) -> Writing:
        return _Records(part, self._shape, self.address)


class Writing(Protocol):
    """A file on its way."""

    def begin(self) -> None:
        """Forget what an earlier time left."""

    def go_on(self) -> None: ...

    def write(self, bundles: Iterable[SessionBundle], policy: ConflictPolicy) -> WriteResult: ...

    def finish(self) -> None: ...

    def leave(self, *, keep: bool) -> None:
        """After an error: what was written may be gone on with."""

    def close(self) -> None: ...


class _Records:
    def __init__(self, part: Part, shape: Shape, address: str) -> None:
        self._part, self._shape, self._address = part, shape, address
        self._encoder = Encoder(shape, self._put)
        self._seen = Seen()

    def begin(self) -> None:
        self._begin_behind(Tally())

    def _begin_behind(self, tally: Tally) -> None:
        self._take_back(tally)
        if not tally.length:
            self._encoder.header()

    def go_on(self) -> None:
        reader = SealedReader(self._part.read(), self._shape, self._address)
        try:
            for record in reader.records():
                fingerprint = Fingerprint(record.head)
                for _ in fingerprint.watch(record.runs):
                    pass
                self._seen.add(to_session(record.head).session_id, fingerprint.digest())
        except FileFormatError as error:
            if not reader.cut:
                raise FileFormatError(
                    f"{self._address}.part", error.line, error.reason, hint=_RESTART
                ) from error
        self._seen.commit()
        self._begin_behind(reader.whole)

    def write(self, bundles: Iterable[SessionBundle], policy: ConflictPolicy) -> WriteResult:
        outcome: dict[str, list[str]] = {}
        with ExitStack() as undo:
            undo.callback(self._take_back, self._encoder.tally.copy())
            for bundle in bundles:
                fate = self._add(bundle, policy)
                outcome.setdefault(fate, []).append(bundle.session.session_id)
            with telling(self._address):
                self._part.commit()
            undo.pop_all()
        self._seen.commit()
        return WriteResult(**{fate: tuple(ids) for fate, ids in outcome.items()})

    def finish(self) -> None:
        self._encoder.trailer()
        with telling(self._address):
            self._part.finish()

    def leave(self, *, keep: bool) -> None:
        if not keep or not self._encoder.tally.sessions:
            self._part.discard()

    def close(self) -> None:
        self._seen.close()

    def _add(self, bundle: SessionBundle, policy: ConflictPolicy) -> str:
        """Returns the field of WriteResult that tells what became of it."""
        before, session_id = self._encoder.tally.copy(), bundle.session.session_id
        fingerprint = self._encoder.session(bundle)
        there = self._seen.get(session_id)
        if there is None:
            self._seen.add(session_id, fingerprint)
            return "written"
        self._cut(before)
        if there == fingerprint:
            return "identical"
        if policy is ConflictPolicy.SKIP:
            return "skipped"
        raise SessionConflictError(
            session_id,
            f"is in {self._address} already, and differs",
            hint="a file cannot replace what it holds; skip it, or write another file",
        )

    def _put(self, text: bytes) -> None:
        try:
            self._part.write(text)
        except OSError as error:
            raise unwritable(self._address, error) from error

    def _take_back(self, tally: Tally) -> None:
        self._cut(tally)
        self._seen.roll_back()

    def _cut(self, tally: Tally) -> None:
        with telling(self._address):
            self._part.cut(tally.length)
        self._encoder.tally = tally
