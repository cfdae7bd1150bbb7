"""Copies known again by what was noted of their sessions when those were read, so that the source is not read twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from agnocli.abc import Capabilities, Readable
from agnocli.errors import BackendNotSetUpError
from agnocli.layout.compare import BundleDigest, alike, as_told, to_the_byte
from agnocli.records import Run, Session, SessionBundle
from agnocli.transfer.ledger import Entry
from agnocli.transfer.verify import COMPARED_BYTES, Verdict

MOST_SESSIONS = 1000
"""That are read at once."""

Seen = tuple[str, Verdict | None]
"""By id what is as it was noted; None for what has to be looked at more closely, as a missing one has to be."""


class Digests:
    """Of a session on its way to a place with these capabilities, as that will tell it again."""

    def __init__(self, session: Session, can: Capabilities, *, by_value: bool) -> None:
        told = as_told(session, can)
        self.respelled = "" if told is session else "null_kind"
        self._exact = BundleDigest(told, to_the_byte)
        self._alike = BundleDigest(told, alike) if by_value else None

    @classmethod
    def of(cls, bundle: SessionBundle, can: Capabilities, *, by_value: bool) -> Self:
        digests = cls(bundle.session, can, by_value=by_value)
        digests.drain(bundle.runs)
        return digests

    def watch(self, runs: Iterable[Run]) -> Iterator[Run]:
        passing = self._exact.watch(runs)
        return passing if self._alike is None else self._alike.watch(passing)

    def drain(self, runs: Iterable[Run]) -> None:
        if not isinstance(runs, tuple):
            deque(self.watch(runs), maxlen=0)
            return
        self._exact.drain(runs)
        if self._alike is not None:
            self._alike.drain(runs)

    @property
    def exact(self) -> str:
        return self._exact.hexdigest()

    @property
    def alike(self) -> str:
        return "" if self._alike is None else self._alike.hexdigest()


class NoDigests:
    """In their place where nothing is to be verified."""

    exact = alike = respelled = ""

    def watch(self, runs: Iterable[Run]) -> Iterable[Run]:
        return runs

    def drain(self, runs: Iterable[Run]) -> None:
        """Of a tuple."""


def recognized(
    recognize: Callable[[list[Entry]], list[Seen]], entries: Iterable[Entry], readers: int
) -> Iterator[Seen]:
    """What `recognize` finds, asked by so many threads."""
    reading: deque[Future[list[Seen]]] = deque()
    with ThreadPoolExecutor(readers, thread_name_prefix="agnocli-read-copy") as pool:
        for some in _together(entries):
            if len(reading) > readers:
                yield from reading.popleft().result()
            reading.append(pool.submit(recognize, some))
        while reading:
            yield from reading.popleft().result()


def _together(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    some, size = list[Entry](), 0
    for entry in entries:
        some.append(entry)
        size += entry.bytes
        if size >= COMPARED_BYTES or len(some) == MOST_SESSIONS:
            yield some
            some, size = [], 0
    if some:
        yield some


def recognize(copy: Readable, entries: list[Entry], can: Capabilities) -> list[Seen]:
    """Each of them."""
    noted = {one.session_id: one for one in entries}
    found: dict[str, Verdict | None] = dict.fromkeys(noted)
    try:
        for bundle in copy.read(list(noted)):
            entry = noted[bundle.session.session_id]
            found[entry.session_id] = _verdict(entry, bundle, can)
    except BackendNotSetUpError:  # nothing was ever written there
        pass
    return list(found.items())


def _verdict(entry: Entry, bundle: SessionBundle, can: Capabilities) -> Verdict | None:
    by_value, streamed = entry.alike != "", not isinstance(bundle.runs, tuple)
    copied = Digests.of(bundle, can, by_value=by_value and streamed)
    respelled = {entry.respelled} - {""}
    if copied.exact != entry.digest:
        if by_value and not streamed:  # worth its time only now
            copied = Digests.of(bundle, can, by_value=True)
        if not by_value or copied.alike != entry.alike:
            return None
        respelled.add("json_text")
    return Verdict(entry.session_id, None, entry.runs, entry.bytes, frozenset(respelled))
