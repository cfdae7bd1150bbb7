"""Writing many sessions at once.

What is new and fits in a few megabytes is given to a server in one step. Of more, or when a stored session is to be
replaced, the server is first given everything under names that nobody reads and that go by themselves, and then told
to move it to its place: all of a batch appears or nothing, however big it is. A cluster cannot: see `apart`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from secrets import token_hex
from typing import Any

from agnocli.abc import Capabilities, ConflictPolicy, WriteResult
from agnocli.db._redis.changes import Changes, commit
from agnocli.db._redis.editing import forget_runs
from agnocli.db._redis.keys import Staged, check_id
from agnocli.db._redis.parts import PART_BYTES, Held, described, parts, records
from agnocli.db._redis.reading import Reader, text_of
from agnocli.db._redis.scripts.reading import PRESENT
from agnocli.db._redis.scripts.writing import LIST, STAGE
from agnocli.errors import (
    AgnoCLIError,
    BackendError,
    BackendReadOnlyError,
    BackendUnavailableError,
    SessionConflictError,
)
from agnocli.layout import conflict
from agnocli.layout.compare import BundleDigest, without_nulls
from agnocli.layout.portable import reject_unholdable
from agnocli.records import Run, Session, SessionBundle

STAGED_SECONDS = 3600
"""What a batch left behind that was killed is gone after this time."""

DIRECT_BYTES, LISTED_BYTES = 8_000_000, 24_000_000
"""More is put under names of its own first; the second when the caller has it all in memory anyway."""

LOOK_BYTES, LOOK = 1_000_000, 1000
"""Sessions that are looked up at once: so many bytes, so many."""

NEW, LEFT_BEHIND = "-", "r"


class Batch:
    """One call of `write` to one server."""

    def __init__(self, reader: Reader, expire: int | None, can: Capabilities):
        self._reader, self._expire, self._can = reader, expire, can
        self._server, self._keys = reader.server, reader.keys
        self._stage = self._keys.stage(token_hex(8))
        self._changes = Changes(self._keys)
        self._direct: list[tuple[int, Held]] | None = []
        """What is given in one step, None when that was too much."""
        self._most, self._waiting = DIRECT_BYTES, list[tuple[int, Held]]()
        self._size, self._run_ids = 0, set[str]()
        self._staged: dict[int, None] = {}
        self._owners: list[str] = []
        self._numbers: dict[str, int] = {}
        self._outcomes: dict[str, list[str]] = {}

    def write(self, bundles: Iterable[SessionBundle], policy: ConflictPolicy) -> WriteResult:
        if _are_in_memory(bundles):
            self._most = LISTED_BYTES
        try:
            for some in _together(bundles):
                for bundle, found in zip(some, self._looked_up(some), strict=True):
                    outcome = self._put(bundle.session, bundle.runs, policy, found)
                    self._outcomes.setdefault(outcome, []).append(bundle.session.session_id)
            self._commit()
        except BaseException:
            with suppress(BackendError):  # what cannot be taken back now goes by itself
                self._discard_all()
            raise
        return WriteResult(**{name: tuple(ids) for name, ids in self._outcomes.items()})

    def _looked_up(self, bundles: Sequence[SessionBundle]) -> str:
        ids = [one.session.session_id.encode("utf-8", "surrogatepass") for one in bundles]
        return text_of(self._server.read_script(PRESENT, self._keys.prefix, *ids))

    def _put(
        self, session: Session, runs: Iterable[Run], policy: ConflictPolicy, found: str
    ) -> str:
        """Returns what became of it, as the field of WriteResult."""
        check_id(session)
        reject_unholdable(session, self._can)
        session = without_nulls(session)
        if session.session_id in self._numbers:
            return self._meet_own(session, runs, policy)
        text = None if found in (NEW, LEFT_BEHIND) else self._stored(session.session_id)
        if text is not None:
            return self._meet(session, runs, policy, text)
        if found != NEW:
            self._changes.absent(self._keys.session(session.session_id))
            forget_runs(self._reader, self._changes, session.session_id)
        self._add(session, runs)
        return "written"

    def _stored(self, session_id: str) -> bytes | None:
        text: bytes | None = self._server.read(("GET", self._keys.session(session_id)))[0]
        return text

    def _meet(
        self, session: Session, runs: Iterable[Run], policy: ConflictPolicy, text: bytes
    ) -> str:
        """A session of that id is stored."""
        stored, members = self._reader.parse(session.session_id, text)
        policy = conflict.settled(policy, session, stored)
        replacing = policy is ConflictPolicy.REPLACE
        there: str | None = None
        if BundleDigest(session).hexdigest() == BundleDigest(stored).hexdigest():
            there = BundleDigest(stored).drain(self._reader.runs(stored, members))
        if there is None or (replacing and not isinstance(runs, Sequence)):
            same = False  # or known only when the runs have been read, once
        else:
            same = BundleDigest(session).drain(runs) == there
        if same or not replacing:
            return conflict.kept(session.session_id, policy, same=same)
        self._spill()
        incoming = BundleDigest(session)
        self._add(session, incoming.watch(runs) if there else runs)
        if incoming.hexdigest() == there:
            self._discard(self._numbers.pop(session.session_id))
            return "identical"
        self._changes.same(self._keys.session(session.session_id), text)
        self._changes.unlist_from(self._keys.session_traces(stored), session.session_id)
        forget_runs(self._reader, self._changes, session.session_id)
        return "replaced"

    def _meet_own(self, session: Session, runs: Iterable[Run], policy: ConflictPolicy) -> str:
        """A session that the batch holds already. Its runs are read first, as their ids may be the same."""
        self._spill()
        number = self._numbers[session.session_id]
        reader = Reader(self._server, Staged(self._keys.prefix, self._name(number)))
        earlier, members = reader.parsed(session.session_id)
        policy = conflict.settled(policy, session, earlier)
        incoming = BundleDigest(session)
        held = list(incoming.watch(runs))
        same = BundleDigest(earlier).drain(reader.runs(earlier, members)) == incoming.hexdigest()
        if same or policy is not ConflictPolicy.REPLACE:
            return conflict.kept(session.session_id, policy, same=same)
        self._discard(number)
        self._add(session, held)
        return "replaced"

    # what is on its way

    def _add(self, session: Session, runs: Iterable[Run]) -> None:
        number = len(self._owners)
        self._owners.append(session.session_id)
        self._numbers[session.session_id] = number
        for held in parts(session, self._checked(session, runs), self._keys):
            self._hold(number, held)

    def _checked(self, session: Session, runs: Iterable[Run]) -> Iterator[Run]:
        for run in runs:
            check_id(run)
            reject_unholdable(run, self._can)
            if self._direct is not None:
                if run.run_id in self._run_ids:
                    raise _twice(session.session_id, run.run_id)
                self._run_ids.add(run.run_id)
            yield run

    def _hold(self, number: int, held: Held) -> None:
        self._size += held.size
        if self._size > self._most:
            self._spill()
        if self._direct is not None:
            self._direct.append((number, held))
            return
        self._waiting.append((number, held))
        if sum(held.size for _, held in self._waiting) > PART_BYTES:
            self._flush()

    def _spill(self) -> None:
        """From here on everything is put under names of its own first."""
        direct, self._direct = self._direct or (), None
        self._run_ids.clear()
        for number, held in direct:
            self._hold(number, held)
        self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        self._staged |= dict.fromkeys(number for number, _ in waiting)
        asked: list[Any] = []
        for number, (part, texts) in waiting:
            asked += (number, described([part]), b"".join(chain.from_iterable(texts)))
        taken = self._server.script(STAGE, (), self._stage, STAGED_SECONDS, *asked)
        if taken is not None:
            number, run_id = taken
            raise _twice(self._owners[int(number)], text_of(run_id))

    def _commit(self) -> None:
        if self._direct and not self._changes.steps and self._stored_directly():
            return
        self._spill()
        if not self._staged:
            return
        staged = [self._name(number) for number in self._staged]
        failed = commit(self._server, self._changes, self._expire, staged)
        if failed is not None:
            raise self._conflict(text_of(failed))
        self._staged.clear()
        self._server.write(("DEL", self._ids))

    def _stored_directly(self) -> bool:
        """False when something is in the way, or such a step is not allowed; what it is, the other way tells."""
        direct = [held for _, held in self._direct or ()]
        new = [piece for held in direct for piece in records(held, self._keys)]
        mark = self._name("stored")
        life = "" if self._expire is None else self._expire * 1000
        asked = (self._keys.prefix, life, mark, described([held.part for held in direct]))
        try:
            return self._server.write_new((*new, mark.encode(), b"1"), LIST, *asked)
        except BackendReadOnlyError:
            return False

    def _conflict(self, failed: str) -> AgnoCLIError:
        """`failed` is the key of a session, the id of a run, or a name that something had on its way."""
        start = text_of(self._keys.session(""))
        if failed.startswith(start):
            return SessionConflictError(
                failed.removeprefix(start),
                "was changed by another program meanwhile",
                hint="try again",
            )
        if failed.startswith(self._stage):
            return BackendUnavailableError(
                f"{self._server.address} has lost what was to be written",
                hint=f"a batch must be done in {STAGED_SECONDS // 60} minutes: write less at once",
            )
        return SessionConflictError(
            self._owner(failed),
            f"cannot take run {failed!r}: it is stored already",
            hint="give it another id",
        )

    def _owner(self, run_id: str) -> str:
        (number,) = self._server.read(("HGET", self._ids, run_id))
        return self._owners[int(number)] if number is not None else ""

    @property
    def _ids(self) -> str:
        return f"{self._stage}::ids"

    def _name(self, number: int | str) -> str:
        return f"{self._stage}:{number}"

    def _discard(self, number: int) -> None:
        self._flush()
        name = self._name(number)
        runs = [text_of(one) for one in self._server.read(("ZRANGE", f"{name}:order", 0, -1))[0]]
        for start in range(0, len(runs), 1000):
            some = runs[start : start + 1000]
            self._server.write(
                ("DEL", *(f"{name}:run:{one}" for one in some)), ("HDEL", self._ids, *some)
            )
        self._server.write(("DEL", *(f"{name}:{one}" for one in ("parts", "session", "order"))))
        self._staged.pop(number, None)

    def _discard_all(self) -> None:
        self._waiting.clear()
        if self._staged:
            for number in list(self._staged):
                self._discard(number)
            self._server.write(("DEL", self._ids))


def _are_in_memory(bundles: Iterable[SessionBundle]) -> bool:
    return isinstance(bundles, Sequence) and all(isinstance(one.runs, Sequence) for one in bundles)


def _together(bundles: Iterable[SessionBundle]) -> Iterator[list[SessionBundle]]:
    """Sessions that are looked up together; one whose runs are read only once by itself, before they are."""
    some, size = list[SessionBundle](), 0
    for bundle in bundles:
        if not isinstance(bundle.runs, Sequence):
            yield some
            yield [bundle]
            some, size = [], 0
            continue
        some.append(bundle)
        size += sum(len(run.run_data) for run in bundle.runs) + len(
            bundle.session.session_data or b""
        )
        if size > LOOK_BYTES or len(some) == LOOK:
            yield some
            some, size = [], 0
    yield some


def _twice(session_id: str, run_id: str) -> SessionConflictError:
    return SessionConflictError(session_id, f"cannot hold a second run {run_id!r}")
