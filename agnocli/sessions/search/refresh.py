"""The index brought to what the backend holds now: only what changed is read."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agnocli.abc import Backend, Marked, SessionQuery
from agnocli.layout.filter import listed
from agnocli.records import SessionBundle
from agnocli.sessions.search.index import Index
from agnocli.sessions.search.watching import Watcher

_AT_ONCE = 200
"""Sessions asked for at once."""


def refresh(backend: Backend, index: Index, watcher: Watcher) -> None:
    """Read what changed since the last time, and drop what is gone."""
    version = _version(backend)
    if version is not None and version == index.fact("version"):
        return
    with index.updating(watcher.waiting):
        is_new = index.fact("version") is None
        changed, gone = index.compare(marks(backend))
        if changed:
            watcher.reading(changed, is_new=is_new)
            _read(backend, index, watcher, changed)
        if not is_new and (changed or gone):
            watcher.refreshed(changed, gone)
        index.set_fact("version", version or "")


def _read(backend: Backend, index: Index, watcher: Watcher, changed: int) -> None:
    done, size, last = 0, 0, ""
    while wanted := index.changed(_AT_ONCE, last):
        last = [*wanted][-1]
        there = _there(backend, wanted)
        for one in index.store(there):
            done, size = done + 1, size + one
            watcher.read(done, changed, size)
        index.forget(wanted)  # what is left of them has gone meanwhile


def _there(backend: Backend, wanted: dict[str, str]) -> Iterator[tuple[SessionBundle, str]]:
    """Those that are still there are taken out of `wanted`."""
    for bundle in backend.read(list(wanted)):
        yield bundle, wanted.pop(bundle.session.session_id)


def _version(backend: Backend) -> str | None:
    return backend.version() if isinstance(backend, Marked) else None


def marks(backend: Backend) -> Iterator[tuple[str, str]]:
    """Every session's id and mark; of a backend that has none of its own, what a listing tells."""
    if isinstance(backend, Marked):
        return backend.marks()
    return _listed(backend)


def _listed(backend: Backend) -> Iterator[tuple[str, str]]:
    for info in listed(backend, SessionQuery()):
        yield info.session_id, repr(msgspec.structs.astuple(info))
