"""Answers that can be given up from another thread while they wait for the server."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Self

from agnocli.abc import ModelEvent
from agnocli.errors import AgnoCLIError


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


class EventStream(Iterator[ModelEvent]):
    """What `produce` yields. `close()` may be called from any thread, any number of times: a step that waits for
    the server ends as if the answer were over."""

    def __init__(self, produce: Producer) -> None:
        self._line = Line()
        self._events = produce(self._line)

    def __next__(self) -> ModelEvent:
        if self._line.is_cut:
            raise StopIteration
        try:
            event = next(self._events)
            self._line.check()
        except (AbortedError, AgnoCLIError) as error:
            if self._line.is_cut:
                raise StopIteration from error
            raise
        return event

    def close(self) -> None:
        self._line.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
