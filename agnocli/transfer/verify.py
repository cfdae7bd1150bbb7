"""Whether a copy holds what its source holds: both are read again and compared by value."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial

import msgspec

from agnocli.abc import Capabilities, Readable, Source, Wanted
from agnocli.errors import AgnoCLIError, BackendNotSetUpError
from agnocli.layout.compare import BundleDigest, Comparison, as_told, to_the_byte
from agnocli.records import SessionBundle
from agnocli.transfer.batching import Load, Parcel, ReadAhead, Sizer, batches
from agnocli.transfer.idset import IdSet
from agnocli.transfer.ledger import Entry, Job, Ledger
from agnocli.transfer.reading import UNREADABLE, Reading, noting, patiently
from agnocli.transfer.select import Selection

Adapt = Callable[[SessionBundle], SessionBundle]
"""What was written instead of a session, where a policy had to change it."""


class Verdict(msgspec.Struct, frozen=True):
    """`where` is None when the copy is the same. `digest` of the source's session, as in the ledger, when it is not."""

    session_id: str
    where: str | None
    runs: int = 0
    bytes: int = 0
    respelled: frozenset[str] = frozenset()
    digest: str = ""


MISSING = "is missing"
READERS = 2
"""Threads that read copies."""
COMPARED_BYTES = 2 * 2**20
"""That are read of each side before they are compared."""


class Pairs:
    """Every meant session of a source beside its copy, whichever of the two can be read by id."""

    def __init__(
        self,
        source: Source,
        copy: Source,
        selection: Selection,
        can: Capabilities,
        *,
        adapt: Adapt = lambda bundle: bundle,
        unreadable: Callable[[str, AgnoCLIError], None],
    ) -> None:
        self._source, self._copy, self._selection = source, copy, selection
        self._can, self._adapt, self._unreadable = can, adapt, unreadable

    def verdicts(self, wanted: Wanted | None = None) -> Iterator[Verdict]:
        if isinstance(self._copy, Readable):
            return self._from_source(self._copy, wanted)
        if isinstance(self._source, Readable):
            return self._from_copy(self._source, wanted)
        return self._by_digest(wanted)

    def _from_source(self, copy: Readable, wanted: Wanted | None) -> Iterator[Verdict]:
        """While one parcel is compared, the copies of the next ones are read."""
        reading: deque[tuple[Parcel[Load], Future[list[SessionBundle] | None]]] = deque()
        with ThreadPoolExecutor(READERS, thread_name_prefix="agnocli-read-copy") as readers:
            for parcel in self._parcels(self._source, wanted):
                while reading and (parcel.lazy or len(reading) == READERS):
                    yield from self._compared(copy, *reading.popleft())
                if parcel.lazy:
                    yield from patiently(partial(self._compare, copy, parcel))
                else:
                    begun = readers.submit(patiently, partial(_read_whole, copy, parcel))
                    reading.append((parcel, begun))
            while reading:
                yield from self._compared(copy, *reading.popleft())

    def _compared(
        self,
        copy: Readable,
        parcel: Parcel[Load],
        reading: Future[list[SessionBundle] | None],
    ) -> list[Verdict]:
        copies = reading.result()
        if copies is None:
            return patiently(partial(self._compare, copy, parcel))
        return self._verdicts({one.session_id: one.bundle for one in parcel.loads}, copies)

    def _compare(self, copy: Readable, parcel: Parcel[Load]) -> list[Verdict]:
        ones = {one.session_id: one.bundle for one in parcel.loads}
        if parcel.spent:
            ones |= _again(self._source, ones)
        parcel.spent = parcel.lazy
        failures: list[AgnoCLIError] = []
        noted = {session_id: noting(one, failures) for session_id, one in ones.items()}
        try:
            return self._verdicts(noted, _read(copy, list(ones)))
        except UNREADABLE as error:
            if error not in failures:
                raise
            self._unreadable(parcel.loads[0].session_id, error)
            return []

    def _verdicts(
        self, ones: dict[str, SessionBundle], copies: Iterable[SessionBundle]
    ) -> list[Verdict]:
        found = [self._verdict(ones[one.session.session_id], one) for one in copies]
        seen = {one.session_id for one in found}
        return found + [self._missing(ones[one]) for one in ones if one not in seen]

    def _from_copy(self, source: Readable, wanted: Wanted | None) -> Iterator[Verdict]:
        """The copy is read in its own order; what it has not is missing."""
        with IdSet() as seen:
            for parcel in self._parcels(self._copy, wanted):
                others = {one.session.session_id: one for one in parcel.bundles}
                seen.update(others)
                for one in source.read(list(others)):
                    yield self._verdict(one, others[one.session.session_id])
            for session_id in source.ids():
                meant = self._selection.wanted(session_id) and (
                    wanted is None or wanted(session_id)
                )
                if meant and session_id not in seen:
                    yield Verdict(session_id, MISSING)

    def _by_digest(self, wanted: Wanted | None) -> Iterator[Verdict]:
        with Ledger(None, Job("", "", "")) as copies:
            for bundle in self._reading(self._copy, wanted):
                digest = BundleDigest(bundle.session).drain(bundle.runs)
                copies.record([Entry(bundle.session.session_id, "", digest, 0, 0)])
            for bundle in self._reading(self._source, wanted):
                session_id = bundle.session.session_id
                entry = copies.entry(session_id)
                digest = BundleDigest(bundle.session).drain(bundle.runs)
                where = MISSING if entry is None else None if entry.digest == digest else "session"
                yield Verdict(session_id, where)

    def _reading(
        self, source: Source, wanted: Wanted | None
    ) -> Generator[SessionBundle, None, None]:
        return Reading(source, self._selection, wanted, self._unreadable).bundles()

    def _parcels(self, source: Source, wanted: Wanted | None) -> Iterator[Parcel[Load]]:
        bundles = self._reading(source, wanted)
        with closing(bundles), ReadAhead(bundles, Load) as ahead:
            yield from batches(ahead, Sizer(COMPARED_BYTES))

    def _verdict(self, one: SessionBundle, other: SessionBundle) -> Verdict:
        compared = Comparison(self._adapt(one), other, self._can)
        return Verdict(
            one.session.session_id,
            compared.difference,
            compared.runs,
            compared.bytes,
            frozenset(compared.respelled),
            self._digest(one) if compared.difference else "",
        )

    def _missing(self, one: SessionBundle) -> Verdict:
        return Verdict(one.session.session_id, MISSING, digest=self._digest(one))

    def _digest(self, bundle: SessionBundle) -> str:
        """As the ledger has it; empty when the runs were a stream."""
        if not isinstance(bundle.runs, tuple):
            return ""
        return BundleDigest(as_told(bundle.session, self._can), to_the_byte).drain(bundle.runs)


def _again(source: Source, ids: Iterable[str]) -> dict[str, SessionBundle]:
    wanted = frozenset(ids)
    found = source.scan(wanted=wanted.__contains__)
    return {bundle.session.session_id: bundle for _, bundle in found}


def _read_whole(copy: Readable, parcel: Parcel[Load]) -> list[SessionBundle] | None:
    """The copies of a parcel; None when one is too large to be held, which its source is not."""
    found: list[SessionBundle] = []
    for bundle in _read(copy, [one.session_id for one in parcel.loads]):
        if not isinstance(bundle.runs, tuple):
            return None
        found.append(bundle)
    return found


def _read(copy: Readable, ids: list[str]) -> Iterator[SessionBundle]:
    try:
        yield from copy.read(ids)
    except BackendNotSetUpError:  # nothing was ever written there
        return
