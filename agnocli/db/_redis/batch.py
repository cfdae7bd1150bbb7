"""Writing many sessions at once.

A server is first given everything under names that nobody reads and that go by themselves, and then told to move it
to its place in one step: all of a batch appears or nothing, however big it is. A cluster cannot: there each session
is put in its place by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from secrets import token_hex

from agnocli.abc import Capabilities, ConflictPolicy, WriteResult
from agnocli.db._redis import rows
from agnocli.db._redis.changes import Changes, commit
from agnocli.db._redis.editing import Editor, forget_runs
from agnocli.db._redis.keys import check_id
from agnocli.db._redis.reading import Reader, text_of
from agnocli.db._redis.server import Command
from agnocli.errors import BackendError, SessionConflictError
from agnocli.layout.compare import BundleDigest
from agnocli.layout.portable import reject_unholdable
from agnocli.records import Run, Session, SessionBundle

STAGED_SECONDS = 3600
"""What a batch left behind that was killed is gone after this time."""

FLUSH_BYTES, FLUSH_COMMANDS, CHUNK = 500_000, 2000, 100


class Batch:
    """One call of `write`; use it as a context, which cleans up."""

    def __init__(self, reader: Reader, editor: Editor, expire: int | None, can: Capabilities):
        self._reader, self._editor, self._expire, self._can = reader, editor, expire, can
        self._server, self._keys = reader.server, reader.keys
        self._stage = self._keys.stage(token_hex(8))
        self._lists: dict[int, None] = {}
        self._digests: dict[str, tuple[str, int]] = {}
        self._outcomes: dict[str, list[str]] = {}

    def write(self, bundles: Iterable[SessionBundle], policy: ConflictPolicy) -> WriteResult:
        put = self._put_apart if self._server.is_cluster else self._put
        try:
            for number, (session, runs) in enumerate(bundles):
                check_id(session)
                reject_unholdable(session, self._can)
                outcome = put(number, rows.without_nulls(session), runs, policy)
                self._outcomes.setdefault(outcome, []).append(session.session_id)
            self._commit()
        except BaseException:
            with suppress(BackendError):  # what cannot be taken back now goes by itself
                self._discard_all()
            raise
        return WriteResult(**{name: tuple(ids) for name, ids in self._outcomes.items()})

    # on one server

    def _put(
        self, number: int, session: Session, runs: Iterable[Run], policy: ConflictPolicy
    ) -> str:
        """Returns what became of it, as the field of WriteResult."""
        earlier = self._digests.get(session.session_id)
        stored = None if earlier else self._stored(session.session_id)
        if earlier is None and stored is None:
            self._digests[session.session_id] = self._staged(number, session, runs, None), number
            return "written"
        if policy is not ConflictPolicy.REPLACE:
            found = earlier[0] if earlier else self._digest(session.session_id, stored or b"")
            return _kept(session, BundleDigest(session).drain(runs) == found, policy)
        if earlier:
            return self._replace_staged(number, earlier, session, runs)
        before = self._digest(session.session_id, stored or b"")
        digest = self._staged(number, session, runs, stored)
        if digest == before:
            self._discard(number)
            return "identical"
        self._digests[session.session_id] = digest, number
        return "replaced"

    def _replace_staged(
        self, number: int, earlier: tuple[str, int], session: Session, runs: Iterable[Run]
    ) -> str:
        """A session that the batch holds already. Its runs are read first, as their ids may be the same."""
        incoming = BundleDigest(session)
        held = list(incoming.watch(runs))
        if incoming.hexdigest() == earlier[0]:
            return "identical"
        self._discard(earlier[1])
        stored = self._stored(session.session_id)
        self._digests[session.session_id] = self._staged(number, session, held, stored), number
        return "replaced"

    def _stored(self, session_id: str) -> bytes | None:
        text: bytes | None = self._server.read(("GET", self._keys.session(session_id)))[0]
        return text

    def _digest(self, session_id: str, text: bytes) -> str:
        session, members = self._reader.parse(session_id, text)
        return BundleDigest(session).drain(self._reader.runs(session, members))

    def _staged(
        self, number: int, session: Session, runs: Iterable[Run], stored: bytes | None
    ) -> str:
        """Everything of a session under names of its own; returns the digest."""
        self._lists[number] = None
        digest, key = BundleDigest(session), self._keys.session(session.session_id)
        changes = Changes(self._keys)
        if stored is None:
            changes.absent(key)
        else:
            changes.same(key, stored)
            old, _ = self._reader.parse(session.session_id, stored)
            changes.unlist_from(self._keys.session_traces(old), session.session_id)
        forget_runs(self._reader, changes, session.session_id)
        record = self._name(number, "session")
        waiting: list[Command] = [
            _for_a_while(record, rows.text(rows.session_members(session), session))
        ]
        changes.there(record.encode())
        changes.move(key, record)
        changes.move(self._keys.runs_of(session.session_id), self._name(number, "order"))
        changes.list_in(self._keys.session_indexes(session), session.session_id)
        size = len(waiting[0][2])
        for run in digest.watch(runs):
            size += self._stage_run(number, session, run, changes, waiting)
            if size > FLUSH_BYTES or len(waiting) > FLUSH_COMMANDS:
                self._send(number, changes, waiting)
                size = 0
        self._send(number, changes, waiting)
        return digest.hexdigest()

    def _stage_run(
        self,
        number: int,
        session: Session,
        run: Run,
        changes: Changes,
        waiting: list[Command],
    ) -> int:
        check_id(run)
        reject_unholdable(run, self._can)
        name = self._name(number, f"run:{run.run_id}")
        text = rows.text(rows.run_members(run), run)
        waiting += [
            ("HSETNX", self._name(None, "ids"), run.run_id, number),
            _for_a_while(name, text),
            ("ZADD", self._name(number, "order"), run.run_index or 0, run.run_id),
        ]
        changes.there(name.encode())
        changes.free(run.run_id, session.session_id)
        changes.move(self._keys.run(run.run_id), name)
        changes.list_in(self._keys.run_indexes(run), run.run_id)
        return len(text)

    def _send(self, number: int, changes: Changes, waiting: list[Command]) -> None:
        steps = self._name(number, "steps")
        new = [command[2] for command in waiting if command[0] == "HSETNX"]
        waiting += [("RPUSH", steps, *changes.flat())] if changes.steps else []
        for kept in (steps, self._name(number, "order"), self._name(None, "ids")):
            waiting.append(("EXPIRE", kept, STAGED_SECONDS))
        answers = self._server.write(*waiting)
        told = [
            answer
            for command, answer in zip(waiting, answers, strict=True)
            if command[0] == "HSETNX"
        ]
        waiting.clear()
        changes.steps.clear()
        for run_id, is_new in zip(new, told, strict=True):
            if not is_new:
                raise SessionConflictError(
                    self._owner(number), f"cannot hold a second run {run_id!r}"
                )

    def _owner(self, number: int) -> str:
        (text,) = self._server.read(("GET", self._name(number, "session")))
        return rows.session(rows.members(text, "staged"), "").session_id if text else ""

    def _commit(self) -> None:
        if not self._lists:
            return
        staged = [self._name(number, "steps") for number in self._lists]
        failed = commit(self._server, Changes(self._keys), self._expire, staged)
        if failed is not None:
            raise self._conflict(text_of(failed))
        self._lists.clear()
        self._server.write(("DEL", self._name(None, "ids")))

    def _conflict(self, failed: str) -> SessionConflictError:
        """`failed` is the key of a session, or the id of a run."""
        start = text_of(self._keys.session(""))
        if failed.startswith(start):
            return SessionConflictError(
                failed.removeprefix(start),
                "was changed by another program meanwhile",
                hint="try again",
            )
        (number,) = self._server.read(("HGET", self._name(None, "ids"), failed))
        owner = self._owner(int(number)) if number is not None else ""
        return SessionConflictError(
            owner, f"cannot take run {failed!r}: it is stored already", hint="give it another id"
        )

    def _name(self, number: int | None, what: str) -> str:
        return f"{self._stage}:{'' if number is None else number}:{what}"

    def _discard(self, number: int) -> None:
        order, ids = self._name(number, "order"), self._name(None, "ids")
        runs = [text_of(one) for one in self._server.read(("ZRANGE", order, 0, -1))[0]]
        names = [self._name(number, what) for what in ("steps", "session", "order")]
        for start in range(0, len(runs), 1000):
            some = runs[start : start + 1000]
            self._server.write(
                ("DEL", *(self._name(number, f"run:{one}") for one in some)),
                *(("HDEL", ids, one) for one in some),
            )
        self._server.write(("DEL", *names))
        self._lists.pop(number, None)

    def _discard_all(self) -> None:
        for number in list(self._lists):
            self._discard(number)
            self._server.write(("DEL", self._name(None, "ids")))

    # on a cluster

    def _put_apart(
        self, number: int, session: Session, runs: Iterable[Run], policy: ConflictPolicy
    ) -> str:
        with self._editor.locked([session.session_id]):
            stored = self._stored(session.session_id)
            if stored is None:
                self._put_new(session, runs)
                return "written"
            incoming = BundleDigest(session)
            held = list(incoming.watch(runs))
            same = self._digest(session.session_id, stored) == incoming.hexdigest()
            if same or policy is not ConflictPolicy.REPLACE:
                return _kept(session, same, policy)
            changes = self._whole(session, self._checked(session, held), stored)
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
            ("SET", self._keys.run(run.run_id), rows.text(rows.run_members(run), run), "NX", *life)
            for run in runs
        ]
        stored = self._server.write(*asked)
        changes = Changes(self._keys)
        for run, is_new in zip(runs, stored, strict=True):
            if is_new:
                place = run.run_index or 0
                changes.rank(self._keys.runs_of(session.session_id), run.run_id, place)
                changes.list_in(self._keys.run_indexes(run), run.run_id)
        commit(self._server, changes, self._expire)
        for run, is_new in zip(runs, stored, strict=True):
            if not is_new:
                raise _taken(session, run.run_id)

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
            changes.set(self._keys.run(run.run_id), rows.text(rows.run_members(run), run))
            changes.rank(self._keys.runs_of(session.session_id), run.run_id, run.run_index or 0)
            changes.list_in(self._keys.run_indexes(run), run.run_id)
        changes.set(key, rows.text(rows.session_members(session), session))
        changes.list_in(self._keys.session_indexes(session), session.session_id)
        changes.renew(session.session_id)
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


def _kept(session: Session, same: bool, policy: ConflictPolicy) -> str:
    if same:
        return "identical"
    if policy is ConflictPolicy.SKIP:
        return "skipped"
    raise SessionConflictError(
        session.session_id,
        "is there already and differs",
        hint="choose what wins with --on-conflict",
    )


def _for_a_while(name: str, text: bytes) -> Command:
    return ("SET", name, text, "EX", STAGED_SECONDS)
