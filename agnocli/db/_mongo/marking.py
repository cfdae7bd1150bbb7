"""What tells that a session has changed: times, sizes and numbers, told by the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agnocli.db._mongo.bulk import all_ids
from agnocli.db._mongo.place import Fields, Place
from agnocli.db._mongo.reading import in_chunks
from agnocli.layout.marks import mark

_AT_ONCE = 500
_SIZE = {"$bsonSize": "$$ROOT"}
_OF_SESSION: Fields = {
    "_id": 0,
    "session_id": 1,
    "changed": {"$ifNull": ["$updated_at", "$created_at"]},
    "size": _SIZE,
    "key": "$_id",
}
_OF_RUNS: Fields = {
    "_id": "$session_id",
    "number": {"$sum": 1},
    "size": {"$sum": _SIZE},
    "updated": {"$max": "$updated_at"},
    "last": {"$max": "$run_index"},
    "key": {"$max": "$_id"},
}


def marks(place: Place) -> Iterator[tuple[str, str]]:
    for ids in in_chunks(all_ids(place, None), _AT_ONCE):
        yield from _marks(place, ids)


def _marks(place: Place, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    these: Fields = {"$match": {"session_id": {"$in": list(ids)}}}
    runs: dict[str, Any] = {
        one.pop("_id"): list(one.values())
        for one in place.runs.aggregate([these, {"$group": _OF_RUNS}])
    }
    for one in place.sessions.aggregate([these, {"$project": _OF_SESSION}]):
        session_id, changed = one.pop("session_id"), one.pop("changed", None)
        yield session_id, mark(changed, *one.values(), runs.get(session_id))
