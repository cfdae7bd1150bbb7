"""Bundles into parcels, drawn ahead by a thread; parcels into batches of a size the sink can take in good time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

from agnocli.layout.weight import session_bytes
from agnocli.records import SessionBundle

L = TypeVar("L", bound="Load")

PARCEL_BYTES, PARCEL_SESSIONS = 256 * 2**10, 200
AHEAD_BYTES = 16 * 2**20
SMALLEST, LARGEST, MOST_ROWS = 256 * 2**10, 16 * 2**20, 20_000
QUICK, SLOW = 0.2, 0.5
"""Seconds that a batch takes: below the first they grow, above the second they shrink."""
ROW_BYTES = 300
"""What a row weighs besides its documents."""


class Load:
    """A session on its way. `bytes` are those of its documents; of a lazy one, whose runs can be read once, not theirs."""

    def __init__(self, bundle: SessionBundle) -> None:
        self.bundle = bundle
        self.session_id = bundle.session.session_id
        self.bytes, self.runs = session_bytes(bundle.session), 0
        self.lazy = not isinstance(bundle.runs, tuple)
        if isinstance(bundle.runs, tuple):
            self.runs = len(bundle.runs)
            self.bytes += sum([len(run.run_data) for run in bundle.runs])


class Parcel(Generic[L]):
    """Sessions that are handed on together; `bytes` are what they weigh. A lazy one is alone: when its runs were read, it is spent."""

    def __init__(self) -> None:
        self.loads: list[L] = []
        self.bytes = self.rows = 0
        self.lazy = self.spent = self.passed = False

    @property
    def bundles(self) -> list[SessionBundle]:
        return [one.bundle for one in self.loads]

    def add(self, load: L) -> None:
        self.loads.append(load)
        self.bytes += load.bytes + ROW_BYTES * (1 + load.runs)
        self.rows += 1 + load.runs
        self.lazy = load.lazy

    def join(self, other: Parcel[L]) -> None:
        self.loads += other.loads
        self.bytes += other.bytes
        self.rows += other.rows

    @property
    def full(self) -> bool:
        return self.bytes >= PARCEL_BYTES or len(self.loads) >= PARCEL_SESSIONS


def parcels(loads: Iterator[L]) -> Iterator[Parcel[L]]:
    parcel = Parcel[L]()
    for load in loads:
        if load.lazy and parcel.loads:
            yield parcel
            parcel = Parcel()
        parcel.add(load)
        if parcel.full or parcel.lazy:
            yield parcel
            parcel = Parcel()
    if parcel.loads:
        yield parcel


class ReadAhead(Generic[L]):
    """Parcels, drawn and weighed in a thread of its own up to some bytes ahead of who iterates.

    After a lazy parcel nothing is drawn until the next one is asked for. An error of the source is raised here, after
    what was drawn before it.
    """

    def __init__(
        self,
        bundles: Iterator[SessionBundle],
        weigh: Callable[[SessionBundle], L],
        limit: int = AHEAD_BYTES,
    ) -> None:
        self._bundles, self._weigh, self._limit = bundles, weigh, limit
        self._waiting: deque[Parcel[L]] = deque()
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

    def __iter__(self) -> Iterator[Parcel[L]]:
        while (parcel := self._next()) is not None:
            yield parcel
            with self._asked:
                parcel.passed = True
                self._asked.notify_all()
        if self._error is not None:
            raise self._error

    def _next(self) -> Parcel[L] | None:
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
            for parcel in parcels(map(self._weigh, self._bundles)):
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

    def _hand_over(self, parcel: Parcel[L]) -> bool:
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


def batches(ahead: ReadAhead[L], sizer: Sizer) -> Iterator[Parcel[L]]:
    """A lazy session is a batch by itself."""
    batch = Parcel[L]()
    for parcel in ahead:
        if parcel.lazy:
            if batch.loads:
                yield batch
                batch = Parcel()
            yield parcel
            continue
        batch.join(parcel)
        if batch.bytes >= sizer.bytes or batch.rows >= MOST_ROWS:
            yield batch
            batch = Parcel()
    if batch.loads:
        yield batch
