"""Runs whose session is not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from agnocli.db._mongo import editing, reading
from agnocli.db._mongo.documents import session_bson
from agnocli.db._mongo.place import Fields, Place
from agnocli.errors import RunNotFoundError
from agnocli.records import Run, Session


def runs(place: Place) -> Iterator[Run]:
    for session_id in sorted(_missing(place, _owners(place, {}))):
        yield from reading.stream_runs(place, session_id)


def _owners(place: Place, where: Fields) -> Iterator[str]:
    """Ids of sessions that runs name, told by an index."""
    stages: list[Fields] = [{"$match": where}, {"$group": {"_id": "$session_id"}}]
    found = place.runs.aggregate(stages, allowDiskUse=True)
    return (one["_id"] for one in found if isinstance(one["_id"], str))


def _missing(place: Place, session_ids: Iterable[str]) -> Iterator[str]:
    for chunk in reading.in_chunks(session_ids, reading.CHUNK):
        there = place.sessions.find({"session_id": {"$in": chunk}}, {"session_id": 1})
        yield from set(chunk).difference(one["session_id"] for one in there)


def check(
    place: Place,
    session_id: str,
    run_ids: Sequence[str],
    transaction: ClientSession | None = None,
) -> None:
    """RunNotFoundError for one that is no orphan of that session."""
    stored = place.sessions.find_one({"session_id": session_id}, {"_id": 1}, session=transaction)
    light = [] if stored else reading.light_order(place, session_id, transaction)
    known = {run.run_id for run in light}
    for run_id in run_ids:
        if run_id not in known:
            raise RunNotFoundError(session_id, run_id)


def adopt(
    place: Place, session: Session, run_ids: Sequence[str], transaction: ClientSession | None
) -> None:
    """Its document is all that the runs of a session lack."""
    check(place, session.session_id, run_ids, transaction)
    place.sessions.insert_one(RawBSONDocument(session_bson(session)), session=transaction)
    light = reading.light_order(place, session.session_id, transaction)
    stored = {run.run_id: run.run_index for run in light}
    editing.renumber(place, list(stored), stored, transaction)


def delete(place: Place, run_ids: Sequence[str]) -> int:
    gone = 0
    for chunk in reading.in_chunks(dict.fromkeys(run_ids), reading.CHUNK):
        called = {"run_id": {"$in": chunk}}
        missing = list(_missing(place, _owners(place, called)))
        orphans = {**called, "session_id": {"$in": missing}}
        gone += place.runs.delete_many(orphans).deleted_count
    return gone
