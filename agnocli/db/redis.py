"""Sessions in Redis or Valkey, one server or a cluster, under the keys that Agno 3 uses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from time import time_ns
from typing import Any

from msgspec.structs import replace

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
from agnocli.db._options import checked
from agnocli.db._redis import agno_1, connecting, marking, noting
from agnocli.db._redis.apart import BatchApart
from agnocli.db._redis.batch import Batch
from agnocli.db._redis.bulk import Bulk
from agnocli.db._redis.changes import Changes, commit
from agnocli.db._redis.connecting import PREFIX
from agnocli.db._redis.editing import Editor
from agnocli.db._redis.keys import RESERVED, Keys, can_be_key
from agnocli.db._redis.listing import Listing
from agnocli.db._redis.orphans import Orphans
from agnocli.db._redis.reading import Reader, raw_id, text_of
from agnocli.db._redis.report import report
from agnocli.db._redis.rows import LARGEST
from agnocli.errors import BackendReadOnlyError, SessionNotFoundError
from agnocli.records import Document, RawPiece, Run, Session, SessionBundle

CAPABILITIES = Capabilities(
    keeps_deleted=("append-only file and snapshots until rewritten", "replicas and backups"),
    writes_beside=True,
    needs_setup=False,
    # a session is stored with the text it was given; an edit of it writes characters for escapes, as Agno does here
    keeps_json_text=False,
    keeps_null_kind=False,
    keeps_expiry=True,
    one_moment=False,
    reserved_id_prefixes=RESERVED,
    max_document_bytes=LARGEST,
    # Agno takes a session it cannot parse for a new one, and it parses by recursion
    max_depth=800,
)

_ON_A_CLUSTER = replace(CAPABILITIES, atomic_batches=False)


class RedisDb(Closing):
    """Agno's Redis storage.

    `redis_client` wins over `db_url`, that over `host` and `port`. `db_prefix` is taken to the letter as Agno takes it
    (`agno:` makes keys as `agno::sessions:…`); `prefix`, its spelling in Agno 1, means the same keys with and without
    a colon at its end. `expire` is in seconds: every write to a session begins its time anew, with all of its runs.
    No key depends on `session_table` and `runs_table`, which are taken because Agno takes them.

    On one server every write is done wholly or not at all. On a cluster the keys of a session lie on several servers:
    a write holds a lock of the session, its record is written last, and one that is interrupted can leave runs
    behind that no session lists.
    """

    def __init__(
        self,
        *,
        redis_client: Any = None,
        db_url: str | None = None,
        db_prefix: str | None = None,
        prefix: str | None = None,
        expire: int | None = None,
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        username: str | None = None,
        password: str | None = None,
        ssl: bool = False,
        session_table: str | None = None,
        runs_table: str | None = None,
        read_only: bool = False,
    ) -> None:
        url = db_url or connecting.url(host, port, db, username, password, ssl)
        self._server = connecting.server(url, redis_client)
        self._read_only, self._expire = read_only, connecting.seconds(expire)
        self._keys = Keys(connecting.key_prefix(db_prefix, prefix))
        self._reader = Reader(self._server, self._keys)
        self._bulk = Bulk(self._server, self._keys)
        self._listing = Listing(self._reader)
        self._editor = Editor(self._reader, self._expire, CAPABILITIES)
        self._orphans = Orphans(self._reader, self._editor)

    @property
    def address(self) -> str:
        prefix = self._keys.prefix
        return self._server.address + (f"?prefix={prefix}" if prefix != PREFIX else "")

    @property
    def capabilities(self) -> Capabilities:
        return _ON_A_CLUSTER if self._server.is_cluster else CAPABILITIES

    def connect(self) -> None:
        _ = self._server.is_cluster  # asks the server

    def setup(self) -> None:
        """There is nothing to make; only sees whether the server can be written."""
        self.probe()

    def close(self) -> None:
        self._server.close()

    # reading

    def marks(self) -> Iterator[tuple[str, str]]:
        return marking.marks(self._listing, self._reader)

    def version(self) -> str | None:
        return marking.version(self._server)

    def notes(self, job: str) -> Iterator[bytes]:
        return noting.notes(self._server, self._keys.notes(job))

    def note(self, job: str, text: bytes) -> None:
        self._check_writable()
        self._server.write(("RPUSH", self._keys.notes(job), text))

    def forget_notes(self, job: str) -> None:
        self._check_writable()
        self._server.write(("DEL", self._keys.notes(job)))

    def get(self, session_id: str) -> Session:
        try:
            return self._reader.parsed(session_id)[0]
        except SessionNotFoundError:
            agno_1.check(self._reader, session_id)
            raise

    def runs(self, session_id: str, *, last: int | None = None) -> Iterator[Run]:
        return self._reader.runs(*self._reader.parsed(session_id), last)

    def scan(
        self, *, after: Cursor | None = None, wanted: Wanted | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        ids = self._ids()
        start = 0 if after is None else bisect_right(ids, raw_id(after))
        chosen = (one for one in islice(ids, start, None) if wanted is None or wanted(text_of(one)))
        for bundle in self._bulk.bundles(chosen):
            yield Cursor(bundle.session.session_id), bundle

    def ids(self) -> Iterator[str]:
        return map(text_of, self._ids())

    def _ids(self) -> list[bytes]:
        ids = self._listing.ids_in_order()
        if not ids:
            self._listing.check_agno_1()
        return ids

    def read(self, session_ids: Sequence[str]) -> Iterator[SessionBundle]:
        ids = (one for one in dict.fromkeys(session_ids) if can_be_key(one))
        return self._bulk.bundles(map(raw_id, ids))

    def raw(self, session_id: str) -> Iterator[RawPiece]:
        return self._reader.raw(session_id)

    def find(self, query: SessionQuery) -> Page:
        page = self._listing.find(query)
        everything = SessionQuery(
            sort=query.sort, reverse=query.reverse, limit=query.limit, skip=query.skip
        )
        if not page.items and query == everything:  # new sessions may be begun beside them
            self._listing.check_agno_1()
        return page

    def inspect(self) -> BackendReport:
        return report(self._reader, self.address)

    # writing

    def write(
        self, bundles: Iterable[SessionBundle], policy: ConflictPolicy = ConflictPolicy.ERROR
    ) -> WriteResult:
        self._check_writable()
        if self._server.is_cluster:
            apart = BatchApart(self._reader, self._editor, self._expire, CAPABILITIES)
            return apart.write(bundles, policy)
        return Batch(self._reader, self._expire, CAPABILITIES).write(bundles, policy)

    def append_run(self, run: Run) -> Run:
        self._check_writable()
        return self._editor.append_run(run)

    def put_run(self, run: Run) -> None:
        self._check_writable()
        self._editor.put_run(run)

    def update(
        self,
        session_id: str,
        changes: Mapping[str, Document | str | int | None],
        expected: Mapping[str, Document | str | int | None] | None = None,
    ) -> Session:
        self._check_writable()
        return self._editor.update(session_id, changes, expected or {})

    def delete(self, session_ids: Sequence[str]) -> int:
        self._check_writable()
        return self._editor.delete(session_ids)

    def delete_runs(self, session_id: str, run_ids: Sequence[str]) -> int:
        self._check_writable()
        return self._editor.delete_runs(session_id, run_ids)

    def orphans(self) -> Iterator[Run]:
        return self._orphans.runs()

    def adopt(self, session: Session, run_ids: Sequence[str]) -> None:
        self._check_writable()
        self._orphans.adopt(session, run_ids)

    def delete_orphans(self, run_ids: Sequence[str]) -> int:
        self._check_writable()
        return self._orphans.delete(run_ids)

    def probe(self) -> None:
        self._check_writable()
        changes = Changes(self._keys)
        key = self._keys.stage(f"probe:{time_ns()}").encode()
        changes.set(key, b"{}")
        changes.remove(key)
        commit(self._server, changes, self._expire)

    def _check_writable(self) -> None:
        if self._read_only:
            raise BackendReadOnlyError(
                f"{self.address} is opened read-only", hint="open it without read_only to write"
            )


def open_backend(options: Mapping[str, object], *, name: str, read_only: bool = False) -> Backend:
    """A backend from its configured options."""
    return RedisDb(**checked(options, connecting.OPTIONS, name), read_only=read_only)


__all__ = ["RedisDb", "open_backend"]
