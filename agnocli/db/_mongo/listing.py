"""A listing in the order of its query, read in pieces that Agno's own indexes serve.

There is no index over a time and the id, so sessions of one time come from a query of their own, sorted by the server;
all others stand in the order of the time's index. Sessions without `updated_at` are listed under `created_at`: a second
stream, merged into the first. What has no number for a time, which only other programs write, is a third.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

from pymongo import ASCENDING, DESCENDING

from agnocli.abc import SessionQuery, Sort
from agnocli.db._mongo.documents import BLOB, KINDS
from agnocli.db._mongo.place import Fields, Place
from agnocli.db._mongo.reading import is_storable, to_light_session
from agnocli.layout import filter as listing

Key = tuple[int, str]
"""Time and id, both as the listing sorts them: smaller comes first."""

PROJECTION = {
    **dict.fromkeys(
        ("session_id", "session_type", "user_id", "created_at", "updated_at",
         "session_data.session_name", "session_data.title", "metadata.tags",
         f"{BLOB}.run_id", f"{BLOB}.status"), 1,
    ),
    **{f"{kind}_{part}": 1 for kind in KINDS for part in ("id", "data.model.id")},
}  # fmt: skip
# not as a condition on the field itself, which would tempt the server to use its index
_IS_SESSION = {"$eq": [{"$type": "$session_id"}, "string"]}
_NUMBER = {"$type": "number"}
_EQUAL = ("user_id", "agent_id", "team_id", "session_type")


def can_match(query: SessionQuery) -> bool:
    """Whether a document could hold what is asked for."""
    asked = [getattr(query, name) for name in (*_EQUAL, "id_prefix")]
    return all(is_storable(one) for one in asked if one is not None)


def selection(query: SessionQuery) -> Fields:
    """What the server can tell without looking into a document, the times aside."""
    found: Fields = {
        name: getattr(query, name) for name in _EQUAL if getattr(query, name) is not None
    }
    if query.id_prefix:
        found["session_id"] = {"$gte": query.id_prefix, **_below(query.id_prefix)}
    return found


def _below(prefix: str) -> dict[str, str]:
    """What is behind all texts that start so."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            following = 0xE000 if last == 0xD7FF else last + 1
            return {"$lt": prefix[:-1] + chr(following)}
        prefix = prefix[:-1]
    return {}


def count(place: Place, query: SessionQuery) -> int | None:
    """All matches, where an index or less tells; None where each row would have to be read."""
    if query.since is not None or query.until is not None:
        return None
    found = selection(query)
    if not found:
        return place.sessions.estimated_document_count()
    return place.sessions.count_documents(found)


def in_order(place: Place, query: SessionQuery, size: int) -> Iterator[Fields]:
    """Projected documents as the query sorts them, from behind its cursor on, `size` a query."""
    streams = [
        _Stream(place, query, size, time, missing)
        for time, missing in (
            (("updated_at", None), ("created_at", "updated_at"))
            if query.sort is Sort.UPDATED
            else (("created_at", None),)
        )
    ]
    order = _Order(query)
    merged = heapq.merge(
        *(stream.documents() for stream in streams), _oddities(place, query), key=order.key
    )
    yield from merged


class _Order:
    def __init__(self, query: SessionQuery) -> None:
        self._sort, self._sign = query.sort, 1 if query.reverse else -1
        self._reverse = query.reverse

    def key(self, document: Fields) -> Any:
        time = listing.sort_key(to_light_session(document), self._sort)
        session_id = document["session_id"]
        return self._sign * time, _Backwards(session_id) if self._reverse else session_id


class _Backwards(str):
    """A text that sorts the other way round."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


class _Stream:
    """Documents with a number in field `time`, and nothing in field `missing`."""

    def __init__(
        self, place: Place, query: SessionQuery, size: int, time: str, missing: str | None
    ) -> None:
        self._place, self._size, self._time = place, size, time
        self._direction = ASCENDING if query.reverse else DESCENDING
        self._beyond = "$gt" if query.reverse else "$lt"
        self._id_direction = DESCENDING if query.reverse else ASCENDING
        self._id_beyond = "$lt" if query.reverse else "$gt"
        self._selection = (
            selection(query) | {"$expr": _IS_SESSION} | ({missing: None} if missing else {})
        )
        self._range: Fields = {"$gte": -(2**63) if query.since is None else query.since}
        if query.until is not None:
            self._range["$lt"] = query.until
        self._after = None if query.after is None else listing.decode_cursor(query.after)

    def documents(self) -> Iterator[Fields]:
        time: int | None = None
        if self._after is not None:
            time, session_id = self._after
            yield from self._of_time(time, session_id)
        while True:
            found = self._chunk(time)
            if len(found) < self._size:
                yield from self._sorted(found)
                return
            time = found[-1][self._time]
            yield from self._sorted([one for one in found if one[self._time] != time])
            yield from self._of_time(time, None)

    def _chunk(self, beyond: int | None) -> list[Fields]:
        bounds = [{self._time: self._range}]
        if beyond is not None:
            bounds.append({self._time: {self._beyond: beyond}})
        found = self._find({"$and": bounds}, self._time, self._direction)
        return list(found)

    def _of_time(self, time: int, after: str | None) -> Iterator[Fields]:
        """Sessions of one time by their ids."""
        while True:
            wanted: Fields = {"$and": [{self._time: time}, {self._time: self._range}]}
            if after is not None:
                wanted["$and"].append({"session_id": {self._id_beyond: after}})
            found = self._find(wanted, "session_id", self._id_direction)
            yield from found
            if len(found) < self._size:
                return
            after = found[-1]["session_id"]

    def _find(self, wanted: Fields, sort: str, direction: int) -> list[Fields]:
        cursor = self._place.sessions.find({**self._selection, **wanted}, PROJECTION)
        return list(cursor.sort(sort, direction).limit(self._size))

    def _sorted(self, found: list[Fields]) -> list[Fields]:
        backwards = self._direction == ASCENDING
        by_id = sorted(found, key=lambda one: one["session_id"], reverse=backwards)
        return sorted(by_id, key=lambda one: one[self._time], reverse=not backwards)


def _oddities(place: Place, query: SessionQuery) -> Iterator[Fields]:
    """What the other streams cannot see, sorted here: there should be none."""
    field = "created_at"
    without: Fields = {"created_at": None}
    if query.sort is Sort.UPDATED:
        field, without = "updated_at", {"updated_at": None, "created_at": {"$not": _NUMBER}}
    # in MongoDB's order of types texts, dates and all else stand behind the numbers
    odd: list[Fields] = [
        {"$expr": {"$and": [_IS_SESSION, {"$gt": [f"${field}", float("inf")]}]}},
        {**without, "$expr": _IS_SESSION},
    ]
    order = _Order(query)
    found = [
        document
        for wanted in odd
        for document in place.sessions.find(selection(query) | wanted, PROJECTION)
    ]
    found.sort(key=order.key)
    if query.after is not None:
        time, session_id = listing.decode_cursor(query.after)
        seen = order.key({"session_id": session_id, "created_at": time, "updated_at": time})
        found = [one for one in found if seen < order.key(one)]
    yield from found
