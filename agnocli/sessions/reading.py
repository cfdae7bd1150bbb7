"""Sessions read one after the other, over those that nobody can read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from msgspec.structs import replace

from agnocli.abc import Readable, Searchable, SessionQuery
from agnocli.errors import AgnoCLIError, CodecError, LayoutError
from agnocli.records import SessionBundle

PAGE = 500
"""Rows of a listing, and sessions asked for at once."""

Look = Callable[[SessionBundle], None]
Unreadable = Callable[[str, AgnoCLIError], None]


def listed(source: Searchable, query: SessionQuery) -> Iterator[str]:
    """The ids of all sessions that a query means."""
    page = source.find(replace(query, limit=PAGE, skip=0, after=None))
    while True:
        yield from (info.session_id for info in page.items)
        if page.next is None:
            return
        page = source.find(replace(query, limit=PAGE, skip=0, after=page.next))


def each(source: Readable, ids: Iterable[str], look: Look, unreadable: Unreadable) -> None:
    """Look at each of these sessions that is there, once.

    `unreadable` is told of one that cannot be read to its end, of which a part may have been looked at; the others are
    read all the same.
    """
    left = iter(ids)
    while some := list(islice(left, PAGE)):
        seen: set[str] = set()
        try:
            _together(source, some, look, unreadable, seen)
        except (CodecError, LayoutError):  # of one of them, which stopped all
            for session_id in some:
                if session_id not in seen:
                    _alone(source, session_id, look, unreadable)


def _together(
    source: Readable, ids: Sequence[str], look: Look, unreadable: Unreadable, seen: set[str]
) -> None:
    for bundle in source.read(ids):
        seen.add(bundle.session.session_id)
        try:
            look(bundle)
        except (CodecError, LayoutError) as error:  # of runs that were still to be read
            unreadable(bundle.session.session_id, error)


def _alone(source: Readable, session_id: str, look: Look, unreadable: Unreadable) -> None:
    try:
        _together(source, [session_id], look, unreadable, set())
    except (CodecError, LayoutError) as error:
        unreadable(session_id, error)
