"""What is found at a place, for `backends check`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agnocli.abc import BackendReport
from agnocli.db._mongo import agno_1
from agnocli.db._mongo.documents import BLOB
from agnocli.db._mongo.place import LOCKS, RUN_ORDER, Place
from agnocli.db._mongo.reading import CHUNK, in_chunks, run_facts
from agnocli.layout import legacy
from agnocli.layout.names import LEDGER

_HAS_BLOB = {f"{BLOB}.0": {"$exists": True}}


def report(place: Place, *, url_database: str | None) -> BackendReport:
    names = sorted(place.database.list_collection_names())
    sessions = place.sessions.count_documents({})
    old = place.sessions.count_documents(agno_1.SELECTION)
    if sessions and old == sessions:
        raise legacy.agno_1(place.address, [f"collection {place.tables.sessions!r}"])
    agno_1.check(place)
    blobs = place.sessions.count_documents(_HAS_BLOB)
    table = place.runs.count_documents({})
    versions = {
        str(one.get("table_name")): str(one.get("version"))
        for one in place.database[place.tables.versions].find()
    }
    return BackendReport(
        address=place.address,
        layout=_layout(names, place, blobs, table),
        sessions=sessions,
        runs=table + (_only_in_blobs(place) if blobs else 0),
        versions=versions,
        tables=tuple(one for one in names if one not in (LOCKS, LEDGER)),
        others=_others(place, names),
        notes=tuple(_notes(place, url_database, names, blobs, old, versions)),
    )


def _others(place: Place, names: list[str]) -> dict[str, int]:
    """Counts that the server keeps at hand; after a crash of it they may be off a little."""
    ours = {place.tables.sessions, place.tables.runs, place.tables.versions, LOCKS, LEDGER}
    return {
        name: place.database[name].estimated_document_count()
        for name in names
        if name not in ours and not name.startswith("system.")
    }


def _layout(names: list[str], place: Place, blobs: int, runs: int) -> str:
    if place.tables.sessions not in names:
        return "empty"
    return "v3" if not blobs else "mixed" if runs else "v2"


def _only_in_blobs(place: Place) -> int:
    """How many runs of Agno 2 have no document of their own."""
    wanted = {"session_id": 1, f"{BLOB}.run_id": 1}
    total = 0
    for chunk in in_chunks(place.sessions.find(_HAS_BLOB, wanted), CHUNK):
        blobs = {one["session_id"]: one for one in chunk}
        ids = list(blobs)
        total += sum(count for count, _ in run_facts(place, ids, blobs).values())
        total -= place.runs.count_documents({"session_id": {"$in": ids}})
    return total


def _notes(
    place: Place,
    url_database: str | None,
    names: list[str],
    blobs: int,
    old: int,
    versions: Mapping[str, str],
) -> Iterator[str]:
    if url_database not in (None, place.db_name):
        yield (
            f"the database in the URL, {url_database!r}, is where the user is known; "
            f"sessions are in {place.db_name!r}, as Agno does it (db_name)"
        )
    if not place.has_transactions:
        yield "a standalone server has no transactions: a batch is stored session by session"
    if place.tables.sessions not in names:
        yield f"no collection {place.tables.sessions!r} yet: the first write makes it"
        return
    if blobs:
        yield f"{blobs} sessions hold runs of Agno 2; they are read from there"
    if old:
        yield f"{old} sessions are of Agno 1 and cannot be read; {legacy.MIGRATE}"
    yield from (legacy.agno_1_note(f"collection {one!r}") for one in agno_1.others(place))
    if not versions:
        yield "no version stamps; Agno's own migrations alone need them"
    yield from _index_notes(place)
    foreign = place.sessions.count_documents({"session_id": {"$not": {"$type": "string"}}})
    if foreign:
        yield f"{foreign} documents of {place.tables.sessions!r} have no session_id and are left out"


def _index_notes(place: Place) -> Iterator[str]:
    for collection, key in ((place.sessions, "session_id"), (place.runs, "run_id")):
        found = collection.index_information()
        if not any(one["key"] == [(key, 1)] and one.get("unique") for one in found.values()):
            yield f"{collection.name!r} has no unique index on {key}: the first write makes it"
    if RUN_ORDER not in place.runs.index_information():
        yield f"{place.runs.name!r} has no index {RUN_ORDER}: the first write makes it"
