"""A model's answer read in a thread of its own, so that whoever waits can do other things, and can stop waiting."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread

from agnocli.abc import ChatModel, ChatRequest, ModelEvent, ModelFinished, TextDelta
from agnocli.errors import ModelError

PATIENCE = 1.0
"""Seconds after which a thread that waits looks up: the main one takes signals only then."""


class Stopped(Exception):
    """The answer was stopped by `stop()`."""


class _End:
    """Nothing more will come."""


class Pump:
    """`next()` gives an event, or None when nothing came in time."""

    def __init__(self, model: ChatModel, request: ChatRequest) -> None:
        self._events: SimpleQueue[ModelEvent | BaseException | _End] = SimpleQueue()
        self._stream = model.stream(request)
        Thread(target=self._read, name="model", daemon=True).start()

    def _read(self) -> None:
        try:
            for event in self._stream:
                self._events.put(event)
            self._events.put(_End())
        except BaseException as error:  # noqa: BLE001 - raised again in next()
            self._events.put(error)

    def next(self, timeout: float) -> ModelEvent | None:
        """Raises EOFError at the end, Stopped, and whatever the model raised."""
        try:
            event = self._events.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(event, _End):
            raise EOFError
        if isinstance(event, BaseException):
            raise event
        return event

    def whole(self) -> tuple[str, ModelFinished | None]:
        """Wait for the end: all that was said, and how it ended. Raises as `next` does."""
        said, finished = [], None
        try:
            while True:
                event = self.next(PATIENCE)
                if isinstance(event, TextDelta):
                    said.append(event.text)
                elif isinstance(event, ModelFinished):
                    finished = event
        except EOFError:
            return "".join(said), finished

    def stop(self) -> None:
        """Fit for a signal handler: only puts a word into the queue, behind what has come already."""
        self._events.put(Stopped())

    def close(self) -> None:
        """End the request; what it still brings is thrown away."""
        close = getattr(self._stream, "close", None)
        try:
            if close is not None:
                close()
        except (ValueError, ModelError):  # a generator that is running in the thread right now
            pass


def ask(model: ChatModel, request: ChatRequest) -> tuple[str, ModelFinished | None]:
    """One answer, whole."""
    pump = Pump(model, request)
    try:
        return pump.whole()
    finally:
        pump.close()
