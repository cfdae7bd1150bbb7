"""Edits of a stored session: each is done alone, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from msgspec.structs import replace
from pymongo import ReturnDocument, UpdateOne
from pymongo.client_session import ClientSession

from agnocli import canonical, codec
from agnocli.db._mongo import reading
from agnocli.db._mongo.documents import (
    BLOB,
    run_bson,
    run_changes,
    session_changes,
    to_session,
)
from agnocli.db._mongo.place import Fields, Place
from agnocli.errors import (
    RunNotFoundError,
    SessionConflictError,
    SessionNotFoundError,
    UsageError,
)
from agnocli.layout import legacy
from agnocli.records import SESSION_COLUMNS, SESSION_DOCUMENTS, Run, Session

CHANGEABLE = tuple(name for name in SESSION_COLUMNS if name != "session_id")
KEPT = ("run_id", "session_id", "run_index", "created_at")
"""Fields of a run that stay when it is put."""
_EDITOR = "agnocli_editor"
"""A field of the session during a transaction; nobody else ever sees it."""


def _entered(place: Place, session_id: str, transaction: ClientSession | None) -> Fields:
    """The session's document. In a transaction it is written first: that is what makes two editors queue.

    A date would not do: setting what is there already is no write, and of that second there may be one.
    """
    if transaction is None:
        return reading.find_session(place, session_id)
    found = place.sessions.find_one_and_update(
        {"session_id": session_id}, {"$set": {_EDITOR: ObjectId()}}, session=transaction
    )
    if found is None:
        raise SessionNotFoundError(session_id)
    return found


def _left(place: Place, session_id: str, now: int, transaction: ClientSession | None) -> None:
    """Dates the session, when nothing can fail any more."""
    place.sessions.update_one(
        {"session_id": session_id},
        {"$set": {"updated_at": now}, "$unset": {_EDITOR: ""}},
        session=transaction,
    )


def append_run(place: Place, run: Run, now: int, transaction: ClientSession | None) -> Run:
    document = _entered(place, run.session_id, transaction)
    stored = replace(run, run_index=reading.next_index(place, document, transaction))
    place.runs.insert_one(RawBSONDocument(run_bson(stored)), session=transaction)
    _left(place, run.session_id, now, transaction)
    return stored


def put_run(place: Place, run: Run) -> None:
    where = {"run_id": run.run_id, "session_id": run.session_id}
    changes = {"$set": run_changes(run, KEPT)}
    if place.runs.update_one(where, changes).matched_count:
        return
    try:
        document = reading.find_session(place, run.session_id)
    except SessionNotFoundError:
        raise RunNotFoundError(run.session_id, run.run_id) from None
    blob = reading.blob_runs(document)
    old = next((one for one in blob if one.run_id == run.run_id), None)
    if old is None:
        raise RunNotFoundError(run.session_id, run.run_id)
    new = replace(run, run_index=old.run_index, created_at=old.created_at)
    place.runs.insert_one(RawBSONDocument(run_bson(new)))


def update(
    place: Place, session_id: str, changes: Mapping[str, Any], expected: Mapping[str, Any]
) -> Session:
    """One change of one document, so it is atomic anywhere."""
    for name in (*changes, *expected):
        if name not in CHANGEABLE:
            raise UsageError(
                f"a session's {name!r} cannot be changed",
                hint=f"what can be: {', '.join(sorted(CHANGEABLE))}",
            )
    probe = Session(**{"session_id": session_id, "created_at": 0, **changes})
    operators = session_changes(probe, changes)
    where = {"session_id": session_id}
    if expected:
        where |= _unchanged(place, session_id, expected)
    found = place.sessions.find_one_and_update(
        where, operators, projection={BLOB: 0}, return_document=ReturnDocument.AFTER
    )
    if found is not None:
        return to_session(found)
    if expected:
        reading.find_session(place, session_id, projection={"_id": 1})
        raise _changed(session_id)
    raise SessionNotFoundError(session_id)


def _unchanged(place: Place, session_id: str, expected: Mapping[str, Any]) -> Fields:
    """A condition that holds as long as these fields are what is stored now, which is as expected.

    Compared here, where a foreign value counts as the text it is read as; then by the server, value and type.
    """
    document = reading.find_session(place, session_id, projection={BLOB: 0})
    found = to_session(document)
    conditions: list[Fields] = []
    for name, value in expected.items():
        if not _same(name, getattr(found, name), value):
            raise _changed(session_id, name)
        if name in document:
            conditions.append({"$eq": [f"${name}", {"$literal": document[name]}]})
        else:
            conditions.append({"$eq": [{"$type": f"${name}"}, "missing"]})
    return {"$expr": {"$and": conditions}}


def _same(name: str, found: Any, wanted: Any) -> bool:
    if found is None or wanted is None or name not in SESSION_DOCUMENTS:
        return bool(found == wanted)
    return canonical.digest([found]) == canonical.digest([wanted])


def _changed(session_id: str, name: str = "it is not as it was") -> SessionConflictError:
    return SessionConflictError(
        session_id, f"was changed by another program meanwhile ({name})", hint="try again"
    )


def delete(place: Place, session_ids: Sequence[str], transaction: ClientSession | None) -> int:
    """Sessions go before their runs: what is left of an interrupted deletion nobody sees."""
    check_stored(place, session_ids, transaction)
    for chunk in reading.in_chunks(session_ids, reading.CHUNK):
        where = {"session_id": {"$in": chunk}}
        place.sessions.delete_many(where, session=transaction)
        place.runs.delete_many(where, session=transaction)
    return len(session_ids)


def check_stored(
    place: Place, session_ids: Sequence[str], transaction: ClientSession | None = None
) -> None:
    for chunk in reading.in_chunks(session_ids, reading.CHUNK):
        storable = [one for one in chunk if reading.is_storable(one)]
        cursor = place.sessions.find(
            {"session_id": {"$in": storable}}, {"session_id": 1}, session=transaction
        )
        there = {one["session_id"] for one in cursor}
        for session_id in chunk:
            if session_id not in there:
                raise SessionNotFoundError(session_id)


def delete_runs(
    place: Place,
    session_id: str,
    run_ids: Sequence[str],
    now: int,
    transaction: ClientSession | None,
) -> int:
    document = _entered(place, session_id, transaction)
    blob = reading.blob_runs(document)
    light = reading.light_order(place, session_id, transaction)
    order = list(legacy.merge(blob, light))
    known = {run.run_id for run in order}
    gone = dict.fromkeys(run_ids)
    for run_id in gone:
        if run_id not in known:
            raise RunNotFoundError(session_id, run_id)
    _remove(place, document, list(gone), transaction)
    kept = [run.run_id for run in order if run.run_id not in gone]
    renumber(place, kept, {run.run_id: run.run_index for run in light}, transaction)
    _left(place, session_id, now, transaction)
    return len(gone)


def _remove(
    place: Place, document: Fields, gone: list[str], transaction: ClientSession | None
) -> None:
    session_id = document["session_id"]
    place.runs.delete_many({"session_id": session_id, "run_id": {"$in": gone}}, session=transaction)
    blob = document.get(BLOB)
    if isinstance(blob, str):
        blob = codec.decode(blob)
    if not isinstance(blob, list):
        return
    left = [one for one in blob if not (isinstance(one, dict) and one.get("run_id") in gone)]
    if len(left) < len(blob):
        changes = {"$set": {BLOB: left}}
        place.sessions.update_one({"session_id": session_id}, changes, session=transaction)


def renumber(
    place: Place,
    order: Sequence[str],
    stored: Mapping[str, int | None],
    transaction: ClientSession | None,
) -> None:
    changes = [
        UpdateOne({"run_id": run_id}, {"$set": {"run_index": index}})
        for index, run_id in enumerate(order)
        if run_id in stored and stored[run_id] != index
    ]
    for chunk in reading.in_chunks(changes, 1000):
        place.runs.bulk_write(chunk, session=transaction)
