"""Bundles into parcels, drawn ahead by a thread; parcels into batches of a size the sink can take in good time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from types import TracebackType
from typing import Self

from agnocli.records import SESSION_DOCUMENTS, Run, Session, SessionBundle

PARCEL_BYTES, PARCEL_SESSIONS = 256 * 2**10, 200
AHEAD_BYTES = 16 * 2**20
SMALLEST, LARGEST, MOST_ROWS = 256 * 2**10, 16 * 2**20, 20_000
QUICK, SLOW = 0.2, 0.5
"""Seconds that a batch takes: below the first they grow, above the second they shrink."""
ROW_BYTES = 300
"""What a row weighs besides its documents."""


class Parcel:
    """Sessions that are handed on together. A lazy one is alone, and its runs can be read once: then it is spent."""

    def __init__(self) -> None:
        self.bundles: list[SessionBundle] = []
        self.bytes = self.rows = 0
        self.lazy = self.spent = self.passed = False

    def add(self, bundle: SessionBundle) -> None:
        self.bundles.append(bundle)
        self.bytes += session_bytes(bundle.session)
        if isinstance(bundle.runs, tuple):
            self.bytes += sum(run_bytes(run) for run in bundle.runs)
            self.rows += 1 + len(bundle.runs)
        else:
            self.lazy = True

    def join(self, other: Parcel) -> None:
        self.bundles += other.bundles
        self.bytes += other.bytes
        self.rows += other.rows

    @property
    def full(self) -> bool:
        return self.bytes >= PARCEL_BYTES or len(self.bundles) >= PARCEL_SESSIONS


def session_bytes(session: Session) -> int:
    return ROW_BYTES + sum(len(getattr(session, name) or b"") for name in SESSION_DOCUMENTS)


def run_bytes(run: Run) -> int:
    return ROW_BYTES + len(run.run_data)


def parcels(bundles: Iterator[SessionBundle]) -> Iterator[Parcel]:
    parcel = Parcel()
    for bundle in bundles:
        if not isinstance(bundle.runs, tuple) and parcel.bundles:
            yield parcel
            parcel = Parcel()
        parcel.add(bundle)
        if parcel.full or parcel.lazy:
            yield parcel
            parcel = Parcel()
    if parcel.bundles:
        yield parcel


class ReadAhead:
    """Parcels, drawn in a thread of its own up to some bytes ahead of who iterates.

    After a lazy parcel nothing is drawn until the next one is asked for. An error of the source is raised here, after
    what was drawn before it.
    """

    def __init__(self, bundles: Iterator[SessionBundle], limit: int = AHEAD_BYTES) -> None:
        self._bundles, self._limit = bundles, limit
        self._waiting: deque[Parcel] = deque()
        self._ahead = 0
        self._asked = Condition()
        self._done = self._closed = False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._draw, name="agnocli-read-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._asked:
            self._closed = True
            self._asked.notify_all()
        self._thread.join()

    def __iter__(self) -> Iterator[Parcel]:
        while (parcel := self._next()) is not None:
            yield parcel
            with self._asked:
                parcel.passed = True
                self._asked.notify_all()
        if self._error is not None:
            raise self._error

    def _next(self) -> Parcel | None:
        with self._asked:
            self._asked.wait_for(lambda: self._waiting or self._done)
            if not self._waiting:
                return None
            parcel = self._waiting.popleft()
            self._ahead -= parcel.bytes
            self._asked.notify_all()
            return parcel

    def _draw(self) -> None:
        try:
            for parcel in parcels(self._bundles):
                if not self._hand_over(parcel):
                    break
        except BaseException as error:  # noqa: BLE001 - raised again where the parcels are read
            self._error = error
        finally:
            if (close := getattr(self._bundles, "close", None)) is not None:
                close()
            with self._asked:
                self._done = True
                self._asked.notify_all()

    def _hand_over(self, parcel: Parcel) -> bool:
        """False when nobody wants more."""
        with self._asked:
            self._asked.wait_for(lambda: self._closed or self._ahead < self._limit)
            self._waiting.append(parcel)
            self._ahead += parcel.bytes
            self._asked.notify_all()
            if parcel.lazy:
                self._asked.wait_for(lambda: self._closed or parcel.passed)
            return not self._closed


class Sizer:
    """How many bytes a batch should have: more while the sink is quick, half as many when it is slow."""

    def __init__(self, start: int) -> None:
        self.bytes = min(max(start, SMALLEST), LARGEST)

    def took(self, seconds: float) -> None:
        if seconds < QUICK:
            self.bytes = min(LARGEST, self.bytes * 5 // 4)
        elif seconds > SLOW:
            self.bytes = max(SMALLEST, self.bytes // 2)


def batches(ahead: ReadAhead, sizer: Sizer) -> Iterator[Parcel]:
    """A lazy session is a batch by itself."""
    batch = Parcel()
    for parcel in ahead:
        if parcel.lazy:
            if batch.bundles:
                yield batch
                batch = Parcel()
            yield parcel
            continue
        batch.join(parcel)
        if batch.bytes >= sizer.bytes or batch.rows >= MOST_ROWS:
            yield batch
            batch = Parcel()
    if batch.bundles:
        yield batch
