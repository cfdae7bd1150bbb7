"""Sessions in SQL tables. No database is named here: what differs is the dialect's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TypeVar

from agnocli.abc import (
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
from agnocli.db.sql import (
    batches,
    finding,
    indexes,
    inserting,
    marking,
    noting,
    reading,
    rows,
    salvage,
    writing,
)
from agnocli.db.sql.absence import absence, check_columns
from agnocli.db.sql.connections import Connections
from agnocli.db.sql.dialect import Connection, DBCursor, Dialect, as_declared
from agnocli.db.sql.statements import Statements
from agnocli.errors import (
    AgnoCLIError,
    BackendNotSetUpError,
    BackendReadOnlyError,
    BackendUnavailableError,
)
from agnocli.layout import legacy
from agnocli.layout.names import Tables, placed
from agnocli.layout.portable import fits
from agnocli.records import (
    Document,
    RawPiece,
    Run,
    Session,
    SessionBundle,
)

Result = TypeVar("Result")

ATTEMPTS = 5
"""At a transaction that the database undoes."""


class SQLStore(Closing):
    """A `Backend` over Agno's tables. Connections open when first needed; only a write makes tables."""

    def __init__(
        self,
        dialect: Dialect,
        tables: Tables,
        *,
        address: str,
        open_reader: Callable[[], Connection],
        open_writer: Callable[[bool], Connection],
        read_only: bool = False,
    ) -> None:
        self._dialect, self._tables = dialect, tables
        self._address = address = placed(address, tables)
        self._read_only = read_only
        self._connections = Connections(dialect, address, open_reader, open_writer)
        self._found: Statements | None = None
        self._complete = self._fills = False
        self._making = False
        """Tables are made in a transaction that is not committed."""
        self._can = dialect.capabilities if dialect.limits is as_declared else None

    @property
    def address(self) -> str:
        return self._address

    @property
    def capabilities(self) -> Capabilities:
        if self._can is None:
            with self._connections.reading() as cursor:
                return self._limits(cursor)
        return self._can

    def _limits(self, cursor: DBCursor) -> Capabilities:
        if self._can is None:
            self._can = self._dialect.limits(cursor, self._dialect.capabilities)
        return self._can

    def connect(self) -> None:
        with self._connections.reading():
            pass  # it goes to the pool

    def close(self) -> None:
        self._connections.close()

    # what is there

    def _statements(self, cursor: DBCursor) -> Statements:
        """SQL for the tables as they are now; looked up again until both are there, and committed."""
        found = self._found
        if found is None or not found.has_runs:
            found = self._look(cursor)
            self._found = None if self._making else found
        return found

    def _look(self, cursor: DBCursor) -> Statements:
        sessions = self._dialect.table_columns(cursor, self._tables.sessions)
        runs = self._dialect.table_columns(cursor, self._tables.runs)
        if not sessions:
            raise absence(cursor, self._dialect, self._tables, self._address)
        check_columns(self._address, self._tables, sessions, runs)
        return Statements(self._dialect, self._tables, sessions, runs, self._limits(cursor))

    def setup(self) -> None:
        columns, tables = self._dialect.table_columns, self._tables
        with self._writing(create=True) as cursor:
            sessions, runs = (columns(cursor, one) for one in (tables.sessions, tables.runs))
            check_columns(self._address, tables, sessions, runs)
            self._create(cursor)

    @contextmanager
    def _writing(self, *, create: bool = False) -> Iterator[DBCursor]:
        if self._read_only:
            raise BackendReadOnlyError(
                f"{self._address} is opened read-only",
                hint="its configuration has read_only = true",
            )
        try:
            with self._connections.writing(create=create) as cursor:
                if not self._complete:
                    self._complete = not self._completed(cursor)
                yield cursor
        except BaseException:
            self._found = None  # tables may not be what they were
            raise
        finally:
            self._making = False

    def _completed(self, cursor: DBCursor) -> bool:
        """Whether what a killed load put off had to be made."""
        if not indexes.are_put_off(cursor, self._dialect, self._tables):
            return False
        indexes.complete(cursor, self._dialect, self._tables)
        return True

    def _edit(self, action: Callable[[DBCursor], Result]) -> Result:
        """A transaction that is done again when the database itself undid it: it may do so more than once."""
        for _ in range(ATTEMPTS - 1):
            try:
                with self._writing() as cursor:
                    return action(cursor)
            except BackendUnavailableError as error:
                if not self._dialect.is_undone(error.__cause__):
                    raise
        with self._writing() as cursor:
            return action(cursor)

    def _create(self, cursor: DBCursor) -> None:
        columns = self._dialect.table_columns
        names = (self._tables.sessions, self._tables.runs, self._tables.versions)
        with self._dialect.creating(cursor):
            if missing := {name for name in names if not columns(cursor, name)}:
                self._making = True
                writing.create(cursor, self._dialect, self._tables, missing)
        self._found = None

    def _ready(self, cursor: DBCursor) -> Statements:
        """Statements to write with; makes the tables in an empty database, never beside foreign ones."""
        try:
            return self._editable(cursor)
        except BackendNotSetUpError:
            self._create(cursor)
            return self._statements(cursor)

    def _editable(self, cursor: DBCursor) -> Statements:
        """As `_ready`, for what needs a session: an empty database stays as it is."""
        found = self._statements(cursor)
        if found.has_runs:
            return found
        self._create(cursor)
        return self._statements(cursor)

    # reading

    def marks(self) -> Iterator[tuple[str, str]]:
        return marking.marks(self._connections, self._statements)

    def version(self) -> str | None:
        with self._connections.reading() as cursor:
            return self._dialect.version(cursor, self._tables)

    def get(self, session_id: str) -> Session:
        with self._connections.reading() as cursor:
            return rows.read_session(cursor, self._statements(cursor), session_id)

    def runs(self, session_id: str, *, last: int | None = None) -> Iterator[Run]:
        with self._connections.reading() as cursor:
            found = self._statements(cursor)
            session = rows.read_session(cursor, found, session_id)
            blob = rows.read_blob(cursor, found, session)
        return self._runs(found, session_id, blob, last)

    def _runs(
        self, found: Statements, session_id: str, blob: Sequence[Run], last: int | None
    ) -> Iterator[Run]:
        if last is not None and last <= 0:
            return
        if last is None or blob:
            with self._looking() as (cursor, _, each):
                table = reading.stream_runs(cursor, found, session_id, each)
                runs = legacy.merge(blob, table) if blob else table
                yield from runs if last is None else list(runs)[-last:]
            return
        with self._connections.reading() as cursor:
            newest = rows.newest_runs(cursor, found, session_id, last)
        yield from newest

    @contextmanager
    def _looking(self) -> Iterator[tuple[DBCursor, Statements, reading.Moment]]:
        """To read much as of one moment, or else in steps that keep no writer waiting: within the last of the three."""
        with self._connections.reading() as cursor:
            one_moment = self._dialect.keeps_moments(cursor)
            found = self._statements(cursor)
            moment = partial(reading.moment, cursor, self._dialect)
            with moment() if one_moment else nullcontext():
                yield cursor, found, nullcontext if one_moment else moment

    def scan(
        self, *, after: Cursor | None = None, wanted: Wanted | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        with self._looking() as (cursor, found, each):
            ids = reading.wanted_ids(cursor, found, after, wanted)
            for bundle in reading.bundles(cursor, found, ids, each):
                yield Cursor(bundle.session.session_id), self._handed_over(bundle)

    def ids(self) -> Iterator[str]:
        after = None
        while ids := self._ids_after(after):
            yield from ids
            after = ids[-1]

    def _ids_after(self, after: str | None) -> list[str]:
        with self._connections.reading() as cursor:
            return rows.session_ids(cursor, self._statements(cursor), after)

    def read(self, session_ids: Sequence[str]) -> Iterator[SessionBundle]:
        with self._looking() as (cursor, found, each):
            ids = (one for one in dict.fromkeys(session_ids) if fits(one, found.can))
            for bundle in reading.bundles(cursor, found, reading.chunks(ids, found), each):
                yield self._handed_over(bundle)

    def _handed_over(self, bundle: SessionBundle) -> SessionBundle:
        """Runs that are still to be read fail as all else does."""
        session, runs = bundle
        return bundle if isinstance(runs, tuple) else SessionBundle(session, self._guarded(runs))

    def _guarded(self, runs: Iterable[Run]) -> Iterator[Run]:
        with self._connections.translated():
            yield from runs

    def find(self, query: SessionQuery) -> Page:
        return finding.find(self._connections, self._statements, query)

    def orphans(self) -> Iterator[Run]:
        with self._looking() as (cursor, found, each):
            yield from reading.orphans(cursor, found, each)

    def raw(self, session_id: str) -> Iterator[RawPiece]:
        with self._looking() as (cursor, found, _):
            salvaged = salvage.Salvage(cursor, found, self._connections.translated)
            yield from salvaged.pieces(session_id)

    def inspect(self) -> BackendReport:
        with self._connections.reading() as cursor:
            found = self._statements(cursor)
            return rows.report(cursor, found, self._address)

    def notes(self, job: str) -> Iterator[bytes]:
        with suppress(BackendNotSetUpError), self._connections.reading() as cursor:
            yield from noting.notes(cursor, self._dialect, job)

    # writing

    def note(self, job: str, text: bytes) -> None:
        self._edit(lambda cursor: noting.note(cursor, self._dialect, job, text))

    def forget_notes(self, job: str) -> None:
        with suppress(BackendNotSetUpError):
            self._edit(lambda cursor: noting.forget(cursor, self._dialect, job))

    def write(
        self, bundles: Iterable[SessionBundle], policy: ConflictPolicy = ConflictPolicy.ERROR
    ) -> WriteResult:
        done: dict[str, list[str]] = {}
        with self._writing(create=True) as cursor:
            for chunk in batches.chunks(bundles):
                found = self._ready(cursor)
                if self._fills and batches.is_of_small_runs(chunk):
                    indexes.put_off(cursor, found)
                self._fills = False
                for outcome, session_id in batches.store(cursor, found, chunk, policy):
                    done.setdefault(outcome, []).append(session_id)
        return WriteResult(**{outcome: tuple(ids) for outcome, ids in done.items()})

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Most indexes of empty tables are made at the end, where that pays. They are missed by nothing but the clock."""
        self._complete = True  # what another load has put off stays so until this one ends
        self._fills = self._dialect.index_names is not None
        try:
            yield
        except BaseException:
            with suppress(AgnoCLIError):  # the first error tells; the next write makes them
                self._settle()
            raise
        self._settle()

    def _settle(self) -> None:
        self._complete = self._fills = False
        with (
            suppress(BackendNotSetUpError),
            self._writing(),
        ):  # if nothing came, nothing was put off
            pass

    def append_run(self, run: Run) -> Run:
        return self._edit(
            lambda cursor: writing.append_run(cursor, self._editable(cursor), run, now())
        )

    def put_run(self, run: Run) -> None:
        self._edit(lambda cursor: writing.put_run(cursor, self._editable(cursor), run))

    def update(
        self,
        session_id: str,
        changes: Mapping[str, Document | str | int | None],
        expected: Mapping[str, Document | str | int | None] | None = None,
    ) -> Session:
        changes = {"updated_at": now(), **changes}
        return self._edit(
            lambda cursor: writing.update(
                cursor, self._statements(cursor), session_id, changes, expected or {}
            )
        )

    def delete(self, session_ids: Sequence[str]) -> int:
        ids = sorted(set(session_ids))  # one order for all, lest two writers wait for each other

        def delete(cursor: DBCursor) -> int:
            found = self._statements(cursor)
            for session_id in ids:
                writing.delete(cursor, found, session_id)
            return len(ids)

        return self._edit(delete)

    def delete_runs(self, session_id: str, run_ids: Sequence[str]) -> int:
        return self._edit(
            lambda cursor: writing.delete_runs(
                cursor, self._statements(cursor), session_id, run_ids, now()
            )
        )

    def adopt(self, session: Session, run_ids: Sequence[str]) -> None:
        self._edit(lambda cursor: writing.adopt(cursor, self._editable(cursor), session, run_ids))

    def delete_orphans(self, run_ids: Sequence[str]) -> int:
        return self._edit(
            lambda cursor: writing.delete_orphans(cursor, self._editable(cursor), run_ids)
        )

    def probe(self) -> None:
        with self._connections.reading() as cursor:
            self._statements(cursor)
        session = Session(session_id=f"agnocli-probe-{time.time_ns()}", created_at=now())
        with suppress(_ProbeDone), self._writing() as cursor:
            inserting.insert_session(cursor, self._statements(cursor), session)
            raise _ProbeDone  # roll back: nothing of it is ever visible


class _ProbeDone(Exception):
    """Ends a transaction that must not be kept."""


def now() -> int:
    return int(time.time())
