"""From any source to any sink: check, copy, verify.

Migrate, export, import, backup and restore are this one function.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from agnocli.abc import (
    Capabilities,
    ConflictPolicy,
    Readable,
    Searchable,
    SessionQuery,
    Sink,
    Source,
    Wanted,
)
from agnocli.errors import SessionConflictError
from agnocli.layout.filter import listed
from agnocli.records import SessionBundle
from agnocli.transfer.copying import Copier, Quarantine
from agnocli.transfer.ends import check_ends, compared_to, ids_of, others, stored, total, version_of
from agnocli.transfer.idset import IdSet
from agnocli.transfer.ledger import Entry, Job, Ledger
from agnocli.transfer.options import (
    Counts,
    Difference,
    Observer,
    Phase,
    Progress,
    Shard,
    TransferOptions,
    TransferReport,
    Verify,
)
from agnocli.transfer.reading import patiently
from agnocli.transfer.recognizing import Seen, recognize, recognized
from agnocli.transfer.select import Selection
from agnocli.transfer.verifiers import Verifiers
from agnocli.transfer.verify import MISSING, READERS, Pairs, Verdict

ROUNDS = 3
"""How often sessions that change while they are copied are copied again."""
SAMPLE = 1000
"""About so many sessions are verified as a sample."""
MANY = 1000
"""So many copies in doubt, and more than are recognized, are better compared with a source that is read once more."""
EVERY = 0.1
"""Seconds between two reports of progress while places are compared."""


def job_of(source: Source, sink: Sink, options: TransferOptions) -> Job:
    """Addresses and all that decides what arrives; how fast, and how it is verified, does not."""
    how = ("verify", "batch_bytes")
    chosen = {
        name: str(value) if isinstance(value := getattr(options, name), Shard) else value
        for name in TransferOptions.__struct_fields__
        if name not in how
    }
    return Job(source.address, sink.address, msgspec.json.encode(chosen).decode())


class Transfer:
    """One transfer. `sink` can also be read, or verifying it is not possible (`copy` None).

    `beside` are more sinks over the place of `sink`, where that is written by several at once; `verifiers` read it again
    beside this process, when there is much to be verified.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        options: TransferOptions,
        ledger: Ledger,
        *,
        copy: Source | None,
        beside: Sequence[Sink] = (),
        verifiers: Verifiers | None = None,
        quarantine: Quarantine | None = None,
        observer: Observer = lambda progress: None,
    ) -> None:
        check_ends(source, sink)
        self._source, self._sink, self._copy = source, sink, copy
        self._options, self._ledger, self._observer = options, ledger, observer
        self._began = self._told = time.monotonic()
        self._selection = Selection(source, options)
        self._verifiers = verifiers if options.verify is Verify.FULL else None
        self._copier = Copier(source, [sink, *beside], self._selection, options, ledger, quarantine)
        self._can: Capabilities = sink.capabilities
        self._before, self._verified = ledger.outcomes(), Counts()
        self._respelled: dict[str, int] = {}
        self._total = total(source, self._selection)
        self.report = TransferReport(
            source=source.address,
            target=sink.address,
            job=ledger.job.id,
            resumed=ledger.resumed,
            not_copied=others(source),
        )

    def run(self) -> TransferReport:
        self._version = self._known_version()
        self._check_resumed()
        if self._options.policy is ConflictPolicy.ERROR:
            self._check_conflicts()
        resumed = self._ledger.resumed
        wanted = (lambda one: not self._ledger.knows(one)) if resumed else None
        self._copier.copy(wanted, self._tell_copied)
        if not self._copier.has_begun and not isinstance(self._sink, Readable):
            self._copier.make_empty()
        if self._copy is not None and self._options.verify is not Verify.NONE:
            self._verify(self._copy)
        return self._finished()

    def _known_version(self) -> str | None:
        """Of the source, if that is as it was when the job began."""
        version = version_of(self._source)
        if not self._ledger.resumed:
            self._ledger.source_version = version
        return version if version == self._ledger.source_version else None

    def _check_resumed(self) -> None:
        """What the ledger says was copied must be there, or it is another place of that address."""
        if not self._ledger.resumed or not isinstance(self._sink, Readable):
            return
        entry = next(self._ledger.entries())
        if next(stored(self._sink, [entry.session_id]), None) is None:
            raise SessionConflictError(
                entry.session_id,
                f"was copied to {self._sink.address}, and is not there any more",
                hint="begin anew with --restart",
            )

    def _check_conflicts(self) -> None:
        """SessionConflictError before anything is written."""
        if not isinstance(self._sink, Readable) or self._copy is None:
            return
        compared, found = Counts(), list[Verdict]()
        for one in compared_to(self._source, self._copy, self._selection, self._can, self._ledger):
            compared.add(one.runs, one.bytes)
            self._tell_now_and_then(Phase.CHECK, compared)
            if one.where is not None:
                found.append(one)
        if found:
            others = f", and {len(found) - 1:,} more" if len(found) > 1 else ""
            raise SessionConflictError(
                found[0].session_id,
                f"is there already and differs ({found[0].where}){others}; nothing was written",
                hint="choose what wins with --on-conflict skip, replace or newer",
            )

    def _tell_copied(self) -> None:
        copied = sum_of(self._before, self._copier.done)
        if self._verifiers is not None:
            self._verifiers.expect(copied.bytes)
        self._tell(Phase.COPY, copied)

    def _tell_now_and_then(self, phase: Phase, counts: Counts) -> None:
        if time.monotonic() - self._told > EVERY:
            self._told = time.monotonic()
            self._tell(phase, counts)

    def _tell(self, phase: Phase, counts: Counts) -> None:
        progress = Progress(
            phase=phase,
            sessions=counts.sessions,
            runs=counts.runs,
            bytes=counts.bytes,
            total=self._total,
            set_aside=self._ledger.count_set_aside(),
        )
        self._observer(progress)

    # verifying

    def _verify(self, copy: Source) -> None:
        pending: set[str] | None = None
        for round_ in range(ROUNDS + 1):
            bad = self._judge(copy, pending)
            changed = {one.session_id for one in bad if self._has_changed(one)}
            self._note(verdict for verdict in bad if verdict.session_id not in changed)
            if not changed:
                break
            if round_ == ROUNDS:
                self.report.unsettled = sorted(changed)
                break
            self._copy_again(changed)
            pending = changed
        if self._selection.is_all and isinstance(copy, Readable):
            self.report.extra = sum(not self._ledger.knows(one) for one in ids_of(copy))

    def _judge(self, copy: Source, pending: set[str] | None) -> list[Verdict]:
        """Those that are not the same."""
        self._has_adapted = self._ledger.has_adapted
        if self._options.verify is Verify.COUNT and isinstance(copy, Searchable):
            return list(self._miscounted(copy))
        doubtful = pending
        if pending is None and self._options.verify is Verify.FULL and isinstance(copy, Readable):
            doubtful = self._recognize(copy)
        bad = [] if doubtful == set() else list(self._compared(copy, self._to_verify(doubtful)))
        self._tell(Phase.VERIFY, self._verified)
        return bad

    def _compared(self, copy: Source, wanted: Wanted | None) -> Iterator[Verdict]:
        """Those that are not the same."""
        for verdict in self._pairs(copy).verdicts(wanted):
            if verdict.where is None:
                self._is_verified(verdict)
            else:
                yield verdict

    def _recognize(self, copy: Readable) -> set[str] | None:
        """Who is not told again as it was noted; None when the source must be read again all the same: nobody can
        say that it is as it was, or too few are recognized."""
        doubtful = set[str]()
        if self._version is not None:
            for session_id, verdict in self._recognized(copy):
                if verdict is not None:
                    self._is_verified(verdict)
                    continue
                doubtful.add(session_id)
                if len(doubtful) > MANY and len(doubtful) > self._verified.sessions:
                    break
            else:
                if version_of(self._source) == self._version:
                    return doubtful
        self._verified, self._respelled = Counts(), {}
        return None

    def _recognized(self, copy: Readable) -> Iterator[Seen]:
        beside = self._verifiers
        if beside is not None:
            beside.expect(sum_of(self._ledger.outcomes()).bytes)

        def attempt(entries: list[Entry]) -> list[Seen]:
            found = beside.recognize(entries) if beside else None
            if found is None:
                found = patiently(partial(recognize, copy, entries, self._can))
            return found

        readers = READERS + (len(beside) if beside else 0)
        return recognized(attempt, self._to_recognize(), readers)

    def _to_recognize(self) -> Iterator[Entry]:
        return (one for one in self._ledger.entries() if one.outcome != "skipped")

    def _is_verified(self, verdict: Verdict) -> None:
        self._verified.add(verdict.runs, verdict.bytes)
        for kind in verdict.respelled:
            self._respelled[kind] = self._respelled.get(kind, 0) + 1
        self._tell_now_and_then(Phase.VERIFY, self._verified)

    def _pairs(self, copy: Source) -> Pairs:
        return Pairs(
            self._source,
            copy,
            self._selection,
            self._can,
            adapt=self._adapted,
            unreadable=lambda session_id, error: None,  # set aside when it was to be copied
        )

    def _adapted(self, bundle: SessionBundle) -> SessionBundle:
        if not self._has_adapted:
            return bundle
        entry = self._ledger.entry(bundle.session.session_id)
        return self._copier.adapter.adapt(bundle) if entry and entry.adapted else bundle

    def _to_verify(self, pending: set[str] | None) -> Wanted | None:
        """None for all that are meant."""
        full = self._options.verify is Verify.FULL and pending is None
        if full and "skipped" not in self._ledger.outcomes() and not self._ledger.count_set_aside():
            return None
        sample = None
        if self._options.verify is Verify.SAMPLE and pending is None:
            sample = Shard(1, max(1, (self._total or 0) // SAMPLE))

        def wanted(session_id: str) -> bool:
            if pending is not None:
                return session_id in pending
            if sample is not None and not sample.has(session_id):
                return False
            entry = self._ledger.entry(session_id)
            if entry is None:
                return not self._ledger.knows(session_id)  # new since it was copied; or set aside
            return entry.outcome != "skipped"

        return wanted

    def _has_changed(self, verdict: Verdict) -> bool:
        """Whether the source has other content than was copied."""
        entry = self._ledger.entry(verdict.session_id)
        if entry is None:
            return True
        return bool(verdict.digest) and verdict.digest != entry.digest

    def _copy_again(self, changed: set[str]) -> None:
        new = {one for one in changed if self._ledger.entry(one) is None}
        if new:
            self._copier.copy(new.__contains__, self._tell_copied)
        if ours := changed - new:
            self._copier.copy(ours.__contains__, self._tell_copied, ConflictPolicy.REPLACE)

    def _note(self, bad: Iterator[Verdict]) -> None:
        for verdict in bad:
            if verdict.where == MISSING:
                self.report.missing.append(verdict.session_id)
            else:
                difference = Difference(verdict.session_id, verdict.where or "")
                self.report.different.append(difference)

    def _miscounted(self, copy: Searchable) -> Iterator[Verdict]:
        """Sessions that are not there, or have another number of runs."""
        with IdSet() as seen:
            for info in listed(copy, SessionQuery()):
                entry = self._ledger.entry(info.session_id)
                if entry is None or entry.outcome == "skipped":
                    continue
                seen.update([info.session_id])
                self._verified.add(info.runs, 0)
                if info.runs != entry.runs:
                    where = f"{info.runs} runs, not {entry.runs}"
                    yield Verdict(info.session_id, where, digest=entry.digest)
            for entry in self._ledger.entries():
                if entry.outcome != "skipped" and entry.session_id not in seen:
                    yield Verdict(entry.session_id, MISSING, digest=entry.digest)

    def _finished(self) -> TransferReport:
        report = self.report
        report.set_aside = self._ledger.all_set_aside()
        report.outcomes = self._ledger.outcomes()
        report.outcomes["read"] = sum_of(report.outcomes)
        report.outcomes["read"].sessions += len(report.set_aside)
        report.outcomes["quarantined"] = Counts(sessions=len(report.set_aside))
        report.outcomes["verified"] = self._verified
        report.changes = self._ledger.count_changes()
        report.respelled = self._respelled
        report.seconds = round(time.monotonic() - self._began, 3)
        if not (report.is_mismatch or report.unsettled):
            self._ledger.finish()
        return report


def sum_of(*outcomes: dict[str, Counts]) -> Counts:
    whole = Counts()
    for counts in outcomes:
        for one in counts.values():
            whole.sessions += one.sessions
            whole.runs += one.runs
            whole.bytes += one.bytes
    return whole
