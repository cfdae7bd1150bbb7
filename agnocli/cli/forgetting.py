"""What this program keeps of sessions beside the backend, for whoever wants none of it left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from agnocli.config.paths import Environ


def _trash(environ: Environ, address: str, session_ids: Collection[str]) -> None:
    from agnocli.cli.trash import Trash

    Trash(environ).forget(address, session_ids)


def _undone(environ: Environ, address: str, session_ids: Collection[str]) -> None:
    from agnocli.sessions.undone import forget

    forget(environ, address, session_ids)


def _search_index(environ: Environ, address: str, session_ids: Collection[str]) -> None:
    from agnocli.sessions.search import forget, indexes

    forget(address, session_ids, folder=indexes(environ))


KEPT: Sequence[Callable[[Environ, str, Collection[str]], None]] = (_trash, _undone, _search_index)
"""Each takes all it has of some sessions away; they are told by their ids and the backend's address."""


def forget(environ: Environ, address: str, session_ids: Collection[str]) -> None:
    for take_away in KEPT:
        take_away(environ, address, session_ids)
