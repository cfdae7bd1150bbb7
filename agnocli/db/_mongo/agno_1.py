"""Sessions of Agno 1: told apart and named, never read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agnocli.db._mongo.place import Fields, Place
from agnocli.layout import legacy

SELECTION: Fields = {
    "session_type": {"$exists": False},
    "$or": [{"memory": {"$exists": True}}, {"extra_data": {"$exists": True}}],
}


def is_one(document: Mapping[str, Any]) -> bool:
    return ("memory" in document or "extra_data" in document) and "session_type" not in document


def others(place: Place) -> list[str]:
    """Collections beside ours that hold such sessions, by the first document of each."""
    own = {place.tables.sessions, place.tables.runs, place.tables.versions}
    names = place.database.list_collection_names(authorizedCollections=True)
    return [one for one in sorted({*names} - own) if _holds_them(place, one)]


def _holds_them(place: Place, name: str) -> bool:
    first = place.database[name].find_one({})
    return first is not None and "session_id" in first and is_one(first)


def check(place: Place) -> None:
    """LayoutError where nothing of ours has been made and sessions of Agno 1 are."""
    names = place.database.list_collection_names(authorizedCollections=True)
    if place.tables.sessions not in names and (found := others(place)):
        named = [f"collection {one!r}" for one in found]
        raise legacy.agno_1(place.address, named, hint=legacy.MIGRATE + legacy.BESIDE)


def check_listed(place: Place, session_id: str) -> None:
    """LayoutError when this session is one of them, and all others are too."""
    if place.sessions.find_one({"session_id": session_id, **SELECTION}, {"_id": 1}) is None:
        return
    if place.sessions.find_one({"session_type": {"$exists": True}}, {"_id": 1}) is None:
        raise legacy.agno_1(place.address, [f"collection {place.tables.sessions!r}"])
