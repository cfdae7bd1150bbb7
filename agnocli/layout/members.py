"""Runs in the order they are read: members of a team run below it, though they are stored before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from agnocli.records import Run

MOST_WAITING, MOST_BYTES = 64, 4_000_000
"""Member runs kept until their team's run comes; past that they are shown where they are."""


class Placed(msgspec.Struct, frozen=True):
    """`number` counts from 1 along the session, 0 for members; `below_parent` says that their parent stands above."""

    run: Run
    number: int
    depth: int
    below_parent: bool = True


def in_reading_order(runs: Iterable[Run]) -> Iterator[Placed]:
    waiting: list[Run] = []
    size = 0
    above: dict[str, int] = {}
    for position, run in enumerate(runs, 1):
        if run.parent_run_id is None:
            above = {run.run_id: 0}
            yield Placed(run, number_of(run, position), 0)
            below = list(_below(run.run_id, waiting, 1))
            taken = {id(placed.run) for placed in below}
            above.update((placed.run.run_id, placed.depth) for placed in below)
            yield from below
            waiting = [one for one in waiting if id(one) not in taken]
            size = sum(len(one.run_data) for one in waiting)
        elif run.parent_run_id in above:
            depth = above[run.parent_run_id] + 1
            above[run.run_id] = depth
            yield Placed(run, 0, depth)
        else:
            waiting.append(run)
            size += len(run.run_data)
            while waiting and (len(waiting) > MOST_WAITING or size > MOST_BYTES):
                first = waiting.pop(0)
                size -= len(first.run_data)
                yield Placed(first, 0, 1, below_parent=False)
    yield from (Placed(one, 0, 1, below_parent=False) for one in waiting)


def number_of(run: Run, position: int) -> int:
    """From 1 along the session, as runs are named."""
    return position if run.run_index is None else run.run_index + 1


def _below(parent: str, waiting: list[Run], depth: int) -> Iterator[Placed]:
    for run in waiting:
        if run.parent_run_id == parent and run.run_id != parent and depth <= MOST_WAITING:
            yield Placed(run, 0, depth)
            yield from _below(run.run_id, waiting, depth + 1)
