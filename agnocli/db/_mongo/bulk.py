"""Whole sessions, many in one answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any

from pymongo import ASCENDING
from pymongo.client_session import ClientSession

from agnocli.abc import HELD_BYTES
from agnocli.db._mongo.documents import BLOB, to_run
from agnocli.db._mongo.place import Fields, Place
from agnocli.db._mongo.reading import blob_runs, counts, in_chunks, in_order, stream_runs
from agnocli.layout import legacy
from agnocli.records import Run

CHUNK = 250
"""Sessions that are asked for at once."""
IDS = 2000
SESSIONS, RUNS = 100, 250
"""Documents a server sends at once; fewer when they are big."""

Whole = tuple[Fields, tuple[Run, ...] | Iterator[Run]]
"""A session's document and its runs, a tuple up to HELD_BYTES."""


def all_ids(place: Place, after: str | None) -> Iterator[str]:
    """In order. Told by an index, in pages: nothing stays open on the server between them."""
    while True:
        bound = {"$gte": ""} if after is None else {"$gt": after}
        cursor = place.sessions.find({"session_id": bound}, {"session_id": 1, "_id": 0})
        page = [one["session_id"] for one in cursor.sort("session_id", ASCENDING).limit(IDS)]
        yield from page
        if len(page) < IDS:
            return
        after = page[-1]


def sessions(
    place: Place, ids: Iterable[str], transaction: ClientSession | None = None
) -> Iterator[Whole]:
    """Those that are there; ids that come one after another in order of id."""
    for chunk in in_chunks(ids, CHUNK):
        yield from _chunk(place, sorted(chunk), transaction)


def _chunk(place: Place, ids: Sequence[str], transaction: ClientSession | None) -> Iterator[Whole]:
    big = _too_big_to_hold(place, ids, transaction)
    small = [one for one in ids if one not in big]
    with (
        _by_id(place.sessions, ids, SESSIONS, transaction, "session_id") as documents,
        _by_id(place.runs, small, RUNS, transaction, "session_id", "run_index") as found,
    ):
        groups = _Groups(found)
        for document in documents:
            session_id = document["session_id"]
            if session_id in big:
                stored = stream_runs(place, session_id, transaction)
            else:
                stored = in_order(map(to_run, groups.of(session_id)))
            yield document, _held(document, stored, is_big=session_id in big)


def _by_id(
    collection: Any, ids: Sequence[str], size: int, transaction: ClientSession | None, *order: str
) -> Any:
    where = {"session_id": {"$in": list(ids)}}
    cursor = collection.find(where, batch_size=size, session=transaction)
    return cursor.sort([(name, ASCENDING) for name in order])


class _Groups:
    """The runs of one session after another."""

    def __init__(self, documents: Iterator[Fields]) -> None:
        self._groups = groupby(documents, key=lambda one: one["session_id"])
        self._next = next(self._groups, None)

    def of(self, session_id: str) -> Iterator[Fields]:
        """Ask in order of id. What is not read of an earlier session is passed over."""
        while self._next is not None and self._next[0] < session_id:
            self._next = next(self._groups, None)
        is_there = self._next is not None and self._next[0] == session_id
        return self._next[1] if self._next is not None and is_there else iter(())


def _too_big_to_hold(
    place: Place, ids: Sequence[str], transaction: ClientSession | None
) -> set[str]:
    """Of those with many runs: before any is read. Of those with few it shows when they are."""
    long = [one for one, (runs, _) in counts(place, ids, transaction).items() if runs > RUNS]
    if not long:
        return set()
    stages: list[Fields] = [
        {"$match": {"session_id": {"$in": long}}},
        {"$group": {"_id": "$session_id", "size": {"$sum": {"$bsonSize": "$$ROOT"}}}},
        {"$match": {"size": {"$gt": HELD_BYTES}}},
    ]
    return {one["_id"] for one in place.runs.aggregate(stages, session=transaction)}


def _held(
    document: Fields, stored: Iterator[Run], *, is_big: bool
) -> tuple[Run, ...] | Iterator[Run]:
    if document.get(BLOB):
        stored, is_big = legacy.merge(blob_runs(document), stored), False
    if is_big:
        return stored
    held, size = list[Run](), 0
    for run in stored:
        held.append(run)
        size += len(run.run_data)
        if size > HELD_BYTES:
            return chain(held, stored)
    return tuple(held)
