"""Sessions and runs as they are stored, in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, DESCENDING
from pymongo.client_session import ClientSession

from agnocli import codec
from agnocli.db._mongo.documents import BLOB, plain, to_run, to_session
from agnocli.db._mongo.place import Fields, Place
from agnocli.errors import SessionNotFoundError
from agnocli.layout import legacy
from agnocli.records import RawPiece, Run, Session

_RAW = CodecOptions(RawBSONDocument)
CHUNK = 200
"""Documents a query asks for at once, where they are small."""
BATCH = 100
"""Runs that are fetched at once; the server sends fewer when they are big."""


def is_storable(text: str) -> bool:
    """Whether any document could hold it: a lone surrogate is no text to MongoDB."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def find_session(
    place: Place,
    session_id: str,
    transaction: ClientSession | None = None,
    *,
    projection: Fields | None = None,
) -> Fields:
    """The document. SessionNotFoundError when there is none."""
    found = None
    if is_storable(session_id):
        found = place.sessions.find_one({"session_id": session_id}, projection, session=transaction)
    if found is None:
        raise SessionNotFoundError(session_id)
    return found


def raw(place: Place, session_id: str) -> Iterator[RawPiece]:
    """Documents as BSON, the session's own first."""
    where = {"session_id": session_id}
    found = place.sessions.with_options(_RAW).find_one(where) if is_storable(session_id) else None
    if found is None:
        raise SessionNotFoundError(session_id)
    yield RawPiece(place.tables.sessions, bytes(found.raw))
    runs = place.runs.with_options(_RAW).find(where, batch_size=BATCH)
    with runs.sort("run_index", ASCENDING) as cursor:
        for number, one in enumerate(cursor):
            yield RawPiece(f"{place.tables.runs}[{number}]", bytes(one.raw))


def blob_runs(document: Fields) -> list[Run]:
    """The runs that Agno 2 left in a session's document."""
    blob = document.get(BLOB)
    if not blob:
        return []
    return list(legacy.blob_runs(codec.encode(plain(blob)), to_session(document)))


def runs_of(
    place: Place, document: Fields, transaction: ClientSession | None = None
) -> Iterator[Run]:
    """All runs of a session in order, those of Agno 2 included."""
    table = stream_runs(place, document["session_id"], transaction)
    blob = blob_runs(document)
    return legacy.merge(blob, table) if blob else table


def stream_runs(
    place: Place, session_id: str, transaction: ClientSession | None = None
) -> Iterator[Run]:
    """Served by the index of (session_id, run_index); only runs that share an index are sorted here."""
    with place.runs.find({"session_id": session_id}, batch_size=BATCH, session=transaction).sort(
        "run_index", ASCENDING
    ) as cursor:
        yield from in_order(map(to_run, cursor))


def in_order(runs: Iterable[Run]) -> Iterator[Run]:
    """Runs that come by index, those that share one put in order."""
    for _, group in groupby(runs, key=lambda run: run.run_index):
        yield from sorted(group, key=run_order)


def last_runs(place: Place, session_id: str, last: int) -> list[Run]:
    """The newest so many, oldest first; reads as many, and those that share the first one's index."""
    found: list[Run] = []
    with place.runs.find({"session_id": session_id}, batch_size=min(last + 1, BATCH)).sort(
        "run_index", DESCENDING
    ) as cursor:
        for run in map(to_run, cursor):
            if len(found) >= last and run.run_index != found[-1].run_index:
                break
            found.append(run)
    return sorted(found, key=_place_of)[-last:]


def run_order(run: Run) -> tuple[int, str]:
    """Among runs of one index."""
    return run.created_at, run.run_id


def _place_of(run: Run) -> tuple[bool, int, int, str]:
    return run.run_index is not None, run.run_index or 0, *run_order(run)


def light_order(
    place: Place, session_id: str, transaction: ClientSession | None = None
) -> list[Run]:
    """The runs of a session in order, without their bodies."""
    wanted = dict.fromkeys(("run_id", "run_index", "created_at", "status"), 1)
    cursor = place.runs.find({"session_id": session_id}, wanted, session=transaction)
    return sorted(map(to_run, cursor), key=_place_of)


def next_index(place: Place, document: Fields, transaction: ClientSession | None = None) -> int:
    """Behind the highest index, and behind as many as there are runs, where some share one or have none."""
    session_id = document["session_id"]
    count, highest = counts(place, [session_id], transaction).get(session_id, (0, None))
    if document.get(BLOB):
        light = light_order(place, session_id, transaction)
        count = len(list(legacy.merge(blob_runs(document), light)))
    return max(count, 0 if highest is None else highest + 1)


def counts(
    place: Place, ids: Sequence[str], transaction: ClientSession | None = None
) -> dict[str, tuple[int, int | None]]:
    """Number of runs and highest index of sessions, told by an index alone."""
    stages: list[Fields] = [
        {"$match": {"session_id": {"$in": list(ids)}}},
        {"$project": {"_id": 0, "session_id": 1, "run_index": 1}},
        {"$group": {"_id": "$session_id", "n": {"$sum": 1}, "last": {"$max": "$run_index"}}},
    ]
    found = place.runs.aggregate(stages, session=transaction)
    return {one["_id"]: (one["n"], one["last"]) for one in found}


def run_facts(
    place: Place, ids: Sequence[str], blobs: Mapping[str, Fields]
) -> dict[str, tuple[int, str | None]]:
    """Number of runs and last run's status by session id. `blobs` are documents that hold runs of Agno 2."""
    facts = _table_facts(place, ids)
    for session_id in ids:
        if session_id in blobs:
            light = light_order(place, session_id)
            status = {one["run_id"]: one.get("status") for one in _entries(blobs[session_id])}
            status |= {run.run_id: run.status for run in light}
            if status:
                facts[session_id] = len(status), status[list(status)[-1]]
    return facts


def _entries(document: Fields) -> Iterator[Any]:
    blob = document[BLOB]
    for entry in blob if isinstance(blob, list) else ():
        if isinstance(entry, dict) and entry.get("run_id"):
            yield entry


def _table_facts(place: Place, ids: Sequence[str]) -> dict[str, tuple[int, str | None]]:
    """Two queries for all: the second looks at the last run of each, or at those that share its index."""
    found = counts(place, ids) if ids else {}
    status = _last_statuses(place, {one: last for one, (_, last) in found.items()})
    return {one: (runs, status.get(one)) for one, (runs, _) in found.items()}


def _last_statuses(place: Place, last: Mapping[str, object]) -> dict[str, str | None]:
    if not last:
        return {}
    wanted = dict.fromkeys(("session_id", "run_id", "created_at", "status"), 1)
    places = [{"session_id": one, "run_index": index} for one, index in last.items()]
    ends: dict[str, Run] = {}
    for run in map(to_run, place.runs.find({"$or": places}, wanted)):
        known = ends.get(run.session_id)
        if known is None or run_order(run) > run_order(known):
            ends[run.session_id] = run
    return {session_id: run.status for session_id, run in ends.items()}


def to_light_session(document: Fields) -> Session:
    return to_session({name: value for name, value in document.items() if name != BLOB})


def in_chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
