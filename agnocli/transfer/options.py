"""What a transfer is asked to do, and what it tells: the words of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import blake2b

import msgspec

from agnocli.abc import ConflictPolicy, SessionQuery

BATCH_BYTES = 4 * 2**20
"""What a batch begins with; it adapts to how long the sink takes."""


class Verify(StrEnum):
    FULL = "full"
    SAMPLE = "sample"
    COUNT = "count"
    NONE = "none"


class ValuePolicy(StrEnum):
    """What is done with a value the sink cannot hold."""

    FAIL = "fail"
    REPLACE = "replace"
    STRIP = "strip"


class Shard(msgspec.Struct, frozen=True):
    """Part `index` of `count`, from 1: a session belongs to the same part on every machine."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def has(self, session_id: str) -> bool:
        raw = session_id.encode("utf-8", "surrogatepass")
        place = int.from_bytes(blake2b(raw, digest_size=8).digest(), "big")
        return place % self.count == self.index - 1


class TransferOptions(msgspec.Struct, frozen=True, kw_only=True):
    policy: ConflictPolicy = ConflictPolicy.ERROR
    verify: Verify = Verify.FULL
    query: SessionQuery | None = None
    """Only the sessions that a listing with these filters shows; its order, skip and limit do not count."""
    session_ids: tuple[str, ...] = ()
    """Only these, if any."""
    shard: Shard | None = None
    batch_bytes: int = BATCH_BYTES
    on_nul: ValuePolicy = ValuePolicy.FAIL
    on_surrogate: ValuePolicy = ValuePolicy.FAIL
    on_nan: ValuePolicy = ValuePolicy.FAIL


class Phase(StrEnum):
    CHECK = "check"
    COPY = "copy"
    VERIFY = "verify"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a phase is. Only what is durable counts. `total` is None where counting would cost a full read."""

    phase: Phase
    sessions: int
    runs: int
    bytes: int
    total: int | None = None
    set_aside: int = 0


Observer = Callable[[Progress], None]


class SetAside(msgspec.Struct, frozen=True):
    """A session that the sink did not take, or, `unreadable`, that the source could not make of what it holds."""

    session_id: str
    json_path: str
    reason: str
    unreadable: bool = False


class Change(msgspec.Struct, frozen=True):
    """A value that a policy changed: `before` is its JSON text, so the change can be undone."""

    session_id: str
    run_id: str | None
    json_path: str
    kind: str
    before: str


class Difference(msgspec.Struct, frozen=True):
    session_id: str
    where: str


class Counts(msgspec.Struct):
    sessions: int = 0
    runs: int = 0
    bytes: int = 0

    def add(self, runs: int, size: int) -> None:
        """One session more."""
        self.sessions += 1
        self.runs += runs
        self.bytes += size


class TransferReport(msgspec.Struct, kw_only=True):
    """`outcomes`: read, written, identical, skipped, replaced, quarantined, verified. `respelled` counts sessions by
    what the sink's engine keeps in another form: `json_text`, `null_kind`, `expiry`."""

    source: str
    target: str
    job: str
    outcomes: dict[str, Counts] = {}
    seconds: float = 0.0
    set_aside: list[SetAside] = []
    changes: int = 0
    different: list[Difference] = []
    missing: list[str] = []
    unsettled: list[str] = []
    """Changed in the source every time they were copied."""
    extra: int = 0
    respelled: Mapping[str, int] = {}
    not_copied: Mapping[str, int] = {}
    resumed: bool = False
    redacted: Mapping[str, int] = {}
    """Secrets that were taken out on the way, by kind."""

    def count(self, outcome: str) -> Counts:
        return self.outcomes.setdefault(outcome, Counts())

    @property
    def is_mismatch(self) -> bool:
        return bool(self.different or self.missing)

    @property
    def is_partial(self) -> bool:
        return bool(self.set_aside or self.unsettled)
