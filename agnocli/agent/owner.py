"""Which process is writing a run, so that the next one can tell a crash from a neighbour at work."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    return dict(_process(os.getpid()))


@cache
def _process(pid: int) -> dict[str, Any]:
    return {"host": platform.node(), "pid": pid, "started": _start_time(pid)}


def is_here(owner: Mapping[str, Any]) -> bool:
    """Whether that process is, or was, of this machine."""
    return bool(owner.get("host") == platform.node())


def is_gone(owner: Mapping[str, Any]) -> bool:
    """Whether that process has certainly ended. One on another machine cannot be seen, so it has not."""
    pid = owner.get("pid")
    if not is_here(owner) or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return owner.get("started") != _start_time(pid)


def _start_time(pid: int) -> str | None:
    """Clock ticks after boot, where the system tells: process ids are used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else fields[18]
