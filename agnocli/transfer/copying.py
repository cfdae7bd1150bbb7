"""From a source into a sink: batch by batch, made durable, then written down, then told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from functools import partial
from threading import Lock
from typing import Protocol

from agnocli.abc import (
    Capabilities,
    ConflictPolicy,
    Loader,
    Salvageable,
    Sink,
    Source,
    Wanted,
    WriteResult,
)
from agnocli.errors import (
    AgnoCLIError,
    RecordRejectedError,
    SessionConflictError,
    SessionNotFoundError,
)
from agnocli.layout.portable import misfit
from agnocli.layout.weight import session_bytes
from agnocli.records import RawPiece, Run, Session, SessionBundle
from agnocli.transfer.batching import (
    Load,
    Parcel,
    ReadAhead,
    Sizer,
    batches,
)
from agnocli.transfer.ledger import Entry, Ledger
from agnocli.transfer.options import Change, Counts, SetAside, TransferOptions, Verify
from agnocli.transfer.policies import Adapter
from agnocli.transfer.reading import UNREADABLE, Reading, noting, patiently, unreadable
from agnocli.transfer.recognizing import Digests, NoDigests
from agnocli.transfer.select import Selection
from agnocli.transfer.writers import Writers

Digesting = Callable[[Session], Digests | NoDigests]
OUTCOMES = ("written", "identical", "skipped", "replaced")


class Quarantine(Protocol):
    """What it was given is durable when a call returns."""

    def add(self, bundle: SessionBundle, *, json_path: str, reason: str) -> None:
        """Keep a session that the sink did not take, exactly."""

    def add_raw(
        self,
        session_id: str,
        pieces: Iterable[RawPiece],
        *,
        json_path: str,
        reason: str,
        source: str,
    ) -> None:
        """Keep what the source, of that address, stores of a session that cannot be read."""


class Copier:
    """`done` counts what this process did, by outcome; `copy` tells after every batch."""

    def __init__(
        self,
        source: Source,
        sinks: Sequence[Sink],
        selection: Selection,
        options: TransferOptions,
        ledger: Ledger,
        quarantine: Quarantine | None,
    ) -> None:
        self._source, self._sinks, self._selection = source, sinks, selection
        self._options, self._ledger, self._quarantine = options, ledger, quarantine
        can = sinks[0].capabilities
        self.adapter = Adapter(can, options)
        self._digest = _digesting(options.verify, can)
        self.done: dict[str, Counts] = {}
        self._writing_down = Lock()
        self.has_begun = False

    def copy(
        self, wanted: Wanted | None, tell: Callable[[], None], policy: ConflictPolicy | None = None
    ) -> None:
        policy = policy or self._options.policy
        sizer = Sizer(self._options.batch_bytes)
        bundles = Reading(self._source, self._selection, wanted, self._unreadable).bundles()
        with (
            closing(bundles),
            ReadAhead(bundles, self._item) as ahead,
            ExitStack() as load,
            Writers(self._sinks) as writers,
        ):
            for parcel in batches(ahead, sizer):
                put = partial(self._put, parcel, policy, sizer)
                if not self.has_begun:  # not before the source has something to give
                    for sink in self._sinks:
                        load.enter_context(_loading(sink))
                    self.has_begun = True
                    writers.alone(put)  # the place may have to be made
                elif parcel.lazy:
                    writers.alone(put)
                else:
                    writers.start(put)
                tell()
        if len(self._sinks) > 1:  # the last batches were still on their way
            tell()

    def _item(self, bundle: SessionBundle) -> _Item:
        return _Item(bundle, self._digest)

    def make_empty(self) -> None:
        """What holds nothing is made all the same, where it can be."""
        with _loading(self._sinks[0]):
            pass

    def _put(self, parcel: Parcel[_Item], policy: ConflictPolicy, sizer: Sizer, sink: Sink) -> None:
        """Write a parcel; what the sink refuses is adapted or set aside, the rest goes in."""
        began, items = time.perf_counter(), parcel.loads
        while items:
            try:
                result = self._write(sink, items, policy)
            except RecordRejectedError as error:
                items = [one for one in items if self._fits(sink, one, error)]
            except UNREADABLE as error:
                broken = [one for one in items if error in one.failures]
                if not broken:
                    raise
                self._unreadable(broken[0].session_id, error)
                items = [one for one in items if one not in broken]
            except SessionConflictError as error:
                if policy is ConflictPolicy.ERROR:
                    raise
                items = [one for one in items if not self._is_conflict(one, error)]
            else:
                self._write_down(items, result)
                break
        if not parcel.lazy:
            sizer.took(time.perf_counter() - began)

    def _write(self, sink: Sink, items: list[_Item], policy: ConflictPolicy) -> WriteResult:
        def attempt() -> WriteResult:
            for item in items:
                if item.is_spent:
                    item.bundle = self._read_again(item.session_id)
            return sink.write([one.passing() for one in items], policy)

        return patiently(attempt)

    def _read_again(self, session_id: str) -> SessionBundle:
        found = self._source.scan(wanted=lambda one: one == session_id)
        return next(bundle for _, bundle in found)

    def _fits(self, sink: Sink, item: _Item, error: RecordRejectedError) -> bool:
        """Whether a session of a refused batch can be tried again. All are looked at, so that one look is enough."""
        found = item.misfit(sink)
        if found is None and item.session_id == error.session_id:
            found = error.json_path, error.reason
        if found is not None and item.adapter is None and self.adapter.does_anything:
            item.adapter = self.adapter
            self._ledger.note_changes(item.session_id, item.changes_of(self.adapter))
            found = item.misfit(sink)
        if found is not None:
            self._set_aside(item, *found)
        return found is None

    def _is_conflict(self, item: _Item, error: SessionConflictError) -> bool:
        if item.session_id != error.session_id:
            return False
        self._set_aside(item, "session_id", error.reason)
        return True

    def _set_aside(self, item: _Item, json_path: str, reason: str) -> None:
        try:
            self._keep(item, json_path, reason)
        except UNREADABLE as error:  # behind the place that the sink refused
            self._unreadable(item.session_id, error)
        else:
            self._ledger.set_aside(SetAside(item.session_id, json_path, reason))

    def _keep(self, item: _Item, json_path: str, reason: str) -> None:
        if self._quarantine is not None:
            whole = self._read_again(item.session_id) if item.is_spent else item.bundle
            with self._writing_down:
                self._quarantine.add(whole, json_path=json_path, reason=reason)

    def _unreadable(self, session_id: str, error: AgnoCLIError) -> None:
        """The source itself cannot make a session of what it holds; one that is gone meanwhile is none any more."""
        found = unreadable(session_id, error)
        with suppress(SessionNotFoundError):
            patiently(partial(self._keep_raw, found))
            self._ledger.set_aside(found)

    def _keep_raw(self, found: SetAside) -> None:
        if self._quarantine is None:
            return
        source = self._source
        pieces = source.raw(found.session_id) if isinstance(source, Salvageable) else ()
        with self._writing_down:
            self._quarantine.add_raw(
                found.session_id,
                pieces,
                json_path=found.json_path,
                reason=found.reason,
                source=source.address,
            )

    def _write_down(self, items: list[_Item], result: WriteResult) -> None:
        outcomes = {one: name for name in OUTCOMES for one in getattr(result, name)}
        entries = [item.entry(outcomes[item.session_id]) for item in items]
        self._ledger.record(entries)
        for item in items:
            if item.is_spent and item.adapter is not None:
                self._ledger.note_changes(item.session_id, item.changes)
        with self._writing_down:
            self._count(entries)

    def _count(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.done.setdefault(entry.outcome, Counts()).add(entry.runs, entry.bytes)


class _Item(Load):
    """A session on its way, with what is noted of it; of a lazy one, what was counted when it passed last."""

    def __init__(self, bundle: SessionBundle, digest: Digesting) -> None:
        super().__init__(bundle)
        self._digest = digest
        self.adapter: Adapter | None = None
        self.changes: list[Change] = []
        self.failures: list[AgnoCLIError] = []
        """Of the source, while its runs were read."""
        self.is_spent = False
        """Its runs were a stream, which has been read."""
        self._digests = digest(bundle.session)
        if isinstance(bundle.runs, tuple):
            self._digests.drain(bundle.runs)

    def passing(self) -> SessionBundle:
        """What the sink gets: once more from its beginning whenever it is called."""
        bundle, self.changes = self.bundle, []
        if self.lazy:
            self.is_spent = True
            self._digests = self._digest(bundle.session)
            self.runs, self.bytes = 0, session_bytes(bundle.session)
            bundle = noting(bundle, self.failures)
            bundle = SessionBundle(bundle.session, self._counted(bundle.runs))
        return bundle if self.adapter is None else self.adapter.adapt(bundle, self.changes)

    def _counted(self, runs: Iterable[Run]) -> Iterator[Run]:
        for run in self._digests.watch(runs):
            self.runs += 1
            self.bytes += len(run.run_data)
            yield run

    def misfit(self, sink: Sink) -> tuple[str, str] | None:
        """Where and why the sink would refuse it. Of a stream only the session can be looked at."""
        bundle = self.bundle if self.adapter is None else self.adapter.adapt(self.bundle)
        if not isinstance(bundle.runs, tuple):
            bundle = SessionBundle(bundle.session, ())
        return misfit(bundle, sink.capabilities)

    def changes_of(self, adapter: Adapter) -> list[Change]:
        """Of a stream they are known when it has passed."""
        changes: list[Change] = []
        if isinstance(self.bundle.runs, tuple):
            adapter.adapt(self.bundle, changes)
        return changes

    def entry(self, outcome: str) -> Entry:
        digests = self._digests
        return Entry(
            session_id=self.session_id,
            outcome=outcome,
            digest=digests.exact,
            runs=self.runs,
            bytes=self.bytes,
            adapted=self.adapter is not None,
            alike=digests.alike,
            respelled=digests.respelled,
        )


def _digesting(verify: Verify, can: Capabilities) -> Digesting:
    if verify is Verify.NONE:
        return lambda session: NoDigests()
    by_value = verify is Verify.FULL and can.respells_json
    return partial(Digests, can=can, by_value=by_value)


def _loading(sink: Sink) -> AbstractContextManager[None]:
    return sink.loading() if isinstance(sink, Loader) else nullcontext()
