"""Sessions by the many, in few statements, and never more than a few megabytes at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from itertools import islice
from typing import Any

from agnocli.abc import HELD_BYTES, Wanted
from agnocli.db.sql import rows
from agnocli.db.sql.dialect import DBCursor, Dialect, FetchWithin, Statement, Weigh
from agnocli.db.sql.statements import Statements
from agnocli.errors import CodecError
from agnocli.layout import legacy
from agnocli.records import RUN_COLUMNS, Document, Run, Session, SessionBundle

SESSION_BYTES = 4 * 2**20
"""Of whole sessions that are read at once, unless one is larger."""
RUN_BYTES = 2**18
"""Of a long session's runs that are read at once, unless one is larger."""

FIRST, TRIED_BYTES = 2, 2 * 2**20
"""Sessions that are read before it is known how large they are, and bytes that are read so."""
_RUN_DATA = RUN_COLUMNS.index("run_data")

Fetch = Callable[[DBCursor, Weigh], list[Any]]
Moment = Callable[[], AbstractContextManager[object]]
"""Around statements that are to see the same rows."""
Sizes = Mapping[str, tuple[int, int]]
"""Bytes of a session's own documents and of its runs', by id."""


@contextmanager
def moment(cursor: DBCursor, dialect: Dialect) -> Iterator[None]:
    for statement in dialect.begin_read:
        cursor.execute(statement)
    try:
        yield
    except BaseException:
        with suppress(*dialect.errors):  # the first error tells
            cursor.execute("ROLLBACK")
        raise
    cursor.execute("ROLLBACK")


def wanted_ids(
    cursor: DBCursor, found: Statements, after: str | None, wanted: Wanted | None
) -> Iterator[list[str]]:
    """Ids in the order of a scan, chunk by chunk."""
    while ids := rows.session_ids(cursor, found, after):
        after = ids[-1]
        yield ids if wanted is None else [one for one in ids if wanted(one)]


def chunks(ids: Iterable[str], found: Statements) -> Iterator[list[str]]:
    left = iter(ids)
    while chunk := list(islice(left, found.dialect.max_parameters)):
        yield chunk


def bundles(
    cursor: DBCursor, found: Statements, chunks: Iterable[list[str]], each: Moment
) -> Iterator[SessionBundle]:
    """Those of these sessions that are there, in the order of their ids.

    `each` is around what is read together; no statement is half-done outside of it.
    """
    for ids in chunks:
        left = ids
        if (fetch := found.dialect.fetch_within) is not None:
            left = yield from _tried(cursor, found, ids, each, fetch)
        if left:
            yield from _measured(cursor, found, left, each)


def _tried(
    cursor: DBCursor, found: Statements, ids: list[str], each: Moment, fetch: FetchWithin
) -> Generator[SessionBundle, None, list[str]]:
    """Returns those that are left, from where some are too large to be read together."""
    done, number = 0, FIRST
    while some := ids[done : done + number]:
        within = _Within(fetch)
        try:
            with each():
                together = _whole(cursor, found, some, each, within)
        except _TooMuchError:
            break
        yield from together
        done += len(some)
        fit = TRIED_BYTES // 2 * len(some) // max(within.weight, 1)
        number = max(1, min(fit, 4 * number))
    return ids[done:]


class _TooMuchError(Exception):
    """More than is to be read without being measured."""


class _Within:
    """Fetches up to TRIED_BYTES. `weight` is that of all it has fetched."""

    def __init__(self, fetch: FetchWithin) -> None:
        self._fetch, self.weight = fetch, 0

    def __call__(self, cursor: DBCursor, weigh: Weigh) -> list[Any]:
        found = self._fetch(cursor, weigh, TRIED_BYTES - self.weight)
        if found is None:
            raise _TooMuchError
        self.weight += sum(map(weigh, found))
        return found


def _measured(
    cursor: DBCursor, found: Statements, ids: Sequence[str], each: Moment
) -> Iterator[SessionBundle]:
    """As many at once as fit, by sizes that are asked for first."""
    with each():
        sizes = _sizes(cursor, found, ids)
    for group in _groups(sizes):
        with each():
            if sizes[group[0]][1] > HELD_BYTES:
                together = _long(cursor, found, group, each)
            else:
                together = _whole(cursor, found, group, each, _fetch_all)
        yield from together


def _fetch_all(cursor: DBCursor, weigh: Weigh) -> list[Any]:
    return cursor.fetchall()


def _sizes(cursor: DBCursor, found: Statements, ids: Sequence[str]) -> Sizes:
    """Of those that are there, in the order of the ids."""
    cursor.execute(found.session_sizes(len(ids)), ids)
    own = {one: (int(size), int(blob)) for one, size, blob in cursor.fetchall()}
    table: dict[str, int] = {}
    if found.has_runs:
        cursor.execute(found.run_sizes(len(ids)), ids)
        table = {one: int(size) for one, size in cursor.fetchall()}
    return {one: (own[one][0], own[one][1] + table.get(one, 0)) for one in ids if one in own}


