"""Which sessions a query means, in which order, and the page of them: one rule for every backend."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice

from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Cursor, Page, Searchable, SessionQuery, Sort
from agnocli.errors import CodecError, UsageError
from agnocli.records import Session, SessionInfo

PAGE = 500
_COLUMNS = (
    ("user_id", "user_id"),
    ("agent_id", "agent_id"),
    ("team_id", "team_id"),
    ("session_type", "type"),
    ("status", "status"),
    ("model", "model"),
)


def sort_key(row: SessionInfo | Session, sort: Sort) -> int:
    """The time a row is listed under; one that was never updated counts as updated when created."""
    if sort is Sort.UPDATED and row.updated_at is not None:
        return row.updated_at
    return row.created_at


def encode_cursor(value: int, session_id: str) -> Cursor:
    text = codec.encode([value, session_id])
    return Cursor(base64.urlsafe_b64encode(text).decode().rstrip("="))


def decode_cursor(cursor: Cursor) -> tuple[int, str]:
    """Sort value and session id of the last row that was seen. Raises UsageError."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        match codec.decode(text):
            case [int(value), str(session_id)] if encode_cursor(value, session_id) == cursor:
                return value, session_id
    except (binascii.Error, ValueError, CodecError):
        pass
    raise UsageError(
        f"not a place in this listing: {cursor!r}",
        hint="take the cursor that a page of the same listing ended with",
    )


def needs_decoding(query: SessionQuery) -> bool:
    """Whether a row's documents, or its text, must be looked into to know if it is meant."""
    looked_into = (query.text, query.name, query.tag, query.model)
    return any(value is not None for value in looked_into)


def matches(info: SessionInfo, query: SessionQuery) -> bool:
    """Whether a row is meant by all the parts of a query; its cursor, skip and limit aside."""
    for wanted, column in _COLUMNS:
        value = getattr(query, wanted)
        if value is not None and getattr(info, column) != value:
            return False
    return (
        _in_time(info, query)
        and (query.id_prefix is None or info.session_id.startswith(query.id_prefix))
        and (query.tag is None or query.tag in info.tags)
        and (query.name is None or _is_named(info, query.name))
        and (query.text is None or _has_text(info, query.text))
    )


def _in_time(info: SessionInfo, query: SessionQuery) -> bool:
    time = sort_key(info, query.sort)
    return (query.since is None or query.since <= time) and (
        query.until is None or time < query.until
    )


def _is_named(info: SessionInfo, glob: str) -> bool:
    return info.name is not None and fnmatchcase(info.name.casefold(), glob.casefold())


def _has_text(info: SessionInfo, text: str) -> bool:
    wanted = text.casefold()
    return any(
        wanted in found.casefold() for found in (info.session_id, info.name, info.title) if found
    )


def in_order(infos: Iterable[SessionInfo], query: SessionQuery) -> Iterator[SessionInfo]:
    """Rows as the query sorts them, from behind its cursor on: newest first, ties by id, reversed as a whole."""

    def place(time: int, session_id: str) -> tuple[int, str]:
        return -time, session_id

    keyed = [(place(sort_key(info, query.sort), info.session_id), info) for info in infos]
    keyed.sort(key=lambda item: item[0], reverse=query.reverse)
    seen = None if query.after is None else place(*decode_cursor(query.after))
    for key, info in keyed:
        if seen is None or (key < seen if query.reverse else key > seen):
            yield info


def page(infos: Iterable[SessionInfo], query: SessionQuery, *, total: int | None) -> Page:
    """The page of a query. `infos` come sorted and behind its cursor; no more of them are drawn than needed."""
    if query.skip < 0 or (query.limit is not None and query.limit < 1):
        raise UsageError(
            f"no page can have limit {query.limit} and skip {query.skip}",
            hint="a limit is 1 or more, a skip 0 or more",
        )
    wanted = islice((info for info in infos if matches(info, query)), query.skip, None)
    items = tuple(islice(wanted, query.limit))
    more = query.limit is not None and next(wanted, None) is not None
    after = encode_cursor(sort_key(items[-1], query.sort), items[-1].session_id) if more else None
    return Page(items, after, total)


def listed(source: Searchable, query: SessionQuery) -> Iterator[SessionInfo]:
    """All rows of a listing, page by page; its limit and place do not count."""
    query = replace(query, limit=PAGE, skip=0, after=None)
    while True:
        found = source.find(query)
        yield from found.items
        if found.next is None:
            return
        query = replace(query, after=found.next)
