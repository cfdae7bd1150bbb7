"""The reference backend: what the contract means, in dicts under one lock. Gone when the process ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from agnocli.abc import (
    HELD_BYTES,
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
from agnocli.errors import (
    BackendReadOnlyError,
    RecordRejectedError,
    RunNotFoundError,
    SessionConflictError,
    SessionNotFoundError,
    UsageError,
)
from agnocli.layout import conflict, filter
from agnocli.layout.compare import BundleDigest
from agnocli.layout.derive import session_info
from agnocli.records import SESSION_COLUMNS, Document, Run, Session, SessionBundle, SessionInfo

_CHANGEABLE = frozenset(SESSION_COLUMNS) - {"session_id"}


def open_backend(options: Mapping[str, object], *, name: str, read_only: bool = False) -> Backend:
    return MemoryDb(**checked(options, {}, name), read_only=read_only)


class MemoryDb(Closing):
    address = "memory://"
    capabilities = Capabilities(durable=False, needs_setup=False, keeps_expiry=True)

    def __init__(self, *, read_only: bool = False) -> None:
        self._read_only = read_only
        self._lock = threading.RLock()
        self._rows = _Rows()

    def connect(self) -> None:
        pass

    def setup(self) -> None:
        self._check_writable()

    def get(self, session_id: str) -> Session:
        with self._lock:
            return self._rows.session(session_id)

    def runs(self, session_id: str, *, last: int | None = None) -> Iterator[Run]:
        with self._lock:
            found = self._rows.ordered(session_id)
        return iter(found if last is None else found[max(0, len(found) - last) :])

    def scan(
        self, *, after: Cursor | None = None, wanted: Wanted | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        with self._lock:
            rows = self._rows.copy()
        for session_id in sorted(rows.sessions):
            if (after is None or session_id > after) and (wanted is None or wanted(session_id)):
                yield Cursor(session_id), rows.bundle(session_id)

    def ids(self) -> Iterator[str]:
        with self._lock:
            return iter(sorted(self._rows.sessions))

    def read(self, session_ids: Sequence[str]) -> Iterator[SessionBundle]:
        with self._lock:
            there = [one for one in dict.fromkeys(session_ids) if one in self._rows.sessions]
            return iter([self._rows.bundle(session_id) for session_id in there])

    def find(self, query: SessionQuery) -> Page:
        with self._lock:
            infos = [self._rows.info(session_id) for session_id in self._rows.sessions]
        total = sum(filter.matches(info, query) for info in infos)
        return filter.page(filter.in_order(infos, query), query, total=total)

    def write(
        self, bundles: Iterable[SessionBundle], policy: ConflictPolicy = ConflictPolicy.ERROR
    ) -> WriteResult:
        self._check_writable()
        read = [(session, tuple(runs)) for session, runs in bundles]
        outcome: dict[str, list[str]] = {}
        with self._lock:
            rows = self._rows.copy()
            for session, runs in read:
                fate = rows.store(session, runs, policy)
                outcome.setdefault(fate, []).append(session.session_id)
            self._rows = rows
        return WriteResult(**{fate: tuple(ids) for fate, ids in outcome.items()})

    def append_run(self, run: Run) -> Run:
        self._check_writable()
        with self._lock:
            session = self._rows.session(run.session_id)
            indexes = [one.run_index for one in self._rows.runs[run.session_id].values()]
            last = max((index for index in indexes if index is not None), default=-1)
            stored = replace(run, run_index=max(last + 1, len(indexes)))
            self._rows.add_run(stored)
            self._rows.sessions[run.session_id] = replace(session, updated_at=_now())
            return stored

    def put_run(self, run: Run) -> None:
        self._check_writable()
        with self._lock:
            runs = self._rows.runs.get(run.session_id, {})
            if run.run_id not in runs:
                raise RunNotFoundError(run.session_id, run.run_id)
            old = runs[run.run_id]
            runs[run.run_id] = replace(
                run,
                run_index=old.run_index,
                created_at=old.created_at,
                extra={**old.extra, **run.extra},
            )

    def update(
        self,
        session_id: str,
        changes: Mapping[str, Document | str | int | None],
        expected: Mapping[str, Document | str | int | None] | None = None,
    ) -> Session:
        self._check_writable()
        _check_columns([*changes, *(expected or {})])
        with self._lock:
            session = self._rows.session(session_id)
            for column, value in (expected or {}).items():
                if getattr(session, column) != value:
                    raise SessionConflictError(
                        session_id, f"has another {column} than expected", hint="read it again"
                    )
            changed = replace(session, **{"updated_at": _now(), **changes})
            self._rows.sessions[session_id] = changed
            return changed

    def delete(self, session_ids: Sequence[str]) -> int:
        self._check_writable()
        with self._lock:
            gone = {self._rows.session(session_id).session_id for session_id in session_ids}
            for session_id in gone:
                self._rows.drop(session_id)
            return len(gone)

    def delete_runs(self, session_id: str, run_ids: Sequence[str]) -> int:
        self._check_writable()
        with self._lock:
            ordered, gone = self._rows.ordered(session_id), set(run_ids)
            for run_id in run_ids:
                if run_id not in self._rows.runs[session_id]:
                    raise RunNotFoundError(session_id, run_id)
            session = self._rows.drop(session_id)
            kept = (run for run in ordered if run.run_id not in gone)
            renumbered = (replace(run, run_index=index) for index, run in enumerate(kept))
            self._rows.add(replace(session, updated_at=_now()), renumbered)
            return len(gone)

    def orphans(self) -> Iterator[Run]:
        """A run is kept with its session, so there are none."""
        return iter(())

    def adopt(self, session: Session, run_ids: Sequence[str]) -> None:
        self._check_writable()
        for run_id in run_ids:
            raise RunNotFoundError(session.session_id, run_id)

    def delete_orphans(self, run_ids: Sequence[str]) -> int:
        self._check_writable()
        return 0

    def inspect(self) -> BackendReport:
        with self._lock:
            sessions, runs = len(self._rows.sessions), len(self._rows.owners)
        layout = "v3" if sessions else "empty"
        return BackendReport(address=self.address, layout=layout, sessions=sessions, runs=runs)

    def probe(self) -> None:
        self._check_writable()

    def close(self) -> None:
        """Nothing to release: what was written stays as long as this object."""

    def _check_writable(self) -> None:
        if self._read_only:
            raise BackendReadOnlyError(
                f"{self.address} is opened read-only", hint="open it without read_only to write"
            )


class _Rows:
    """The tables: sessions by id, runs by session and id, and each run id's session."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.runs: dict[str, dict[str, Run]] = {}
        self.owners: dict[str, str] = {}

    def copy(self) -> _Rows:
        other = _Rows()
        other.sessions, other.owners = dict(self.sessions), dict(self.owners)
        other.runs = {session_id: dict(runs) for session_id, runs in self.runs.items()}
        return other

    def session(self, session_id: str) -> Session:
        if session_id not in self.sessions:
            raise SessionNotFoundError(session_id)
        return self.sessions[session_id]

    def ordered(self, session_id: str) -> list[Run]:
        self.session(session_id)
        return sorted(self.runs[session_id].values(), key=_run_order)

    def bundle(self, session_id: str) -> SessionBundle:
        runs = self.ordered(session_id)
        held = sum(len(run.run_data) for run in runs) <= HELD_BYTES
        return SessionBundle(self.sessions[session_id], tuple(runs) if held else iter(runs))

    def info(self, session_id: str) -> SessionInfo:
        runs = self.runs[session_id].values()
        status = max(runs, key=_run_order).status if runs else None
        return session_info(self.sessions[session_id], runs=len(runs), status=status)

    def store(self, session: Session, runs: Sequence[Run], policy: ConflictPolicy) -> str:
        """Returns the field of WriteResult that tells what became of it."""
        stored = self.sessions.get(session.session_id)
        if stored is None:
            self.add(session, runs)
            return "written"
        policy = conflict.settled(policy, session, stored)
        there = BundleDigest(stored).drain(self.ordered(session.session_id))
        same = there == BundleDigest(session).drain(runs)
        if same or policy is not ConflictPolicy.REPLACE:
            return conflict.kept(session.session_id, policy, same=same)
        self.drop(session.session_id)
        self.add(session, runs)
        return "replaced"

    def add(self, session: Session, runs: Iterable[Run]) -> None:
        _check_id(session.session_id, session.session_id, "session_id")
        self.sessions[session.session_id] = session
        self.runs[session.session_id] = {}
        for run in runs:
            self.add_run(run)

    def add_run(self, run: Run) -> None:
        _check_id(run.session_id, run.run_id, "run_id")
        if run.run_id in self.owners:
            raise SessionConflictError(run.session_id, f"cannot hold a second run {run.run_id!r}")
        self.owners[run.run_id] = run.session_id
        self.runs[run.session_id][run.run_id] = run

    def drop(self, session_id: str) -> Session:
        for run_id in self.runs.pop(session_id):
            del self.owners[run_id]
        return self.sessions.pop(session_id)


def _run_order(run: Run) -> tuple[int, int, str]:
    return -1 if run.run_index is None else run.run_index, run.created_at, run.run_id


def _check_id(session_id: str, value: str, column: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RecordRejectedError(session_id, column, "is not Unicode text") from error


def _check_columns(columns: Iterable[str]) -> None:
    for column in columns:
        if column not in _CHANGEABLE:
            raise UsageError(
                f"a session's {column!r} cannot be changed",
                hint=f"what can be: {', '.join(sorted(_CHANGEABLE))}",
            )


def _now() -> int:
    return int(time.time())
