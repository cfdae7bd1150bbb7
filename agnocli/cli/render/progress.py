"""How far a transfer is: a bar on a terminal, a line now and then elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

FIRST, EVERY = 0.5, 5.0
"""Seconds until something is said, and between two lines where there is no terminal."""


class Step(Protocol):
    """How far a phase is; `total` is None where nobody knows."""

    @property
    def phase(self) -> str: ...

    @property
    def sessions(self) -> int: ...

    @property
    def bytes(self) -> int: ...

    @property
    def total(self) -> int | None: ...

    @property
    def set_aside(self) -> int: ...


class Streams(Protocol):
    @property
    def stderr_tty(self) -> bool: ...


class Bar:
    """A context; `show` is the observer."""

    def __init__(
        self,
        streams: Streams,
        *,
        quiet: bool = False,
        events: Callable[[Any], None] | None = None,
        at_once: bool = False,
    ) -> None:
        self._events = events
        self._lines = not quiet and events is None and not streams.stderr_tty
        self._bar = _bar() if streams.stderr_tty and not quiet and events is None else None
        self._task: Any = None
        self._phase: str | None = None
        self._began = time.monotonic()
        self._say_at = self._began + (0 if at_once else FIRST)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, progress: Step) -> None:
        if progress.phase != self._phase:
            self._phase, self._began = progress.phase, time.monotonic()
            if self._bar is not None:
                self._task = self._new_task(progress)
        if self._events is not None:
            self._events(progress)
        elif self._bar is not None:
            self._bar.update(
                self._task,
                completed=progress.sessions,
                total=progress.total,
                facts=self._facts(progress),
            )
        elif self._lines and time.monotonic() > self._say_at:
            self._say_at = time.monotonic() + EVERY
            facts = [_counted(progress), self._facts(progress)]
            sys.stderr.write(f"{progress.phase}: {', '.join(filter(None, facts))}\n")
            sys.stderr.flush()

    def _new_task(self, progress: Step) -> Any:
        assert self._bar is not None
        if self._task is not None:
            self._bar.remove_task(self._task)
        return self._bar.add_task(str(progress.phase), total=progress.total, facts="")

    def _facts(self, progress: Step) -> str:
        if not progress.bytes:
            return ""
        seconds = max(time.monotonic() - self._began, 1e-3)
        facts = f"{progress.bytes / 1e6:,.1f} MB, {progress.bytes / 1e6 / seconds:,.1f} MB/s"
        return facts + (f", {progress.set_aside:,} set aside" if progress.set_aside else "")


class _Read(NamedTuple):
    sessions: int
    phase: str = "read"
    total: int | None = None
    bytes: int = 0
    set_aside: int = 0


def with_progress(ids: Iterable[str], streams: Streams, *, quiet: bool) -> Iterator[str]:
    """Ids of sessions as they are drawn; that it takes a while is told only when it does."""
    began = time.monotonic()
    with ExitStack() as shown:
        bar: Bar | None = None
        for number, one in enumerate(ids):
            if bar is None and time.monotonic() - began > FIRST:
                bar = shown.enter_context(Bar(streams, quiet=quiet, at_once=True))
            if bar is not None:
                bar.show(_Read(number))
            yield one


def _counted(progress: Step) -> str:
    of = f" of {progress.total:,}" if progress.total is not None else ""
    return f"{progress.sessions:,}{of} sessions"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )
