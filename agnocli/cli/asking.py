"""A question while an answer is running: the terminal is read without waiting for it, so that it can be stopped."""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from agnocli.cli.render.notes import tool_line

_one_at_a_time = threading.Lock()
LOOK_UP = 0.1


def ask_whether(name: str, arguments: Mapping[str, Any], stopped: Callable[[], bool]) -> bool:
    """Ask on stderr; no when the answer is stopped meanwhile."""
    with _one_at_a_time:
        sys.stdout.flush()
        sys.stderr.write(f"\r\x1b[KRun {tool_line(name, arguments)}? [y/N] ")
        sys.stderr.flush()
        while not stopped():
            if select.select([sys.stdin], [], [], LOOK_UP)[0]:
                return sys.stdin.readline().strip().lower() in ("y", "yes")
        sys.stderr.write("\n")
        return False
