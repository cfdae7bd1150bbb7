"""Batches written side by side: while one sink waits for its server, the next batch is on its way to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from agnocli.abc import Sink

Work = Callable[[Sink], None]


class Writers:
    """Sinks over one place, each busy with one batch at a time. One alone works in the thread that asks."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._first, self._free = sinks[0], list(sinks)
        self._pool: ThreadPoolExecutor | None = None
        if len(sinks) > 1:
            self._pool = ThreadPoolExecutor(len(sinks), thread_name_prefix="agnocli-write")
        self._running: dict[Future[None], Sink] = {}

    def start(self, work: Work) -> None:
        """When a sink is free. Raises what an earlier batch failed with."""
        if self._pool is None:
            work(self._first)
            return
        while not self._free:
            self._settle()
        sink = self._free.pop()
        self._running[self._pool.submit(work, sink)] = sink

    def alone(self, work: Work) -> None:
        """While nothing else is written."""
        while self._running:
            self._settle()
        work(self._first)

    def _settle(self) -> None:
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for one in done:
            self._free.append(self._running.pop(one))
            one.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """What is being written is waited for, and written down, whatever happened; the first error tells."""
        if self._pool is None:
            return
        self._pool.shutdown(wait=True)
        if error is None:
            while self._running:
                self._settle()
