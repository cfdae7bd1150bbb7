"""Sessions in MongoDB, laid out as Agno 3 does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from bson.raw_bson import RawBSONDocument
from msgspec.structs import replace
from pymongo import MongoClient
from pymongo.client_session import ClientSession

from agnocli.abc import (
    Backend,
    BackendReport,
    Capabilities,
    ConflictPolicy,
    Cursor,
    Page,
    SessionQuery,
    Wanted,
    WriteResult,
)
from agnocli.closing import Closing
from agnocli.db._mongo import (
    agno_1,
    bulk,
    connecting,
    editing,
    listing,
    marking,
    noting,
    orphans,
    reading,
    writing,
)
from agnocli.db._mongo.documents import BLOB, CAPABILITIES, session_bson, to_session
from agnocli.db._mongo.failures import translated
from agnocli.db._mongo.locks import alone, in_transaction
from agnocli.db._mongo.place import Fields, Place
from agnocli.db._mongo.report import report
from agnocli.db._mongo.spool import Spool
from agnocli.db._options import checked
from agnocli.errors import BackendReadOnlyError, ConfigError, SessionNotFoundError
from agnocli.layout import filter as filtering
from agnocli.layout import names
from agnocli.layout.derive import session_info
from agnocli.records import Document, RawPiece, Run, Session, SessionBundle, SessionInfo

DATABASE = "agno"


class MongoDb(Closing):
    """Agno's MongoDB storage. `db_client` wins over `db_url`, that over `host`; without any it is this machine.

    The database is `db_name`, else `agno`, whatever the URL names: that one is only for authentication. Reading makes
    nothing; the first write makes collections and indexes. On a replica set every edit, and a batch of up to 16 MB, is
    a transaction; a bigger batch, and any on a standalone server, is stored session by session, each whole or absent.
    """

    def __init__(
        self,
        db_client: MongoClient[Any] | None = None,
        db_name: str | None = None,
        db_url: str | None = None,
        session_collection: str | None = None,
        runs_collection: str | None = None,
        *,
        collection_name: str | None = None,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        read_only: bool = False,
    ) -> None:
        url = db_url or connecting.url(host, port, username, password)
        tables = names.tables(session_collection or collection_name, runs_collection)
        database = db_name or DATABASE
        self._read_only = read_only
        self._url_database, place = None, connecting.client_address(database)
        if db_client is None:
            self._url_database, place = (
                connecting.database_of(url),
                connecting.address(url, database),
            )
        self.address = names.placed(place, tables, "collection")
        self._place = Place(url, db_client, database, tables, self.address)

    @property
    def capabilities(self) -> Capabilities:
        """Asks the server: transactions are a matter of how it was set up."""
        if self._place.has_transactions:
            return replace(CAPABILITIES, max_atomic_bytes=writing.TRANSACTION_BYTES)
        return replace(CAPABILITIES, atomic_batches=False)

    def close(self) -> None:
        self._place.close()

    def connect(self) -> None:
        _ = self._place.has_transactions  # asks the server

    def setup(self) -> None:
        self._check_writable()
        self._place.prepare()

    def _check_writable(self) -> None:
        if self._read_only:
            raise BackendReadOnlyError(
                f"{self.address} is opened read-only",
                hint="its configuration has read_only = true",
            )

    # reading

    def marks(self) -> Iterator[tuple[str, str]]:
        with translated(self.address):
            yield from marking.marks(self._place)

    def version(self) -> str | None:
        with translated(self.address):
            return marking.version(self._place)

    def notes(self, job: str) -> Iterator[bytes]:
        with translated(self.address):
            yield from noting.notes(self._place, job)

    def note(self, job: str, text: bytes) -> None:
        self._check_writable()
        with translated(self.address):
            noting.note(self._place, job, text)

    def forget_notes(self, job: str) -> None:
        self._check_writable()
        with translated(self.address):
            noting.forget(self._place, job)

    def get(self, session_id: str) -> Session:
        with translated(self.address, session_id=session_id):
            try:
                found = reading.find_session(self._place, session_id, projection={BLOB: 0})
            except SessionNotFoundError:
                agno_1.check(self._place)
                raise
            return to_session(found)

    def runs(self, session_id: str, *, last: int | None = None) -> Iterator[Run]:
        with translated(self.address, session_id=session_id):
            document = reading.find_session(self._place, session_id)
        return self._runs(document, last)

    def _runs(self, document: Fields, last: int | None) -> Iterator[Run]:
        if last is not None and last <= 0:
            return
        session_id = document["session_id"]
        with translated(self.address, session_id=session_id):
            if last is None:
                yield from reading.runs_of(self._place, document)
            elif document.get(BLOB):
                yield from list(reading.runs_of(self._place, document))[-last:]
            else:
                yield from reading.last_runs(self._place, session_id, last)

    def scan(
        self, *, after: Cursor | None = None, wanted: Wanted | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        ids = (one for one in self._ids(after) if wanted is None or wanted(one))
        for bundle in self._bundles(ids):
            yield Cursor(bundle.session.session_id), bundle

    def ids(self) -> Iterator[str]:
        return self._ids(None)

    def _ids(self, after: str | None) -> Iterator[str]:
        with translated(self.address):
            ids = bulk.all_ids(self._place, after)
            first = next(ids, None)
            if first is not None:
                yield first
            elif after is None:
                agno_1.check(self._place)
            yield from ids

    def read(self, session_ids: Sequence[str]) -> Iterator[SessionBundle]:
        return self._bundles(filter(reading.is_storable, dict.fromkeys(session_ids)))

    def raw(self, session_id: str) -> Iterator[RawPiece]:
        with translated(self.address, session_id=session_id):
            yield from reading.raw(self._place, session_id)

    def _bundles(self, ids: Iterable[str]) -> Iterator[SessionBundle]:
        with translated(self.address):
            for document, runs in bulk.sessions(self._place, ids):
                held = runs if isinstance(runs, tuple) else self._streamed(runs)
                yield SessionBundle(to_session(document), held)

    def _streamed(self, runs: Iterator[Run]) -> Iterator[Run]:
        with translated(self.address):
            yield from runs

    def find(self, query: SessionQuery) -> Page:
        if not listing.can_match(query):
            return Page(())
        decoding = filtering.needs_decoding(query) or query.status is not None
        bounded = not decoding and query.limit is not None and query.limit > 0
        size = query.skip + query.limit + 1 if bounded and query.limit else reading.CHUNK
        with translated(self.address):
            found = listing.in_order(self._place, query, max(1, size))
            documents: dict[str, Fields] = {}
            infos = self._infos(found, documents, with_facts=query.status is not None)
            total = None if decoding else listing.count(self._place, query)
            page = filtering.page(infos, query, total=total)
            if query.after is None:
                self._check_agno_1(page)
            if query.status is not None:
                return page
            return replace(page, items=tuple(self._counted(page.items, documents)))

    def _check_agno_1(self, page: Page) -> None:
        if page.items:
            agno_1.check_listed(self._place, page.items[0].session_id)
        else:
            agno_1.check(self._place)

    def _infos(
        self, found: Iterator[Fields], documents: dict[str, Fields], *, with_facts: bool
    ) -> Iterator[SessionInfo]:
        """Lines of the listing; documents that hold runs of Agno 2 are left in `documents`."""
        while chunk := list(islice(found, reading.CHUNK if with_facts else 1)):
            documents.update((one["session_id"], one) for one in chunk if one.get(BLOB))
            infos = (
                session_info(reading.to_light_session(one), runs=0, status=None) for one in chunk
            )
            yield from self._counted(list(infos), documents) if with_facts else infos

    def _counted(
        self, infos: Sequence[SessionInfo], documents: Mapping[str, Fields]
    ) -> Iterator[SessionInfo]:
        """Lines with their number of runs and last status. `documents` are those that hold runs of Agno 2."""
        for chunk in reading.in_chunks(infos, reading.CHUNK):
            facts = reading.run_facts(self._place, [one.session_id for one in chunk], documents)
            for info in chunk:
                runs, status = facts.get(info.session_id, (0, None))
                yield replace(info, runs=runs, status=status)

    def inspect(self) -> BackendReport:
        with translated(self.address):
            return report(self._place, url_database=self._url_database)

    # writing

    def write(
        self, bundles: Iterable[SessionBundle], policy: ConflictPolicy = ConflictPolicy.ERROR
    ) -> WriteResult:
        self._check_writable()
        with Spool() as spool:
            spool.fill(bundles)
            if not spool.items:
                return WriteResult()
            self._place.prepare()
            with translated(self.address, writing=True):
                outcomes = writing.write(self._place, spool, policy)
        return WriteResult(**{outcome: tuple(ids) for outcome, ids in outcomes.items()})

    def append_run(self, run: Run) -> Run:
        self._check_writable()

        def work(transaction: ClientSession | None) -> Run:
            return editing.append_run(self._place, run, _now(), transaction)

        with translated(self.address, session_id=run.session_id, writing=True):
            self._check_there([run.session_id])
            return alone(self._place, [run.session_id], work)

    def _check_there(self, session_ids: Sequence[str]) -> None:
        """Before a lock or a collection is made for nothing."""
        if not (self._place.is_prepared and self._place.has_transactions):
            editing.check_stored(self._place, session_ids)
            self._place.prepare()

    def put_run(self, run: Run) -> None:
        self._check_writable()
        with translated(self.address, session_id=run.session_id, writing=True):
            editing.put_run(self._place, run)

    def update(
        self,
        session_id: str,
        changes: Mapping[str, Document | str | int | None],
        expected: Mapping[str, Document | str | int | None] | None = None,
    ) -> Session:
        self._check_writable()
        with translated(self.address, session_id=session_id, writing=True):
            dated = {"updated_at": _now(), **changes}
            return editing.update(self._place, session_id, dated, expected or {})

    def delete(self, session_ids: Sequence[str]) -> int:
        self._check_writable()
        ids = list(dict.fromkeys(session_ids))
        if not ids:
            return 0
        with translated(self.address, writing=True):
            self._check_there(ids)
            return alone(self._place, ids, lambda one: editing.delete(self._place, ids, one))

    def delete_runs(self, session_id: str, run_ids: Sequence[str]) -> int:
        self._check_writable()

        def work(transaction: ClientSession | None) -> int:
            return editing.delete_runs(self._place, session_id, run_ids, _now(), transaction)

        with translated(self.address, session_id=session_id, writing=True):
            self._check_there([session_id])
            return alone(self._place, [session_id], work)

    def orphans(self) -> Iterator[Run]:
        with translated(self.address):
            yield from orphans.runs(self._place)

    def adopt(self, session: Session, run_ids: Sequence[str]) -> None:
        self._check_writable()
        session_id = session.session_id

        def work(transaction: ClientSession | None) -> None:
            orphans.adopt(self._place, session, run_ids, transaction)

        with translated(self.address, session_id=session_id, writing=True):
            orphans.check(self._place, session_id, run_ids)
            self._place.prepare()
            alone(self._place, [session_id], work)

    def delete_orphans(self, run_ids: Sequence[str]) -> int:
        self._check_writable()
        with translated(self.address, writing=True):
            return orphans.delete(self._place, run_ids)

    def probe(self) -> None:
        self._check_writable()
        with translated(self.address, writing=True):
            nobody = {"session_id": f"agnocli-probe-{time.time_ns()}"}
            for collection in (self._place.sessions, self._place.runs):
                collection.update_one(nobody, {"$set": {"updated_at": 0}})
            if self._place.has_transactions:
                with suppress(_ProbeDone):
                    in_transaction(self._place, self._probe)

    def _probe(self, transaction: ClientSession) -> None:
        """A real write, rolled back: nothing of it is ever visible."""
        session = Session(session_id=f"agnocli-probe-{time.time_ns()}", created_at=_now())
        document = RawBSONDocument(session_bson(session))
        self._place.sessions.insert_one(document, session=transaction)
        raise _ProbeDone


class _ProbeDone(Exception):
    """Ends a transaction that must not be kept."""


def _now() -> int:
    return int(time.time())


def open_backend(options: Mapping[str, object], *, name: str, read_only: bool = False) -> Backend:
    """A backend from its configured options."""
    known = checked(options, connecting.OPTIONS, name)
    if "db_url" not in known and "host" not in known:
        raise ConfigError(
            f"backend {name!r}: db_url is missing", hint=f'add: db_url = "{connecting.LOCAL}"'
        )
    return MongoDb(**known, read_only=read_only)


__all__ = ["MongoDb", "open_backend"]
