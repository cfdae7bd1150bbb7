"""Answers that can be given up from another thread, whatever the request is waiting for."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Self

from agnocli.abc import ModelEvent


class AbortedError(Exception):
    """Raised inside a request that nobody waits for any more; its consumer never sees it."""


class Line:
    """The way to the server as far as it can be cut: a flag, and the socket while there is one."""

    def __init__(self) -> None:
        self._cut = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def attach(self, connected: socket.socket) -> None:
        with self._lock:
            self._socket = connected
        if self._cut.is_set():
            self.cut()

    def cut(self) -> None:
        self._cut.set()
        with self._lock:
            connected, self._socket = self._socket, None
        if connected is not None:
            # closing a socket does not wake a thread that reads from it; shutting it down does.
            # The plain socket's method: a TLS socket's own would take its state from under the reader.
            with contextlib.suppress(OSError):  # gone already
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    @property
    def is_cut(self) -> bool:
        return self._cut.is_set()

    def check(self) -> None:
        if self._cut.is_set():
            raise AbortedError

    def pause(self, seconds: float) -> None:
        """Wait; AbortedError as soon as the line is cut."""
        if self._cut.wait(seconds):
            raise AbortedError


Producer = Callable[[Line], Generator[ModelEvent, None, None]]


class _End:
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class EventStream(Iterator[ModelEvent]):
    """Runs `produce` in a thread of its own from the first step on, and hands over what it yields.

    `close()` may be called from any thread, any number of times: a waiting `__next__` ends at once as if the
    answer were over, and the request is torn down behind it.
    """

    def __init__(self, produce: Producer) -> None:
        self._produce: Producer | None = produce
        self._line = Line()
        self._events: queue.SimpleQueue[ModelEvent | _End] = queue.SimpleQueue()
        self._over = False

    def __next__(self) -> ModelEvent:
        self._start()
        if self._over or self._line.is_cut:
            raise StopIteration
        event = self._events.get()
        if self._line.is_cut:
            raise StopIteration
        if isinstance(event, _End):
            self._over = True
            if event.error is not None:
                raise event.error
            raise StopIteration
        return event

    def _start(self) -> None:
        produce, self._produce = self._produce, None
        if produce is not None:
            arguments = (produce, self._line, self._events)
            threading.Thread(target=_pump, args=arguments, name="model", daemon=True).start()

    def close(self) -> None:
        self._line.cut()
        self._events.put(_End())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _pump(produce: Producer, line: Line, events: queue.SimpleQueue[ModelEvent | _End]) -> None:
    try:
        with contextlib.closing(produce(line)) as produced:
            for event in produced:
                events.put(event)
                line.check()
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for it
        events.put(_End(error))
    else:
        events.put(_End())
