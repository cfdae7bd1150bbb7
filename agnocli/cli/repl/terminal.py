"""The terminal while an answer is shown: what is typed then waits for the prompt, unseen."""

from __future__ import annotations

import os
import select
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

_LFLAG, _IFLAG = 3, 0
_MOST = 1 << 16


@contextmanager
def held() -> Iterator[str]:
    """Neither echo nor line editing nor CR to LF, until leaving; Ctrl-C still interrupts.

    Gives what was typed before, its line ends as the Enter key sends them.
    """
    descriptor = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
    if descriptor is None:
        yield ""
        return
    before = termios.tcgetattr(descriptor)
    calm = termios.tcgetattr(descriptor)
    calm[_LFLAG] &= ~(termios.ECHO | termios.ICANON)
    calm[_IFLAG] &= ~termios.ICRNL
    termios.tcsetattr(descriptor, termios.TCSANOW, calm)
    try:
        yield _typed(descriptor)
    finally:
        _restore(descriptor, before)


def _typed(descriptor: int) -> str:
    if not select.select([descriptor], [], [], 0)[0]:
        return ""
    return os.read(descriptor, _MOST).replace(b"\n", b"\r").decode("utf-8", "replace")


def _restore(descriptor: int, attributes: list[int | list[bytes | int]]) -> None:
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    except termios.error:  # the terminal is gone
        pass


def let_go() -> None:
    """The terminal was closed: whatever is still printed goes nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
