"""The writes to one session. Each is tried again from its beginning when another program was quicker."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from secrets import token_hex
from typing import TypeVar

from msgspec.structs import replace

from agnocli import canonical
from agnocli.abc import Capabilities
from agnocli.db._redis import rows
from agnocli.db._redis.changes import Changes, commit
from agnocli.db._redis.keys import check_id
from agnocli.db._redis.listing import HEAD, head_members
from agnocli.db._redis.reading import Reader, raw_id, text_of
from agnocli.db._redis.scripts.writing import RELEASE
from agnocli.db._redis.server import pairs
from agnocli.errors import (
    BackendUnavailableError,
    LayoutError,
    RunNotFoundError,
    SessionConflictError,
    SessionNotFoundError,
    UsageError,
)
from agnocli.layout import legacy
from agnocli.layout.portable import reject_unholdable
from agnocli.records import SESSION_COLUMNS, Document, Run, Session

Result = TypeVar("Result")
Values = Mapping[str, Document | str | int | None]

PATIENCE = 30.0
"""Seconds in which a change must get its turn."""

LOCK_SECONDS = 30
"""After which a lock on a cluster is another program's for the taking."""


class Editor:
    def __init__(self, reader: Reader, expire: int | None, can: Capabilities) -> None:
        self._reader, self._server, self._keys = reader, reader.server, reader.keys
        self._expire, self.can = expire, can

    def append_run(self, run: Run) -> Run:
        check_id(run)
        reject_unholdable(run, self.can)
        return self.settled([run.session_id], lambda: self._append(run))

    def _append(self, run: Run) -> tuple[Changes, Run]:
        session_key = self._keys.session(run.session_id)
        key, runs_key = self._keys.run(run.run_id), self._keys.runs_of(run.session_id)
        text, taken, count, answer = self._server.read(
            ("GET", session_key),
            ("EXISTS", key),
            ("ZCARD", runs_key),
            ("ZRANGE", runs_key, -1, -1, "WITHSCORES"),
        )
        if text is None:
            raise SessionNotFoundError(run.session_id)
        session, members = self._reader.parse(run.session_id, text)
        blob = [one.run_id for one in self._reader.blob(session, members)]
        if taken or run.run_id in blob:
            raise SessionConflictError(
                run.session_id, f"cannot take run {run.run_id!r}: it is stored already"
            )
        top = pairs(answer)
        known = {*blob, *map(text_of, self._reader.run_ids(run.session_id))} if blob else ()
        index = max(int(top[0][1]) + 1 if top else 0, count, len(known))
        stored = replace(run, run_index=index)
        changes = Changes(self._keys)
        changes.same(session_key, text)
        changes.last(runs_key, count, *(top[0] if top else (b"", 0.0)))
        self._put_new(changes, stored)
        self._date(changes, session, members)
        changes.renew(run.session_id)
        return changes, stored

    def _put_new(self, changes: Changes, run: Run) -> None:
        key, runs_key = self._keys.run(run.run_id), self._keys.runs_of(run.session_id)
        changes.absent(key)
        changes.set(key, rows.text(rows.run_members(run), run))
        changes.rank(runs_key, run.run_id, run.run_index or 0)
        session_key = self._keys.session(run.session_id)
        changes.live_like(key, session_key)
        changes.live_like(runs_key, session_key)
        changes.list_in(self._keys.run_indexes(run), run.run_id)

    def _date(self, changes: Changes, session: Session, members: rows.Members) -> None:
        dated = {**members, "updated_at": rows.member("updated_at", now())}
        changes.set(self._keys.session(session.session_id), rows.text(dated, session))

    def put_run(self, run: Run) -> None:
        reject_unholdable(run, self.can)
        self.settled([run.session_id], lambda: (self._put(run), None))

    def _put(self, run: Run) -> Changes:
        key, runs_key = self._keys.run(run.run_id), self._keys.runs_of(run.session_id)
        text, score = self._server.read(("GET", key), ("ZSCORE", runs_key, run.run_id))
        if text is None or score is None:
            return self._put_old(run)
        changes = Changes(self._keys)
        members = rows.members(text, text_of(key))
        old = rows.run(members, run.run_id, run.session_id)
        new = replace(run, run_index=old.run_index, created_at=old.created_at)
        changes.same(key, text)
        changes.set(key, rows.text({**members, **rows.run_members(new)}, new))
        stale = set(self._keys.run_indexes(old)) - set(self._keys.run_indexes(new))
        changes.unlist_from(sorted(stale), run.run_id)
        changes.list_in(self._keys.run_indexes(new), run.run_id)
        changes.renew(run.session_id)
        return changes

    def _put_old(self, run: Run) -> Changes:
        """Of a run that is in its session's record only, as Agno 2 left it."""
        try:
            session, members = self._reader.parsed(run.session_id)
        except SessionNotFoundError as error:
            raise RunNotFoundError(run.session_id, run.run_id) from error
        blob = self._reader.blob(session, members)
        old = next((one for one in blob if one.run_id == run.run_id), None)
        if old is None:
            raise RunNotFoundError(run.session_id, run.run_id)
        check_id(run)
        changes = Changes(self._keys)
        self._put_new(changes, replace(run, run_index=old.run_index, created_at=old.created_at))
        return changes

    def update(self, session_id: str, changes: Values, expected: Values) -> Session:
        for name in (*changes, *expected):
            if name not in SESSION_COLUMNS or name == "session_id":
                raise UsageError(f"a session has no column {name!r} that can be changed")
        dated = {"updated_at": now(), **changes}
        return self.settled([session_id], lambda: self._update(session_id, dated, expected))

    def _update(self, session_id: str, values: Values, expected: Values) -> tuple[Changes, Session]:
        key = self._keys.session(session_id)
        text = self._reader.record(session_id)
        session, members = self._reader.parse(session_id, text)
        for name, value in expected.items():
            if not _equal(getattr(session, name), value):
                raise SessionConflictError(
                    session_id,
                    f"was changed by another program meanwhile ({name})",
                    hint="try again",
                )
        wanted = replace(session, **values)
        reject_unholdable(wanted, self.can)
        new = {**members, **{name: rows.member(name, one) for name, one in values.items()}}
        stored = rows.text(new, session)
        changed, _ = self._reader.parse(session_id, stored)
        changes = Changes(self._keys)
        changes.same(key, text)
        changes.set(key, stored)
        stale = set(self._keys.session_indexes(session)) - set(self._keys.session_indexes(changed))
        changes.unlist_from(sorted(stale), session_id)
        changes.list_in(self._keys.session_indexes(changed), session_id)
        changes.renew(session_id)
        return changes, changed

    def delete(self, session_ids: Sequence[str]) -> int:
        ids = list(dict.fromkeys(session_ids))
        for session_id in ids:
            self._reader.record(session_id)
        return self.settled(ids, lambda: (self._delete(ids), len(ids))) if ids else 0

    def _delete(self, session_ids: Sequence[str]) -> Changes:
        changes = Changes(self._keys)
        for session_id in session_ids:
            key, text = self._keys.session(session_id), self._reader.record(session_id)
            changes.there(key)
            forget_runs(self._reader, changes, session_id)
            changes.remove(key)
            try:
                session, _ = self._reader.parse(session_id, text)
            except LayoutError:  # a damaged record tells no indexes
                continue
            changes.unlist_from(self._keys.session_traces(session), session_id)
        return changes

    def delete_runs(self, session_id: str, run_ids: Sequence[str]) -> int:
        gone = list(dict.fromkeys(run_ids))
        return self.settled([session_id], lambda: (self._delete_runs(session_id, gone), len(gone)))

    def _delete_runs(self, session_id: str, gone: Sequence[str]) -> Changes:
        text = self._reader.record(session_id)
        session, members = self._reader.parse(session_id, text)
        blob = [run.run_id for run in self._reader.blob(session, members)]
        snapshot = self._reader.run_ids(session_id)
        ordered = self.stored_order(session_id)
        for run_id in gone:
            if run_id not in ordered and run_id not in blob:
                raise RunNotFoundError(session_id, run_id)
        changes = Changes(self._keys)
        changes.same(self._keys.session(session_id), text)
        changes.in_order(self._keys.runs_of(session_id), snapshot)
        for run_id in gone:
            if run_id in ordered:
                self.drop(changes, ordered[run_id])
        kept = [one for one in dict.fromkeys([*blob, *ordered]) if one not in set(gone)]
        self.renumber(changes, kept, ordered)
        for member in snapshot:
            if text_of(member) not in ordered:  # its record has expired
                changes.unrank(self._keys.runs_of(session_id), member)
        if not set(gone).isdisjoint(blob):
            rest = legacy.without(rows.blob(members), gone)
            members = {**members, rows.BLOB: b"null" if rest is None else bytes(rest)}
        self._date(changes, session, members)
        return changes

    def stored_order(self, session_id: str) -> dict[str, Run]:
        """Runs with a key of their own, in order, without their bodies."""
        runs = self._reader.stored_runs(session_id)
        return {run.run_id: replace(run, run_data=Document(b"null")) for run in runs}

    def drop(self, changes: Changes, run: Run) -> None:
        changes.unlist_from(self._keys.run_traces(run), run.run_id)
        changes.unrank(self._keys.runs_of(run.session_id), raw_id(run.run_id))
        changes.remove(self._keys.run(run.run_id))

    def renumber(self, changes: Changes, kept: Sequence[str], ordered: Mapping[str, Run]) -> None:
        moved = [
            (run_id, index)
            for index, run_id in enumerate(kept)
            if run_id in ordered and ordered[run_id].run_index != index
        ]
        heads = [("GETRANGE", self._keys.run(run_id), 0, HEAD - 1) for run_id, _ in moved]
        found = self._server.read(*heads) if heads else []
        for (run_id, index), head in zip(moved, found, strict=True):
            run = ordered[run_id]
            changes.rank(self._keys.runs_of(run.session_id), raw_id(run_id), index)
            if head_members(head) is not None:
                changes.number(raw_id(run_id), index)
            else:
                self._number_odd(changes, run, index)

    def _number_odd(self, changes: Changes, run: Run, index: int) -> None:
        """Of a record that is not in Agno's order."""
        key = self._keys.run(run.run_id)
        (text,) = self._server.read(("GET", key))
        members = rows.members(text or b"", text_of(key))
        changes.same(key, text or b"")
        numbered = {**members, "run_index": rows.member("run_index", index)}
        changes.set(key, rows.text(numbered, run))

    # taking turns

    def settled(
        self, session_ids: Iterable[str], attempt: Callable[[], tuple[Changes, Result]]
    ) -> Result:
        deadline = time.monotonic() + PATIENCE
        with self.locked(session_ids):
            while True:
                changes, result = attempt()
                if commit(self._server, changes, self._expire) is None:
                    return result
                if time.monotonic() > deadline:
                    raise BackendUnavailableError(
                        f"{self._server.address} is too busy: others were always quicker",
                        hint="try again",
                    )
                time.sleep(random.uniform(0, 0.005))

    @contextmanager
    def locked(self, session_ids: Iterable[str]) -> Iterator[None]:
        """On a cluster, sessions for ourselves; a server needs no lock."""
        with ExitStack() as held:
            if self._server.is_cluster:
                for session_id in sorted(set(session_ids)):
                    held.enter_context(self._lock(session_id))
            yield

    @contextmanager
    def _lock(self, session_id: str) -> Iterator[None]:
        self._keys.session(session_id)  # an id that cannot be is not there
        key, token = self._keys.stage(f"lock:{session_id}"), token_hex(8)
        deadline = time.monotonic() + PATIENCE
        while not self._server.write(("SET", key, token, "NX", "EX", LOCK_SECONDS))[0]:
            if time.monotonic() > deadline:
                raise BackendUnavailableError(
                    f"session {session_id!r} is locked by another program", hint="try again"
                )
            time.sleep(random.uniform(0, 0.02))
        try:
            yield
        finally:
            self._server.script(RELEASE, (key,), token)


