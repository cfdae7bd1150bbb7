"""A source read to its end: over a server that was away for a moment, and over what nobody can read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import dropwhile
from threading import Event
from typing import TypeVar

from agnocli.abc import Cursor, Readable, Source, Wanted
from agnocli.errors import AgnoCLIError, CodecError, LayoutError
from agnocli.records import Run, SessionBundle
from agnocli.transfer.options import SetAside
from agnocli.transfer.select import Selection

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt."""

UNREADABLE = (CodecError, LayoutError)
"""What a source raises where it cannot make records of what it holds."""

Result = TypeVar("Result")


def patiently(attempt: Callable[[], Result]) -> Result:
    """Try again while a retry may help; the last error is the caller's."""
    for pause in PAUSES:
        try:
            return attempt()
        except AgnoCLIError as error:
            if not error.transient:
                raise
        Event().wait(pause)
    return attempt()


def unreadable(session_id: str, error: AgnoCLIError) -> SetAside:
    where = error.json_path if isinstance(error, CodecError) else None
    return SetAside(session_id, where or "session", f"cannot be read: {error.message}", True)


def noting(bundle: SessionBundle, failures: list[AgnoCLIError]) -> SessionBundle:
    """What keeps a source from reading a stream of runs to its end goes into `failures` before it is raised."""
    if isinstance(bundle.runs, tuple):
        return bundle
    return SessionBundle(bundle.session, _noting(bundle.runs, failures))


def _noting(runs: Iterable[Run], failures: list[AgnoCLIError]) -> Iterator[Run]:
    try:
        yield from runs
    except UNREADABLE as error:
        failures.append(error)
        raise


class Reading:
    """`unreadable` is told of each session that the source cannot make a record of; the rest goes on.

    A stream of runs is not looked at: who reads it finds out.
    """

    def __init__(
        self,
        source: Source,
        selection: Selection,
        wanted: Wanted | None,
        unreadable: Callable[[str, AgnoCLIError], None],
    ) -> None:
        self._source, self._selection = source, selection
        self._more, self._unreadable = wanted, unreadable
        self._passed: set[str] = set()
        self._last: tuple[Cursor, str] | None = None

    def bundles(self) -> Generator[SessionBundle, None, None]:
        attempts = 0
        while True:
            before = self._last
            try:
                yield from self._scan()
                return
            except UNREADABLE as error:
                self._pass_over(error)
            except AgnoCLIError as error:
                attempts = 0 if self._last != before else attempts
                if not error.transient or attempts == len(PAUSES):
                    raise
                Event().wait(PAUSES[attempts])
                attempts += 1

    def _scan(self) -> Iterator[SessionBundle]:
        after = self._last[0] if self._last else None
        everything = self._selection.is_all and self._more is None and not self._passed
        for cursor, bundle in self._source.scan(
            after=after, wanted=None if everything else self._wanted
        ):
            if self._selection.means(bundle):
                yield bundle
            self._last = cursor, bundle.session.session_id

    def _wanted(self, session_id: str) -> bool:
        return (
            self._selection.wanted(session_id)
            and session_id not in self._passed
            and (self._more is None or self._more(session_id))
        )

    def _pass_over(self, error: AgnoCLIError) -> None:
        """Find the session that made a scan fail, and read on without it."""
        if not isinstance(self._source, Readable):
            raise error
        for session_id in self._rest(self._source):
            try:
                _read_whole(self._source, session_id)
            except UNREADABLE as found:
                self._passed.add(session_id)
                self._unreadable(session_id, found)
                return
        raise error

    def _rest(self, source: Readable) -> Iterator[str]:
        """What is wanted behind the last one that could be read."""
        ids = source.ids()
        if self._last is not None:
            ids = dropwhile(lambda one: one != self._last[1], ids)  # type: ignore[index]
            next(ids, None)
        return (one for one in ids if self._wanted(one))


def _read_whole(source: Readable, session_id: str) -> None:
    for bundle in source.read([session_id]):
        deque(bundle.runs, maxlen=0)
