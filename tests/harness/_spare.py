"""Places that pass from test to test: emptying one is much quicker than making its tables and indexes."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

MANY = 1000
"""Rows whose remains would slow the next test down."""

_spare: dict[type[Any], list[Any]] = defaultdict(list)


def take(harness: type[Any], folder: Path) -> Any:
    """One on a place where nothing lies, but which may be set up already."""
    return _spare[harness].pop() if _spare[harness] else harness(folder)


def give_back(harness: Any) -> None:
    """For the next test, if it is but for its rows as a setup leaves it; else it is closed.

    A harness that can be reused has `left_connected`, `shape` and `empty`, which returns how many rows there were.
    """
    kind: Any = type(harness)
    if not hasattr(kind, "empty"):
        harness.close()
        return
    if harness.left_connected() or harness.shape() != _of_a_setup(kind) or harness.empty() > MANY:
        harness.close()
    else:
        _spare[kind].append(harness)


@cache
def _of_a_setup(kind: Any) -> object:
    harness = kind(Path())
    try:
        with harness.open() as backend:
            backend.setup()
        return harness.shape()
    finally:
        harness.close()


def close_all() -> None:
    for harnesses in _spare.values():
        while harnesses:
            harnesses.pop().close()
