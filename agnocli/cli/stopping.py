"""Ctrl-C and SIGTERM, for commands that stop between two batches and can go on."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.signals import heeding


@contextmanager
def stopped_is_told(app: App, then: str) -> Iterator[Callable[[], None]]:
    """As `stopping`; the command ends with the signal's status, and says what comes of it."""
    with stopping() as stop:
        try:
            yield stop
        except (Stopped, KeyboardInterrupt) as stopped:
            app.note(f"stopped; {then}")
            status = stopped.status if isinstance(stopped, Stopped) else ExitStatus.INTERRUPTED
            raise typer.Exit(status) from stopped


class Stopped(BaseException):
    """Ctrl-C or SIGTERM, at a place where nothing is half-done."""

    def __init__(self, status: ExitStatus) -> None:
        super().__init__(status)
        self.status = status


@contextmanager
def stopping() -> Iterator[Callable[[], None]]:
    """Gives what raises Stopped once a signal came. A second one does not wait for that."""
    statuses = {signal.SIGINT: ExitStatus.INTERRUPTED, signal.SIGTERM: ExitStatus.TERMINATED}
    came: list[ExitStatus] = []

    def heed(number: int, frame: FrameType | None) -> None:
        if came:
            raise Stopped(came[0])
        came.append(statuses[signal.Signals(number)])

    def check() -> None:
        if came:
            raise Stopped(came[0])

    with heeding(statuses, heed):
        yield check