def _groups(sizes: Sizes) -> Iterator[list[str]]:
    """Whoever has runs of more than HELD_BYTES is alone."""
    group: list[str] = []
    weight = 0
    for session_id, (own, runs) in sizes.items():
        if group and weight + own + runs > SESSION_BYTES:
            yield group
            group, weight = [], 0
        group.append(session_id)
        weight += own + runs
    if group:
        yield group


def _long(
    cursor: DBCursor, found: Statements, ids: Sequence[str], each: Moment
) -> list[SessionBundle]:
    cursor.execute(found.sessions_of(len(ids), with_blob=False), ids)
    sessions = [rows.to_session(row, found) for row in cursor.fetchall()]
    return [SessionBundle(one, all_runs(cursor, found, one, each)) for one in sessions]


def _whole(
    cursor: DBCursor, found: Statements, ids: Sequence[str], each: Moment, fetch: Fetch
) -> list[SessionBundle]:
    cursor.execute(found.sessions_of(len(ids), with_blob=found.has_blob), ids)
    fetched = fetch(cursor, _weight_of_session)
    there = {session.session_id: (session, blob) for session, blob in _with_blobs(fetched, found)}
    table = _runs(cursor, found, ids, fetch)
    together = []
    for session, blob in (there[one] for one in ids if one in there):
        try:
            old = list(legacy.blob_runs(blob, session))
        except CodecError:  # it is raised to who reads the runs
            together.append(SessionBundle(session, all_runs(cursor, found, session, each)))
            continue
        new = table[session.session_id]
        together.append(SessionBundle(session, tuple(legacy.merge(old, new) if old else new)))
    return together


def _with_blobs(fetched: list[Any], found: Statements) -> Iterator[tuple[Session, Document | None]]:
    for row in fetched:
        blob = rows.document(row[-1]) if found.has_blob else None
        yield rows.to_session(row, found), blob


def _runs(
    cursor: DBCursor, found: Statements, ids: Sequence[str], fetch: Fetch
) -> Mapping[str, list[Run]]:
    """Rows of the runs table by session, oldest first."""
    table: dict[str, list[Run]] = defaultdict(list)
    if not found.has_runs:
        return table
    cursor.execute(found.runs_of(len(ids)), ids)
    for row in fetch(cursor, _weight_of_run):
        run = rows.to_run(row, found)
        table[run.session_id].append(run)
    if not table.keys() <= {*ids}:  # a collation that takes other ids for these
        return {one: list(stream_runs(cursor, found, one)) for one in ids}
    for runs in table.values():
        runs.sort(key=_place)
    return table


def _weight_of_session(row: Sequence[Any]) -> int:
    """With Agno 2's runs."""
    return sum(len(one) for one in row if isinstance(one, bytes))


def _weight_of_run(row: Sequence[Any]) -> int:
    return len(row[_RUN_DATA] or b"")


def _place(run: Run) -> tuple[bool, int, int, str]:
    return run.run_index is not None, run.run_index or 0, run.created_at, run.run_id


def all_runs(
    cursor: DBCursor, found: Statements, session: Session, each: Moment = nullcontext
) -> Iterator[Run]:
    """What Agno 2 left in the session row, merged with the rows of the runs table; oldest first."""
    with each():
        blob = rows.read_blob(cursor, found, session)
    table = stream_runs(cursor, found, session.session_id, each)
    yield from legacy.merge(blob, table) if blob else table


def stream_runs(
    cursor: DBCursor, found: Statements, session_id: str, each: Moment = nullcontext
) -> Iterator[Run]:
    """Rows of the runs table, oldest first."""
    if found.has_runs:
        yield from _streamed(cursor, found, found.run_places(session_id), each)


def orphans(cursor: DBCursor, found: Statements, each: Moment) -> Iterator[Run]:
    if found.has_runs:
        yield from _streamed(cursor, found, found.orphan_places(), each)


def _streamed(
    cursor: DBCursor, found: Statements, places: Statement, each: Moment
) -> Iterator[Run]:
    """Runs by way of their ids: so the database sorts no bodies, and nothing is left half-read while the reader takes
    its time."""
    with each():
        groups = list(_groups_of(cursor, found, places))
    for ids in groups:
        with each():
            cursor.execute(found.runs_called(len(ids)), ids)
            called = {run.run_id: run for run in (rows.to_run(r, found) for r in cursor.fetchall())}
        yield from (called[one] for one in ids if one in called)


def _groups_of(cursor: DBCursor, found: Statements, statement: Statement) -> Iterator[list[str]]:
    group: list[str] = []
    weight = 0
    with closing(rows.stream(cursor, found, [statement])) as places:
        for run_id, size in places:
            full = len(group) == found.dialect.max_parameters or weight + size > RUN_BYTES
            if group and full:
                yield group
                group, weight = [], 0
            group.append(run_id)
            weight += size
    if group:
        yield group
