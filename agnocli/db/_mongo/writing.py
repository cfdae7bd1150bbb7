"""A batch into the database: in one transaction, or session by session, each whole or absent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from agnocli.abc import ConflictPolicy
from agnocli.db._mongo.failures import translated
from agnocli.db._mongo.locks import Lease, in_transaction, locked
from agnocli.db._mongo.place import Fields, Place
from agnocli.db._mongo.reading import in_chunks, stored_digest
from agnocli.db._mongo.spool import Item, Spool
from agnocli.errors import SessionConflictError

TRANSACTION_BYTES = 16 * 1024 * 1024
"""More in one transaction may not fit into a small server's cache."""
CHUNK = 200
CHUNK_BYTES = 8 * 1024 * 1024

Outcomes = dict[str, list[str]]
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
        """New ones are stored together, up to the next that is there already."""
        there = self._stored_ids(items)
        new: dict[str, Item] = {}
        for item in items:
            if item.session_id in there or item.session_id in new:
                self._store(list(new.values()))
                there |= new.keys()
                new = {}
                self._meet(item)
            else:
                new[item.session_id] = item
        self._store(list(new.values()))

    def _stored_ids(self, items: Sequence[Item]) -> set[str]:
        wanted = {"session_id": {"$in": [item.session_id for item in items]}}
        cursor = self._place.sessions.find(wanted, {"session_id": 1}, session=self._transaction)
        return {one["session_id"] for one in cursor}

    def _note(self, outcome: str, session_id: str) -> None:
        self._outcomes.setdefault(outcome, []).append(session_id)

    def _store(self, items: Sequence[Item], outcome: str = "written") -> None:
        """Runs first: a session's own document makes it and them appear."""
        if not items:
            return
        # left by a writer that was killed, or that did not get to an end in deleting
        self._delete_runs([item.session_id for item in items])
        stored: list[tuple[Collection[Fields], list[ObjectId]]] = []
        try:
            for item in items:
                with translated(self._place.address, session_id=item.session_id, writing=True):
                    self._insert(self._place.runs, self._spool.runs(item), stored)
            sessions = (self._spool.session(item) for item in items)
            self._insert(self._place.sessions, sessions, stored)
        except BaseException:
            if self._transaction is None:
                self._undo(stored)
            raise
        for item in items:
            self._note(outcome, item.session_id)

    def _insert(
        self,
        collection: Collection[Fields],
        documents: Iterator[RawBSONDocument],
        stored: list[tuple[Collection[Fields], list[ObjectId]]],
    ) -> None:
        for chunk in _of_a_size(documents):
            self._lease.keep()
            ids = [ObjectId(bytes(one.raw[_ID])) for one in chunk]
            try:
                collection.insert_many(chunk, session=self._transaction)
            except BulkWriteError as error:
                stored.append((collection, ids[: error.details["nInserted"]]))
                raise
            except PyMongoError:
                stored.append((collection, ids))
                raise
            stored.append((collection, ids))

    def _undo(self, stored: list[tuple[Collection[Fields], list[ObjectId]]]) -> None:
        for collection, ids in reversed(stored):
            collection.delete_many({"_id": {"$in": ids}})

    def _meet(self, item: Item) -> None:
        """A session of that id is stored."""
        document = self._place.sessions.find_one(
            {"session_id": item.session_id}, session=self._transaction
        )
        if document is None:  # another program deleted it just now
            self._store([item])
        elif item.digest == stored_digest(self._place, document, self._transaction):
            self._note("identical", item.session_id)
        elif self._policy is ConflictPolicy.SKIP:
            self._note("skipped", item.session_id)
        elif self._policy is ConflictPolicy.ERROR:
            raise SessionConflictError(
                item.session_id,
                "is there already and differs",
                hint="choose what wins with --on-conflict",
            )
        else:
            self._replace(item)

    def _replace(self, item: Item) -> None:
        self._check_runs(item)
        where = {"session_id": item.session_id}
        self._place.sessions.delete_one(where, session=self._transaction)
        self._store([item], "replaced")

    def _check_runs(self, item: Item) -> None:
        """Before anything is deleted: no run may be there twice, or belong to another session."""
        seen: set[str] = set()
        for chunk in in_chunks((one["run_id"] for one in self._spool.runs(item)), CHUNK):
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

    def _delete_runs(self, session_ids: list[str]) -> None:
        self._place.runs.delete_many(
            {"session_id": {"$in": session_ids}}, session=self._transaction
        )


def _of_a_size(documents: Iterator[RawBSONDocument]) -> Iterator[list[RawBSONDocument]]:
    chunk: list[RawBSONDocument] = []
    size = 0
    for document in documents:
        if chunk and (len(chunk) == 500 or size + len(document.raw) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(document)
        size += len(document.raw)
    if chunk:
        yield chunk
