"""A batch into the database: in one transaction, or some sessions at a time, each whole or absent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from agnocli.abc import ConflictPolicy
from agnocli.db._mongo import bulk
from agnocli.db._mongo.documents import to_session
from agnocli.db._mongo.failures import translate
from agnocli.db._mongo.locks import Lease, in_transaction, locked
from agnocli.db._mongo.place import Fields, Place
from agnocli.db._mongo.reading import in_chunks
from agnocli.db._mongo.spool import Item, Spool
from agnocli.errors import SessionConflictError
from agnocli.layout import conflict
from agnocli.layout.compare import BundleDigest
from agnocli.records import Run

TRANSACTION_BYTES = 16 * 1024 * 1024
"""More in one transaction may not fit into a small server's cache."""
CHUNK = 1000
CHUNK_BYTES = 8 * 1024 * 1024

Outcomes = dict[str, list[str]]
Stored = list[tuple[Collection[Fields], list[bytes]]]
_ID = slice(9, 21)
"""Where a document that begins with an ObjectId has it."""


def write(place: Place, spool: Spool, policy: ConflictPolicy) -> Outcomes:
    small = spool.size <= TRANSACTION_BYTES and len(spool.items) <= TRANSACTION_BYTES // 1024
    if place.has_transactions and small:
        with locked(place, (item.session_id for item in spool.items)) as lease:
            return in_transaction(
                place,
                lambda transaction: _Writer(place, spool, policy, lease, transaction).all(),
            )
    outcomes: Outcomes = {}
    for items in in_chunks(spool.items, CHUNK):
        with locked(place, (item.session_id for item in items)) as lease:
            _Writer(place, spool, policy, lease, None, outcomes).these(items)
    return outcomes


class _Writer:
    def __init__(
        self,
        place: Place,
        spool: Spool,
        policy: ConflictPolicy,
        lease: Lease,
        transaction: ClientSession | None,
        outcomes: Outcomes | None = None,
    ) -> None:
        self._place, self._spool, self._policy = place, spool, policy
        self._lease, self._transaction = lease, transaction
        self._outcomes = {} if outcomes is None else outcomes

    def all(self) -> Outcomes:
        for items in in_chunks(self._spool.items, CHUNK):
            self.these(items)
        return self._outcomes

    def these(self, items: Sequence[Item]) -> None:
        for some in _once_each(items):
            fates = self._fates(some)
            self._store([item for item in some if item.session_id not in fates])
            for item in some:
                fate = fates.get(item.session_id, "written")
                if fate == "replaced":
                    self._replace(item)
                self._outcomes.setdefault(fate, []).append(item.session_id)

    # what is there already

    def _fates(self, items: Sequence[Item]) -> dict[str, str]:
        """What becomes of those that are stored, by id. The first conflict is raised before anything is written."""
        named = {item.session_id: item for item in items}
        fates: dict[str, str] = {}
        refused: dict[str, SessionConflictError] = {}
        there = self._stored_ids(list(named))
        for document, runs in bulk.sessions(self._place, there, self._transaction):
            item = named[document["session_id"]]
            try:
                fates[item.session_id] = self._fate(item, document, runs)
            except SessionConflictError as error:
                refused[item.session_id] = error
        for session_id in named:
            if session_id in refused:
                raise refused[session_id]
        return fates

    def _stored_ids(self, ids: list[str]) -> list[str]:
        wanted = {"session_id": {"$in": ids}}
        shown = {"_id": 0, "session_id": 1}
        cursor = self._place.sessions.find(wanted, shown, session=self._transaction)
        return sorted(one["session_id"] for one in cursor)

    def _fate(self, item: Item, document: Fields, runs: Iterator[Run] | Sequence[Run]) -> str:
        there, session = to_session(document), self._spool.decoded(item)
        policy = conflict.settled(self._policy, session, there)
        stored, incoming = BundleDigest(there), BundleDigest(session)
        same = stored.hexdigest() == incoming.hexdigest() and (
            stored.drain(runs) == incoming.drain(self._spool.decoded_runs(item))
        )
        if same or policy is not ConflictPolicy.REPLACE:
            return conflict.kept(item.session_id, policy, same=same)
        return "replaced"

    def _replace(self, item: Item) -> None:
        self._check_runs(item)
        where = {"session_id": item.session_id}
        self._place.sessions.delete_one(where, session=self._transaction)
        self._store([item])

    def _check_runs(self, item: Item) -> None:
        """Before anything is deleted: no run may be there twice, or belong to another session."""
        seen: set[str] = set()
        for chunk in in_chunks((run.run_id for run in self._spool.decoded_runs(item)), 200):
            twice = next(
                (one for place, one in enumerate(chunk) if one in seen or one in chunk[:place]),
                None,
            )
            seen.update(chunk)
            elsewhere = self._place.runs.find_one(
                {"run_id": {"$in": chunk}, "session_id": {"$ne": item.session_id}},
                {"run_id": 1},
                session=self._transaction,
            )
            if twice is not None or elsewhere is not None:
                run_id = twice if elsewhere is None else elsewhere["run_id"]
                raise SessionConflictError(
                    item.session_id, f"cannot take run {run_id!r}: it is stored already"
                )

    # what is new

    def _store(self, items: Sequence[Item]) -> None:
        """Runs first: a session's own document makes it and them appear."""
        if not items:
            return
        # left by a writer that was killed, or that did not get to an end in deleting
        ids = [item.session_id for item in items]
        self._place.runs.delete_many({"session_id": {"$in": ids}}, session=self._transaction)
        stored: Stored = []
        try:
            runs = (run for item in items for run in self._spool.runs(item))
            alone = self._transaction is None
            self._insert(self._place.early_runs if alone else self._place.runs, runs, stored)
            sessions = (self._spool.session(item) for item in items)
            self._insert(self._place.sessions, sessions, stored)
        except BaseException:
            if self._transaction is None:
                with suppress(PyMongoError):  # without a session's document they count for nothing
                    self._undo(stored)
            raise

    def _insert(
        self, collection: Collection[Fields], documents: Iterator[bytes], stored: Stored
    ) -> None:
        for chunk in _of_a_size(documents):
            self._lease.keep()
            stored.append((collection, [one[_ID] for one in chunk]))
            some = [RawBSONDocument(one) for one in chunk]
            try:
                collection.insert_many(some, ordered=False, session=self._transaction)
            except BulkWriteError as error:
                failed = error.details.get("writeErrors") or [{"index": 0}]
                whose = some[failed[0]["index"]]["session_id"]
                raise translate(error, self._place.address, whose, True) from error

    def _undo(self, stored: Stored) -> None:
        for collection, ids in reversed(stored):
            collection.delete_many({"_id": {"$in": [ObjectId(one) for one in ids]}})


def _once_each(items: Sequence[Item]) -> Iterator[list[Item]]:
    """In order, no id twice in one part."""
    some: dict[str, Item] = {}
    for item in items:
        if item.session_id in some:
            yield list(some.values())
            some = {}
        some[item.session_id] = item
    yield list(some.values())


def _of_a_size(documents: Iterator[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for document in documents:
        if chunk and (len(chunk) == CHUNK or size + len(document) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(document)
        size += len(document)
    if chunk:
        yield chunk
