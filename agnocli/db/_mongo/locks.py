"""One writer at a time for a session, where several documents must change together.

On a replica set an edit is a transaction that writes the session's document first: of two at once the server lets one
win and the other starts again. A standalone server has no transactions, and Agno's layout no unique index on
(session_id, run_index); there a document of `agnocli_locks` stands for the right to edit the sessions it names, of which
a unique index lets no other document name one. Nothing of it is in Agno's documents. A lock whose owner was killed ends
by itself after `LEASE` seconds, by the server's clock. Batches take locks on either.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from uuid import uuid4

from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

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
    """The lock of some sessions, all of them at once. `keep` it from time to time in long work."""

    def __init__(self, place: Place, session_ids: Iterable[str]) -> None:
        self._place, self._owner = place, uuid4().hex
        self._keys = sorted({f"{place.tables.sessions}/{one}" for one in session_ids})
        self._due = 0.0

    def take(self) -> None:
        end = time.monotonic() + WAIT
        while (held := self._taken()) is not None:
            if time.monotonic() > end:
                raise BackendUnavailableError(
                    f"{self._place.address}: {held!r} is being written by another program",
                    hint="try again when that is done",
                )
            self._drop_stale()
            time.sleep(random.uniform(0.001, 0.015))
        self._due = time.monotonic() + LEASE / 3

    def _taken(self) -> str | None:
        """What another one holds; None when the lock is ours."""
        wanted = [{"$set": {"keys": {"$literal": self._keys}, "until": _in_a_lease()}}]
        try:
            self._place.locks.update_one({"_id": self._owner}, wanted, upsert=True)
        except DuplicateKeyError as error:
            details: Any = error.details or {}
            return str(details.get("keyValue", {}).get("keys", self._keys[0]))
        return None

    def _drop_stale(self) -> None:
        past = {"$expr": {"$lt": ["$until", "$$NOW"]}}
        self._place.locks.delete_many({"keys": {"$in": self._keys}, **past})

    def keep(self) -> None:
        if time.monotonic() > self._due:
            until = [{"$set": {"until": _in_a_lease()}}]
            if not self._place.locks.update_one({"_id": self._owner}, until).matched_count:
                raise BackendUnavailableError(
                    f"{self._place.address}: this program stood still, and another one writes now",
                    hint="try again",
                )
            self._due = time.monotonic() + LEASE / 3

    def release(self) -> None:
        with suppress(PyMongoError):  # it ends by itself, and the work is done
            self._place.locks.delete_one({"_id": self._owner})


def _in_a_lease() -> dict[str, list[object]]:
    return {"$add": ["$$NOW", int(LEASE * 1000)]}


@contextmanager
def locked(place: Place, session_ids: Iterable[str]) -> Iterator[Lease]:
    lease = Lease(place, session_ids)
    try:
        lease.take()
        yield lease
    finally:
        lease.release()