def forget_runs(reader: Reader, changes: Changes, session_id: str) -> None:
    """Delete all runs of a session and strike them from the sets that list them."""
    keys, indexes = reader.keys, set[bytes]()
    run_keys = [keys.run(text_of(one)) for one in reader.run_ids(session_id)]
    for start in range(0, len(run_keys), 500):
        some = run_keys[start : start + 500]
        heads = reader.server.read(*(("GETRANGE", key, 0, HEAD - 1) for key in some))
        odd = [key for key, head in zip(some, heads, strict=True) if head_members(head) is None]
        whole = (_members(text) for _, text in reader.records(odd))
        for members in filter(None, (*map(head_members, heads), *whole)):
            run = rows.run({**members, "run_data": b"null"}, "", session_id)
            indexes.update(keys.run_traces(run))
    raw = raw_id(session_id)
    changes.unlist_runs(sorted(indexes), raw)
    changes.forget_runs(raw)


def _members(text: bytes | None) -> rows.Members | None:
    """None of a record that is damaged: it tells no indexes."""
    try:
        return None if text is None else rows.members(text, "")
    except LayoutError:
        return None


def _equal(found: object, wanted: object) -> bool:
    """Whether a column is as expected; of documents the value counts."""
    if found == wanted:
        return True
    if isinstance(found, bytes) and isinstance(wanted, bytes):
        return canonical.digest([Document(found)]) == canonical.digest([Document(wanted)])
    return wanted == b"null" and found is None


def now() -> int:
    return int(time.time())
