"""Deleting for good: from the backend, from what this program keeps beside it, and with a proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from agnocli.abc import Backend, Erasing, Searched
from agnocli.cli.context import App
from agnocli.cli.deleting import CHUNK, Removed, delete_present
from agnocli.cli.forgetting import forget


def purged(app: App, backend: Backend, ids: Sequence[str]) -> Removed:
    """Nothing is deleted when another program keeps the backend from leaving no byte."""
    known = {*ids, *_run_ids(backend, ids)}
    removed = Removed(kept=backend.capabilities.keeps_deleted)
    with _erasing(backend):
        for start in range(0, len(ids), CHUNK):
            removed.deleted += delete_present(backend, ids[start : start + CHUNK])
    forget(app.environ, backend.address, ids)
    if isinstance(backend, Searched):
        found = backend.traces(known)
        removed.searched, removed.raw = found.places, found.raw
        removed.named = {one: list(places) for one, places in found.named.items()}
    return removed


def _erasing(backend: Backend) -> AbstractContextManager[None]:
    return backend.erasing() if isinstance(backend, Erasing) else nullcontext()


def _run_ids(backend: Backend, ids: Sequence[str]) -> Iterator[str]:
    for _, runs in backend.read(ids):
        yield from (run.run_id for run in runs)
