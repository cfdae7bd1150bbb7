"""Pages of a listing, without a run's body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

from msgspec.structs import replace

from agnocli.abc import Page, SessionQuery
from agnocli.db.sql import rows
from agnocli.db.sql.connections import Connections
from agnocli.db.sql.dialect import DBCursor, Statement
from agnocli.db.sql.statements import Statements
from agnocli.layout import filter as listing
from agnocli.layout.derive import session_info
from agnocli.layout.portable import fits
from agnocli.records import SessionInfo


def find(
    connections: Connections, statements: Callable[[DBCursor], Statements], query: SessionQuery
) -> Page:
    after = None if query.after is None else listing.decode_cursor(query.after)
    decoding = listing.needs_decoding(query) or query.status is not None
    limit = None if decoding or query.limit is None else query.skip + query.limit + 1
    with connections.reading() as cursor:
        found = statements(cursor)
        if not all(fits(text, found.can) for text in _texts(query)):
            return Page(())  # no row can hold what is asked for
        if limit is not None:
            return _short_page(cursor, found, query, found.listing(query, after, limit))
        with closing(rows.stream(cursor, found, [found.listing(query, after, None)])) as table:
            infos = _infos(table, found)
            if query.status is not None:
                infos = _with_status(connections, found, infos)
            page = listing.page(infos, query, total=None)
    with connections.reading() as cursor:
        items = tuple(_counted(cursor, found, page.items))
        total = None if decoding else _total(cursor, found, query, page)
        return Page(items, page.next, total)


def _texts(query: SessionQuery) -> list[str]:
    """What is compared with columns."""
    wanted = (query.user_id, query.agent_id, query.team_id, query.session_type, query.id_prefix)
    return [text for text in wanted if text is not None]


def _short_page(
    cursor: DBCursor, found: Statements, query: SessionQuery, statement: Statement
) -> Page:
    """Of few rows, taken whole: a result left half-read may cost its connection."""
    cursor.execute(*statement)
    page = listing.page(_infos(cursor.fetchall(), found), query, total=None)
    items = tuple(_counted(cursor, found, page.items))
    return Page(items, page.next, _total(cursor, found, query, page))


def _total(cursor: DBCursor, found: Statements, query: SessionQuery, page: Page) -> int | None:
    """Counting may read all rows, so it is done once for a listing: on its first page, if that is not all."""
    if query.after is not None:
        return None
    if page.next is None and not query.skip:
        return len(page.items)
    cursor.execute(*found.total(query))
    return int(cursor.fetchone()[0])


def _infos(table: Iterable[Any], found: Statements) -> Iterator[SessionInfo]:
    sessions = (rows.to_session(row, found) for row in table)
    return (session_info(one, runs=0, status=None) for one in sessions)


def _with_status(
    connections: Connections, found: Statements, infos: Iterator[SessionInfo]
) -> Iterator[SessionInfo]:
    with connections.reading() as cursor:
        while chunk := tuple(islice(infos, found.dialect.max_parameters)):
            yield from _counted(cursor, found, chunk)


def _counted(
    cursor: DBCursor, found: Statements, infos: Sequence[SessionInfo]
) -> Iterator[SessionInfo]:
    """Listing rows with their number of runs and last status; run bodies stay unread, but for Agno 2's."""
    size = found.dialect.max_parameters
    for start in range(0, len(infos), size):
        chunk = infos[start : start + size]
        facts = rows.run_facts(cursor, found, [one.session_id for one in chunk])
        for info in chunk:
            runs, status = facts.get(info.session_id, (0, None))
            yield replace(info, runs=runs, status=status)
