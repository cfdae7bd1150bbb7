"""Sessions as they come into a store: new ones by the many, those that are there already by what is to win."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from agnocli.abc import ConflictPolicy
from agnocli.db.sql import reading, rows, writing
from agnocli.db.sql.dialect import DBCursor
from agnocli.db.sql.inserting import PART_BYTES, insert_runs, insert_sessions
from agnocli.db.sql.statements import Statements
from agnocli.layout import conflict
from agnocli.layout.compare import BundleDigest
from agnocli.layout.portable import fits
from agnocli.layout.weight import session_bytes
from agnocli.records import Run, Session, SessionBundle

CHUNK_SESSIONS, CHUNK_BYTES = 1000, 8 * 2**20
SMALL_RUN = 2048
"""Bytes. To make an index reads the whole table, which costs more than it saves where documents are larger."""


def chunks(bundles: Iterable[SessionBundle]) -> Iterator[list[SessionBundle]]:
    """Of some megabytes, runs in tuples; a session of more is alone, its runs still to be read."""
    chunk: list[SessionBundle] = []
    weight = 0
    for session, runs in bundles:
        taken, rest = _taken(runs)
        if rest is not None:
            if chunk:
                yield chunk
                chunk, weight = [], 0
            yield [SessionBundle(session, chain(taken, rest))]
            continue
        chunk.append(SessionBundle(session, taken))
        weight += session_bytes(session) + sum([len(run.run_data) for run in taken])
        if weight >= CHUNK_BYTES or len(chunk) == CHUNK_SESSIONS:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk


def _taken(runs: Iterable[Run]) -> tuple[tuple[Run, ...], Iterator[Run] | None]:
    """What is held of them, and the rest when that is not all."""
    if isinstance(runs, tuple):
        return runs, None
    left, taken, weight = iter(runs), list[Run](), 0
    for run in left:
        taken.append(run)
        weight += len(run.run_data)
        if weight >= PART_BYTES:
            return tuple(taken), left
    return tuple(taken), None


def is_of_small_runs(chunk: Sequence[SessionBundle]) -> bool:
    sizes = [len(run.run_data) for _, runs in chunk if isinstance(runs, tuple) for run in runs]
    return bool(sizes) and sum(sizes) <= SMALL_RUN * len(sizes)


def store(
    cursor: DBCursor, found: Statements, chunk: Sequence[SessionBundle], policy: ConflictPolicy
) -> Iterator[tuple[str, str]]:
    """(the field of WriteResult that tells what became of it, session id), in order."""
    new = _new(cursor, found, chunk)
    insert_sessions(cursor, found, [session for session, _ in new.values()])
    insert_runs(cursor, found, chain.from_iterable(runs for _, runs in new.values()))
    for bundle in chunk:
        session_id = bundle.session.session_id
        written = new.get(session_id) is bundle
        yield "written" if written else _meet(cursor, found, bundle, policy), session_id


def _new(
    cursor: DBCursor, found: Statements, chunk: Sequence[SessionBundle]
) -> Mapping[str, SessionBundle]:
    """Those that are not there, by id; none when the table takes a stored id for another one of them."""
    ids = [session.session_id for session, _ in chunk if fits(session.session_id, found.can)]
    stored: set[str] = set()
    for some in reading.chunks(dict.fromkeys(ids), found):
        cursor.execute(found.stored_ids(len(some)), some)
        stored.update(one for (one,) in cursor.fetchall())
    if not stored <= {*ids}:
        return {}
    new: dict[str, SessionBundle] = {}
    for bundle in chunk:
        if bundle.session.session_id not in stored:
            new.setdefault(bundle.session.session_id, bundle)
    return new


def _meet(
    cursor: DBCursor, found: Statements, bundle: SessionBundle, policy: ConflictPolicy
) -> str:
    session, runs = bundle
    stored = rows.stored_session(cursor, found, session.session_id)
    if stored is None:
        _insert(cursor, found, session, runs)
        return "written"
    policy = conflict.settled(policy, session, stored)
    incoming, there = BundleDigest(session), BundleDigest(stored)
    alike = incoming.hexdigest() == there.hexdigest()
    if policy is ConflictPolicy.REPLACE and not (alike and isinstance(runs, tuple)):
        before = there.drain(reading.all_runs(cursor, found, stored)) if alike else None
        writing.delete(cursor, found, session.session_id)
        _insert(cursor, found, session, incoming.watch(runs) if alike else runs)
        return "identical" if incoming.hexdigest() == before else "replaced"
    same = alike and incoming.drain(runs) == there.drain(reading.all_runs(cursor, found, stored))
    if same or policy is not ConflictPolicy.REPLACE:
        return conflict.kept(session.session_id, policy, same=same)
    writing.delete(cursor, found, session.session_id)
    _insert(cursor, found, session, runs)
    return "replaced"


def _insert(cursor: DBCursor, found: Statements, session: Session, runs: Iterable[Run]) -> None:
    insert_sessions(cursor, found, [session])
    insert_runs(cursor, found, runs)
