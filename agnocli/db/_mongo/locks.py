"""One writer at a time for a session, where several documents must change together.

On a replica set an edit is a transaction that writes the session's document first: of two at once the server lets one
win and the other starts again. A standalone server has no transactions, and Agno's layout no unique index on
(session_id, run_index); there a document of `agnocli_locks` stands for the right to edit a session. Nothing of it is in
Agno's documents. A lock whose owner was killed ends by itself after `LEASE` seconds, by the server's clock. Batches
that are too big for a transaction take locks on either.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from uuid import uuid4

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from agnocli.db._mongo.failures import DUPLICATE
from agnocli.db._mongo.place import Place
from agnocli.errors import BackendUnavailableError

LEASE = 15.0
WAIT = 40.0
"""Seconds that a writer waits for another one's lock: longer than a dead one's lasts."""

Result = TypeVar("Result")


def in_transaction(place: Place, work: Callable[[ClientSession], Result]) -> Result:
    """`work` is done again when another program was quicker."""
    with place.client.start_session() as session:
        return session.with_transaction(
            work, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority")
        )


def alone(
    place: Place, session_ids: Iterable[str], work: Callable[[ClientSession | None], Result]
) -> Result:
    """Do `work` on these sessions undisturbed; it is given the transaction it is in, if it is in one."""
    if place.has_transactions:
        return in_transaction(place, work)
    with locked(place, session_ids):
        return work(None)


class Lease:
    """Locks that are held. `keep` them from time to time in long work."""

    def __init__(self, place: Place) -> None:
        self._place, self._owner = place, uuid4().hex
        self._due = 0.0

    def take(self, session_ids: Iterable[str]) -> None:
        """All of them, in one order for everybody, so that no two writers wait for each other."""
        left = sorted({f"{self._place.tables.sessions}/{one}" for one in session_ids})
        end, held = time.monotonic() + WAIT, ""
        while left:
            if time.monotonic() > end:
                raise BackendUnavailableError(
                    f"{self._place.address}: {held!r} is being written by another program",
                    hint="try again when that is done",
                )
            taken = self._take_some(left)
            left = left[taken:]
            if left:
                held = left[0]
                self._drop_stale(held)
                time.sleep(random.uniform(0.001, 0.015))
        self._due = time.monotonic() + LEASE / 3

    def _take_some(self, keys: list[str]) -> int:
        """How many, from the first on, are free and now ours."""
        wanted = [{"$set": {"owner": self._owner, "until": _in_a_lease()}}]
        # one that is held does not match, so it would be inserted anew, which its _id forbids
        requests = [
            UpdateOne({"_id": key, "owner": {"$exists": False}}, wanted, upsert=True)
            for key in keys
        ]
        try:
            self._place.locks.bulk_write(requests)
        except BulkWriteError as error:
            failed = error.details["writeErrors"][0]
            if failed["code"] != DUPLICATE:
                raise
            return int(failed["index"])
        return len(keys)

    def _drop_stale(self, key: str) -> None:
        self._place.locks.delete_one({"_id": key, "$expr": {"$lt": ["$until", "$$NOW"]}})

    def keep(self) -> None:
        if time.monotonic() > self._due:
            until = [{"$set": {"until": _in_a_lease()}}]
            self._place.locks.update_many({"owner": self._owner}, until)
            self._due = time.monotonic() + LEASE / 3

    def release(self) -> None:
        with suppress(PyMongoError):  # they end by themselves, and the work is done
            self._place.locks.delete_many({"owner": self._owner})


def _in_a_lease() -> dict[str, list[object]]:
    return {"$add": ["$$NOW", int(LEASE * 1000)]}


@contextmanager
def locked(place: Place, session_ids: Iterable[str]) -> Iterator[Lease]:
    lease = Lease(place)
    try:
        lease.take(session_ids)
        yield lease
    finally:
        lease.release()
