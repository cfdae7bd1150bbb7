"""What tells that a session has changed: times, sizes and numbers, told by the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pymongo.errors import OperationFailure

from agnocli.db._mongo.bulk import all_ids
from agnocli.db._mongo.place import Fields, Place
from agnocli.db._mongo.reading import in_chunks
from agnocli.layout.marks import mark

_AT_ONCE = 500
_BEGAN = 10
"""Seconds to which the time at which a server began is told."""
_DROPS = ("drop", "dropDatabase", "renameCollection")
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


def version(place: Place) -> str | None:
    """What the server has counted since it began; None where that is many servers, or this user may not ask."""
    try:
        told = place.client.admin.command("serverStatus")
    except OperationFailure:
        return None
    metrics, committed = told.get("metrics", {}), told.get("transactions", {})
    if "document" not in metrics or told.get("process") == "mongos":
        return None
    began = int(told["localTime"].timestamp() - told["uptimeMillis"] / 1000) // _BEGAN
    counted = [metrics["document"].get(name) for name in ("inserted", "updated", "deleted")]
    dropped = [metrics.get("commands", {}).get(name, {}).get("total") for name in _DROPS]
    return str([told["host"], began, *counted, *dropped, committed.get("totalCommitted")])


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
