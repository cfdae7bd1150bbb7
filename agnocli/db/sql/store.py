"""Sessions in SQL tables. No database is named here: what differs is the dialect's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from agnocli.abc import (
    BackendReport,
    Capabilities,
    ConflictPolicy,
    Cursor,
    Page,
    SessionQuery,
    WriteResult,
)
from agnocli.db.sql import rows, writing
from agnocli.db.sql.connections import Connections
from agnocli.db.sql.dialect import Connection, DBCursor, Dialect, Statement, as_declared
from agnocli.db.sql.statements import Statements
from agnocli.errors import (
    BackendNotSetUpError,
    BackendReadOnlyError,
    BackendUnavailableError,
    LayoutError,
    SessionNotFoundError,
)
from agnocli.layout import filter as listing
from agnocli.layout import legacy
from agnocli.layout.derive import session_info
from agnocli.layout.names import Tables
from agnocli.layout.portable import fits
from agnocli.records import (
    RUN_COLUMNS,
    SESSION_COLUMNS,
    Document,
    Run,
    Session,
    SessionBundle,
    SessionInfo,
)

Result = TypeVar("Result")


class SQLStore:
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
        self._dialect, self._tables, self._address = dialect, tables, address
        self._read_only = read_only
        self._connections = Connections(dialect, address, open_reader, open_writer)
        self._found: Statements | None = None
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def connect(self) -> None:
        with self._connections.reading():
            pass  # it goes to the pool

    def close(self) -> None:
        self._connections.close()

    # what is there

    def _statements(self, cursor: DBCursor) -> Statements:
        """SQL for the tables as they are now; looked up again until both are there."""
        if self._found is None or not self._found.has_runs:
            self._found = self._look(cursor)
        return self._found

    def _look(self, cursor: DBCursor) -> Statements:
        sessions = self._dialect.table_columns(cursor, self._tables.sessions)
        runs = self._dialect.table_columns(cursor, self._tables.runs)
        if not sessions:
            self._explain_absence(cursor)
        self._check_columns(sessions, runs)
        return Statements(self._dialect, self._tables, sessions, runs, self._limits(cursor))

    def _check_columns(self, sessions: Sequence[str], runs: Sequence[str]) -> None:
        """LayoutError for a table that is there and is Agno 1's or another program's."""
        if legacy.is_agno_1(sessions):
            raise legacy.agno_1(self._address, [f"table {self._tables.sessions!r}"])
        for table, found, wanted in (
            (self._tables.sessions, sessions, SESSION_COLUMNS),
            (self._tables.runs, runs, RUN_COLUMNS),
        ):
            if found and (missing := [one for one in wanted if one not in found]):
                raise LayoutError(
                    f"{self._address}: table {table!r} is not Agno 2's or 3's: it has no column {missing[0]!r}",
                    hint="choose another table with session_table",
                )

    def _explain_absence(self, cursor: DBCursor) -> None:
        others = self._dialect.table_names(cursor)
        if not others:
            raise self._nothing_there()
        if old := rows.agno_1_tables(cursor, self._dialect, others):
            named = [f"table {one!r}" for one in old]
            raise legacy.agno_1(self._address, named, hint=legacy.MIGRATE + legacy.BESIDE)
        raise LayoutError(
            f"{self._address} has no table {self._tables.sessions!r}; it has {', '.join(others[:5])}",
            hint="is it another program's? name the right table with session_table, or make Agno's tables there: agno backends init",
        )

    def _nothing_there(self) -> BackendNotSetUpError:
        return BackendNotSetUpError(
            f"nothing has been stored at {self._address} yet",
            hint="the first `agno chat` makes it; `agno backends list` shows where else to look",
        )

    def setup(self) -> None:
        columns = self._dialect.table_columns
        with self._writing(create=True) as cursor:
            self._check_columns(
                columns(cursor, self._tables.sessions), columns(cursor, self._tables.runs)
            )
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
                yield cursor
        except BaseException:
            self._found = None  # tables made in this transaction are gone again
            raise

    def _edit(self, action: Callable[[DBCursor], Result]) -> Result:
        """A transaction that is done once again when the database itself undid it."""
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
        with self._connections.reading() as cursor:
            if last is None:
                table = rows.stream_runs(cursor, found, session_id)
                yield from legacy.merge(blob, table) if blob else table
            elif blob:
                table = rows.stream_runs(cursor, found, session_id)
                yield from list(legacy.merge(blob, table))[-last:]
            else:
                yield from rows.newest_runs(cursor, found, session_id, last)

    def scan(self, *, after: Cursor | None = None) -> Iterator[tuple[Cursor, SessionBundle]]:
        while ids := self._ids_after(after):
            for session_id in ids:
                after = Cursor(session_id)
                try:
                    session, runs = self.get(session_id), self.runs(session_id)
                except SessionNotFoundError:  # deleted since its id was read
                    continue
                yield after, SessionBundle(session, runs)

    def _ids_after(self, after: Cursor | None) -> list[str]:
        with self._connections.reading() as cursor:
            return rows.session_ids(cursor, self._statements(cursor), after)

    def find(self, query: SessionQuery) -> Page:
        after = None if query.after is None else listing.decode_cursor(query.after)
        decoding = listing.needs_decoding(query) or query.status is not None
        limit = None if decoding or query.limit is None else query.skip + query.limit + 1
        with self._connections.reading() as cursor:
            found = self._statements(cursor)
            if not all(fits(text, found.can) for text in _texts(query)):
                return Page(())  # no row can hold what is asked for
            if limit is not None:
                return self._short_page(cursor, found, query, found.listing(query, after, limit))
            with closing(rows.stream(cursor, found, [found.listing(query, after, None)])) as table:
                infos = self._infos(table, found, with_status=query.status is not None)
                page = listing.page(infos, query, total=None)
        with self._connections.reading() as cursor:
            items = tuple(self._counted(cursor, found, page.items))
            total = None if decoding else self._total(cursor, found, query, page)
            return Page(items, page.next, total)

    def _short_page(
        self, cursor: DBCursor, found: Statements, query: SessionQuery, statement: Statement
    ) -> Page:
        """Of few rows, taken whole: a result left half-read may cost its connection."""
        cursor.execute(*statement)
        infos = self._infos(cursor.fetchall(), found, with_status=False)
        page = listing.page(infos, query, total=None)
        items = tuple(self._counted(cursor, found, page.items))
        return Page(items, page.next, self._total(cursor, found, query, page))

    def _total(
        self, cursor: DBCursor, found: Statements, query: SessionQuery, page: Page
    ) -> int | None:
        """Counting may read all rows, so it is done once for a listing: on its first page, if that is not all."""
        if query.after is not None:
            return None
        if page.next is None and not query.skip:
            return len(page.items)
        return int(_single(cursor, *found.total(query)))

    def _infos(
        self, table: Iterable[Any], found: Statements, *, with_status: bool
    ) -> Iterator[SessionInfo]:
        sessions = (rows.to_session(row, found) for row in table)
        infos = (session_info(one, runs=0, status=None) for one in sessions)
        if not with_status:
            yield from infos
            return
        with self._connections.reading() as cursor:
            while chunk := tuple(islice(infos, self._dialect.max_parameters)):
                yield from self._counted(cursor, found, chunk)

    def _counted(
        self, cursor: DBCursor, found: Statements, infos: Sequence[SessionInfo]
    ) -> Iterator[SessionInfo]:
        """Listing rows with their number of runs and last status; run bodies stay unread, but for Agno 2's."""
        size = self._dialect.max_parameters
        for start in range(0, len(infos), size):
            chunk = infos[start : start + size]
            facts = rows.run_facts(cursor, found, [one.session_id for one in chunk])
            for info in chunk:
                runs, status = facts.get(info.session_id, (0, None))
                yield msgspec.structs.replace(info, runs=runs, status=status)

    def inspect(self) -> BackendReport:
        with self._connections.reading() as cursor:
            found = self._statements(cursor)
            return rows.report(cursor, found, self._address)

    # writing

    def write(
        self, bundles: Iterable[SessionBundle], policy: ConflictPolicy = ConflictPolicy.ERROR
    ) -> WriteResult:
        done: dict[str, list[str]] = {"written": [], "identical": [], "skipped": [], "replaced": []}
        with self._writing(create=True) as cursor:
            for bundle in bundles:
                found = self._ready(cursor)
                outcome = writing.write_bundle(cursor, found, bundle, policy)
                done[outcome].append(bundle.session.session_id)
        return WriteResult(**{outcome: tuple(ids) for outcome, ids in done.items()})

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

    def probe(self) -> None:
        with self._connections.reading() as cursor:
            self._statements(cursor)
        session = Session(session_id=f"agnocli-probe-{time.time_ns()}", created_at=now())
        with suppress(_ProbeDone), self._writing() as cursor:
            writing.insert_session(cursor, self._statements(cursor), session)
            raise _ProbeDone  # roll back: nothing of it is ever visible


class _ProbeDone(Exception):
    """Ends a transaction that must not be kept."""


def now() -> int:
    return int(time.time())


def _texts(query: SessionQuery) -> list[str]:
    """What is compared with columns."""
    wanted = (query.user_id, query.agent_id, query.team_id, query.session_type, query.id_prefix)
    return [text for text in wanted if text is not None]


def _single(cursor: DBCursor, sql: str, bound: Sequence[Any]) -> Any:
    cursor.execute(sql, bound)
    return cursor.fetchone()[0]
