"""What a transfer would do: everything is read and compared, nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from agnocli.abc import ConflictPolicy, Source
from agnocli.errors import AgnoCLIError
from agnocli.layout.portable import misfit
from agnocli.layout.weight import session_bytes
from agnocli.records import SessionBundle
from agnocli.transfer.batching import Load, Parcel, ReadAhead
from agnocli.transfer.ends import check_ends, ids_of, others, total
from agnocli.transfer.idset import IdSet
from agnocli.transfer.options import (
    Counts,
    Difference,
    Observer,
    Phase,
    Progress,
    SetAside,
    TransferOptions,
    Verify,
)
from agnocli.transfer.policies import Adapter
from agnocli.transfer.reading import UNREADABLE, Reading, unreadable
from agnocli.transfer.select import Selection
from agnocli.transfer.verify import Pairs

WRITE_FACTOR, VERIFY_FACTOR = 3.0, 2.0
"""Writing takes about so many times as long as this reading did, and verifying."""


class Plan(msgspec.Struct, kw_only=True):
    source: str
    target: str
    policy: ConflictPolicy
    new: Counts
    identical: int
    conflicts: list[Difference]
    set_aside: list[SetAside]
    not_copied: dict[str, int]
    read_seconds: float
    estimate_seconds: float
    """About how long it would take."""

    @property
    def stops(self) -> bool:
        """Whether the transfer would refuse to begin."""
        return bool(self.conflicts) and self.policy is ConflictPolicy.ERROR

    def rows(self) -> Iterator[dict[str, object]]:
        yield {"outcome": "new", **msgspec.structs.asdict(self.new)}
        counted = {
            "identical": self.identical,
            "conflicts": len(self.conflicts),
            "to be set aside": len(self.set_aside),
        }
        for name, number in counted.items():
            yield {"outcome": name, "sessions": number, "runs": None, "bytes": None}

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "target": self.target,
            "dry_run": True,
            "sessions": {
                "new": self.new.sessions,
                "identical": self.identical,
                "conflicts": len(self.conflicts),
                "quarantined": len(self.set_aside),
            },
            "runs": {"new": self.new.runs},
            "bytes": self.new.bytes,
            "conflicts": msgspec.to_builtins(self.conflicts),
            "set_aside": msgspec.to_builtins(self.set_aside),
            "not_copied": [
                {"name": name, "records": number} for name, number in self.not_copied.items()
            ],
            "estimate_seconds": self.estimate_seconds,
        }

    def in_words(self) -> Iterator[str]:
        for difference in self.conflicts[:10]:
            yield f"conflict: session {difference.session_id!r}: {difference.where}"
        for one in self.set_aside[:10]:
            yield f"to be set aside: session {one.session_id!r}: {one.json_path} {one.reason}"
        if self.not_copied:
            named = ", ".join(f"{name} ({number:,})" for name, number in self.not_copied.items())
            yield f"not to be copied, as it is no session: {named}"
        if self.stops:
            yield "it would refuse to begin; choose what wins with --on-conflict"
        yield f"nothing was written; it would take about {self.estimate_seconds:,.0f} s"


class _Planner:
    def __init__(self, source: Source, copy: Any, options: TransferOptions) -> None:
        self.options, self.can = options, copy.capabilities
        self.adapter = Adapter(self.can, options)
        self.new, self.identical = Counts(), 0
        self.conflicts: list[Difference] = []
        self.set_aside: list[SetAside] = []

    def look(self, bundle: SessionBundle) -> None:
        """A session that is not there yet. Streams are looked at run by run."""
        adapted = self.adapter.adapt(bundle) if self.adapter.does_anything else bundle
        counted = Counts()
        counted.bytes = session_bytes(bundle.session)

        def counting() -> Iterator[Any]:
            for run in adapted.runs:
                counted.runs += 1
                counted.bytes += len(run.run_data)
                yield run

        try:
            found = misfit(SessionBundle(adapted.session, counting()), self.can)
        except UNREADABLE as error:
            self.unreadable(bundle.session.session_id, error)
            return
        if found is not None:
            self.set_aside.append(SetAside(bundle.session.session_id, *found))
        else:
            self.new.add(counted.runs, counted.bytes)

    def unreadable(self, session_id: str, error: AgnoCLIError) -> None:
        self.set_aside.append(unreadable(session_id, error))


def plan(source: Source, copy: Any, options: TransferOptions, observer: Observer) -> Plan:
    check_ends(source, copy)
    began, selection = time.monotonic(), Selection(source, options)
    planner, whole = _Planner(source, copy, options), total(source, selection)
    with IdSet(ids_of(copy)) as there:
        reading = Reading(source, selection, lambda one: one not in there, planner.unreadable)
        bundles = reading.bundles()
        with ReadAhead(bundles, Load) as ahead:
            for parcel in ahead:
                _look(parcel, planner, observer, whole)
        if len(there):
            pairs = Pairs(source, copy, selection, planner.can, unreadable=planner.unreadable)
            for verdict in pairs.verdicts(there.__contains__):
                if verdict.where is None:
                    planner.identical += 1
                else:
                    planner.conflicts.append(Difference(verdict.session_id, verdict.where))
    seconds = time.monotonic() - began
    seen = planner.new.sessions + planner.identical + len(planner.conflicts)
    factor = WRITE_FACTOR * planner.new.sessions / max(seen, 1)
    factor += VERIFY_FACTOR if options.verify is Verify.FULL else 0
    return Plan(
        source=source.address,
        target=copy.address,
        policy=options.policy,
        new=planner.new,
        identical=planner.identical,
        conflicts=planner.conflicts,
        set_aside=planner.set_aside,
        not_copied=others(source),
        read_seconds=round(seconds, 3),
        estimate_seconds=round(seconds * factor, 1),
    )


def _look(parcel: Parcel[Load], planner: _Planner, observer: Observer, whole: int | None) -> None:
    for bundle in parcel.bundles:
        planner.look(bundle)
    counts = planner.new
    observer(
        Progress(
            phase=Phase.CHECK,
            sessions=counts.sessions,
            runs=counts.runs,
            bytes=counts.bytes,
            total=whole,
            set_aside=len(planner.set_aside),
        )
    )
