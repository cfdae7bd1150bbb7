"""Notes of a job that several machines do together: documents of a collection of their own."""

from __future__ import annotations

from collections.abc import Iterator

from pymongo import ASCENDING

from agnocli.db._mongo.place import Place
from agnocli.layout.names import LEDGER


def notes(place: Place, job: str) -> Iterator[bytes]:
    found = place.database[LEDGER].find({"job": job}).sort("_id", ASCENDING)
    yield from (one["note"].encode("ascii") for one in found)


def note(place: Place, job: str, text: bytes) -> None:
    place.database[LEDGER].insert_one({"job": job, "note": text.decode("ascii")})


def forget(place: Place, job: str) -> None:
    """The empty collection stays, as that of the locks does: to drop it would take along what is noted at that moment."""
    place.database[LEDGER].delete_many({"job": job})
