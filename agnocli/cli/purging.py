"""Deleting for good: from the backend, from what this program keeps beside it, and with a proof."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from agnocli.abc import Backend, Erasing, Searched
from agnocli.cli.context import App
from agnocli.cli.deleting import CHUNK, Removed, delete_present
from agnocli.cli.forgetting import forget
from agnocli.config.paths import cache_dir, data_dir, state_dir
from agnocli.layout.standing import standing


def purged(app: App, backend: Backend, ids: Sequence[str]) -> Removed:
    """Nothing is deleted when another program keeps the backend from leaving no byte."""
    known = dict.fromkeys([*ids, *_run_ids(backend, ids)])
    removed = Removed(deleted=[*ids], kept=backend.capabilities.keeps_deleted)
    with _erasing(backend):
        for start in range(0, len(ids), CHUNK):
            delete_present(backend, ids[start : start + CHUNK])
    forget(app.environ, backend.address, ids)
    if isinstance(backend, Searched):
        found = backend.traces(known)
        removed.searched, removed.raw = found.places, found.raw
        removed.named = {one: list(places) for one, places in found.named.items()}
    for path, left in _beside(app, known):
        for one in left:
            removed.named.setdefault(one, []).append(path)
    return removed


def _beside(app: App, ids: Collection[str]) -> Iterator[tuple[str, set[str]]]:
    """Files of this program that still name one: what a migration set aside, a saved answer."""
    for folder in (state_dir(app.environ), cache_dir(app.environ), data_dir(app.environ) / "trash"):
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            if left := standing(path, ids):
                yield str(path), left


def _erasing(backend: Backend) -> AbstractContextManager[None]:
    return backend.erasing() if isinstance(backend, Erasing) else nullcontext()


def _run_ids(backend: Backend, ids: Sequence[str]) -> Iterator[str]:
    for _, runs in backend.read(ids):
        yield from (run.run_id for run in runs)
