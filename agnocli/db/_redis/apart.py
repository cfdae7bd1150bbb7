"""Writing to a cluster, where each session is put in its place by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from agnocli.abc import Capabilities, ConflictPolicy, WriteResult
from agnocli.db._redis import rows
from agnocli.db._redis.changes import Changes, commit
from agnocli.db._redis.editing import Editor, forget_runs
from agnocli.db._redis.keys import check_id
from agnocli.db._redis.reading import Reader, text_of
from agnocli.errors import BackendError, SessionConflictError
from agnocli.layout import conflict
from agnocli.layout.compare import BundleDigest, without_nulls
from agnocli.layout.portable import reject_unholdable
from agnocli.records import Run, Session, SessionBundle

CHUNK = 100


class BatchApart:
    """One call of `write` to a cluster: each session whole or absent."""

    def __init__(self, reader: Reader, editor: Editor, expire: int | None, can: Capabilities):
        self._reader, self._editor, self._expire, self._can = reader, editor, expire, can
        self._server, self._keys = reader.server, reader.keys

    def write(self, bundles: Iterable[SessionBundle], policy: ConflictPolicy) -> WriteResult:
        outcomes: dict[str, list[str]] = {}
        for session, runs in bundles:
            check_id(session)
            reject_unholdable(session, self._can)
            outcome = self._put(without_nulls(session), runs, policy)
            outcomes.setdefault(outcome, []).append(session.session_id)
        return WriteResult(**{name: tuple(ids) for name, ids in outcomes.items()})

    def _put(self, session: Session, runs: Iterable[Run], policy: ConflictPolicy) -> str:
        """Returns what became of it, as the field of WriteResult."""
        with self._editor.locked([session.session_id]):
            (text,) = self._server.read(("GET", self._keys.session(session.session_id)))
            if text is None:
                self._put_new(session, runs)
                return "written"
            stored, members = self._reader.parse(session.session_id, text)
            policy = conflict.settled(policy, session, stored)
            incoming, there = BundleDigest(session), BundleDigest(stored)
            held = list(incoming.watch(runs))
            same = there.drain(self._reader.runs(stored, members)) == incoming.hexdigest()
            if same or policy is not ConflictPolicy.REPLACE:
                return conflict.kept(session.session_id, policy, same=same)
            changes = self._whole(session, self._checked(session, held), text)
            failed = commit(self._server, changes, self._expire)
        if failed is not None:
            raise _taken(session, text_of(failed))
        return "replaced"

    def _put_new(self, session: Session, runs: Iterable[Run]) -> None:
        """Runs first: nobody sees them before the session's record is there."""
        self._forget(session)
        runs = iter(runs)
        try:
            while some := list(islice(self._checked(session, runs), CHUNK)):
                self._put_rows(session, some)
            changes = self._whole(session, (), None)
            if commit(self._server, changes, self._expire) is not None:
                raise _taken(session, session.session_id)
        except BaseException:
            with suppress(BackendError):  # without a record of their session they count for nothing
                self._forget(session)
            raise

    def _put_rows(self, session: Session, runs: list[Run]) -> None:
        life = () if self._expire is None else ("EX", self._expire)
        asked = [
            ("SET", self._keys.run(run.run_id), rows.run_text(run), "NX", *life) for run in runs
        ]
        stored = self._server.write(*asked)
        changes = Changes(self._keys)
        for run, is_new in zip(runs, stored, strict=True):
            if is_new:
                self._list(changes, session, run)
        commit(self._server, changes, self._expire)
        for run, is_new in zip(runs, stored, strict=True):
            if not is_new:
                raise _taken(session, run.run_id)

    def _list(self, changes: Changes, session: Session, run: Run) -> None:
        order = self._keys.runs_of(session.session_id)
        changes.rank(order, run.run_id, run.run_index or 0)
        changes.list_in(self._keys.run_indexes(run), run.run_id)
        if run.expires_at is not None:
            changes.end(self._keys.run(run.run_id), run.expires_at)

    def _forget(self, session: Session) -> None:
        changes = Changes(self._keys)
        forget_runs(self._reader, changes, session.session_id)
        commit(self._server, changes, self._expire)

    def _whole(self, session: Session, runs: Iterable[Run], stored: bytes | None) -> Changes:
        changes, key = Changes(self._keys), self._keys.session(session.session_id)
        if stored is None:
            changes.absent(key)
        else:
            changes.same(key, stored)
            old, _ = self._reader.parse(session.session_id, stored)
            changes.unlist_from(self._keys.session_traces(old), session.session_id)
            forget_runs(self._reader, changes, session.session_id)
        for run in runs:
            changes.free(run.run_id, session.session_id)
            changes.set(self._keys.run(run.run_id), rows.run_text(run))
            self._list(changes, session, run)
        changes.set(key, rows.session_text(session))
        changes.list_in(self._keys.session_indexes(session), session.session_id)
        for one in (key, self._keys.runs_of(session.session_id)):
            changes.end(one, session.expires_at)
        return changes

    def _checked(self, session: Session, runs: Iterable[Run]) -> Iterator[Run]:
        seen: set[str] = set()
        for run in runs:
            check_id(run)
            reject_unholdable(run, self._can)
            if run.run_id in seen:
                raise _taken(session, run.run_id)
            seen.add(run.run_id)
            yield run


def _taken(session: Session, name: str) -> SessionConflictError:
    return SessionConflictError(
        session.session_id, f"cannot be stored: {name!r} is stored already", hint="try again"
    )
