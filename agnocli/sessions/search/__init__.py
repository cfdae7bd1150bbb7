"""Search in what was said, done and kept: messages, tools, reasoning, names, summaries, state.

Texts are found as they stand, whatever their case, in NFC as in NFD, in any script. A backend that keeps what is
written gets an index of its texts in the cache folder; without one all of it is read. Either way gives the same hits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from agnocli.abc import Backend
from agnocli.config.paths import cache_dir
from agnocli.errors import SearchIndexDamagedError, SearchIndexError
from agnocli.sessions.search.finding import Found, Hit, by_index, by_scan
from agnocli.sessions.search.index import Index, index_path, remove
from agnocli.sessions.search.query import Pattern, SearchQuery
from agnocli.sessions.search.watching import Watcher

__all__ = [
    "Found",
    "Hit",
    "Pattern",
    "SearchQuery",
    "Watcher",
    "forget",
    "indexes",
    "look",
    "search",
]


def indexes(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the indexes of all backends."""
    return cache_dir(environ) / "search"


def search(backend: Backend, query: SearchQuery, *, folder: Path | None = None) -> Iterator[Hit]:
    """The best hits first, or the latest. `folder` holds indexes; without one all sessions are read."""
    yield from look(backend, query, folder=folder).hits


def look(
    backend: Backend,
    query: SearchQuery,
    *,
    folder: Path | None = None,
    watcher: Watcher | None = None,
) -> Found:
    """As `search`, with what there is to tell of it. UsageError for what cannot be searched for."""
    pattern, watcher = Pattern(query), watcher or Watcher()
    reason = "without an index"
    backend.connect()
    if folder is not None and backend.capabilities.durable:
        path = index_path(folder, backend.address)
        for _ in range(2):
            try:
                with Index(path) as index:
                    return by_index(backend, pattern, index, watcher)
            except SearchIndexDamagedError as error:
                watcher.rebuilding(error.message)
                remove(path)
            except SearchIndexError as error:
                reason = error.message
                break
    watcher.scanning(reason)
    return by_scan(backend, pattern, watcher)


def forget(address: str, session_ids: Iterable[str], *, folder: Path | None = None) -> None:
    """Take sessions out of the index of a backend, without a byte left of them; to be called when they are deleted.

    SearchIndexError, naming the file, when that cannot be done.
    """
    path = index_path(folder or indexes(), address)
    if not path.exists():
        return
    try:
        with Index(path) as index, index.updating(lambda: None):
            index.forget(session_ids, wholly=True)
    except SearchIndexDamagedError:
        with suppress(FileNotFoundError):
            remove(path)
