"""A question while an answer is running: the terminal is read without waiting for it, so that it can be stopped."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agnocli.cli.render.notes import tool_line

_one_at_a_time = threading.Lock()
_LFLAG, _IFLAG = 3, 0
LOOK_UP = 0.1
"""Seconds between two looks at whether the answer was stopped."""


def ask_whether(name: str, arguments: Mapping[str, Any], stopped: Callable[[], bool]) -> bool:
    """Ask on stderr; no when the answer is stopped meanwhile. What was typed before is no answer."""
    with _one_at_a_time, _line_by_line(sys.stdin.fileno()) as descriptor:
        sys.stdout.flush()
        sys.stderr.write(f"\r\x1b[KRun {tool_line(name, arguments)}? [y/N] ")
        sys.stderr.flush()
        while not stopped():
            if select.select([descriptor], [], [], LOOK_UP)[0]:
                return os.read(descriptor, 4096).strip().lower() in (b"y", b"yes")
        sys.stderr.write("\n")
        return False


@contextmanager
def _line_by_line(descriptor: int) -> Iterator[int]:
    """A terminal that shows what is typed, and gives it with Enter."""
    before = termios.tcgetattr(descriptor)
    usual = termios.tcgetattr(descriptor)
    usual[_LFLAG] |= termios.ECHO | termios.ICANON
    usual[_IFLAG] |= termios.ICRNL
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, usual)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
