"""Sessions read one after the other, over those that nobody can read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from agnocli.abc import Readable, Searchable, SessionQuery
from agnocli.errors import AgnoCLIError, CodecError, LayoutError
from agnocli.layout import filter
from agnocli.records import SessionBundle

PAGE = 500
"""Sessions asked for at once."""

Told = TypeVar("Told")
Look = Callable[[SessionBundle], Iterable[Told]]
Unreadable = Callable[[str, AgnoCLIError], Iterable[Told]]


def listed(source: Searchable, query: SessionQuery) -> Iterator[str]:
    """The ids of all sessions that a query means."""
    return (info.session_id for info in filter.listed(source, query))


def each(
    source: Readable, ids: Iterable[str], look: Look[Told], unreadable: Unreadable[Told]
) -> Iterator[Told]:
    """What is told of each of these sessions that is there, looked at once.

    `unreadable` tells of one that cannot be read to its end, of which a part may have been looked at; the others are
    read all the same.
    """
    left = iter(ids)
    while some := list(islice(left, PAGE)):
        seen: set[str] = set()
        try:
            yield from _together(source, some, look, unreadable, seen)
        except (CodecError, LayoutError):  # of one of them, which stopped all
            for session_id in some:
                if session_id not in seen:
                    yield from _alone(source, session_id, look, unreadable)


def _together(
    source: Readable,
    ids: Sequence[str],
    look: Look[Told],
    unreadable: Unreadable[Told],
    seen: set[str],
) -> Iterator[Told]:
    for bundle in source.read(ids):
        seen.add(bundle.session.session_id)
        try:
            yield from look(bundle)
        except (CodecError, LayoutError) as error:  # of runs that were still to be read
            yield from unreadable(bundle.session.session_id, error)


def _alone(
    source: Readable, session_id: str, look: Look[Told], unreadable: Unreadable[Told]
) -> Iterator[Told]:
    try:
        yield from _together(source, [session_id], look, unreadable, set())
    except (CodecError, LayoutError) as error:
        yield from unreadable(session_id, error)
