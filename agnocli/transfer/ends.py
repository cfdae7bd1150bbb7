"""What can be known of a source and a sink before anything is moved, and of both when it was."""

from __future__ import annotations

from collections.abc import Iterator

from agnocli.abc import Capabilities, Marked, Readable, Searchable, SessionQuery, Sink, Source
from agnocli.errors import AgnoCLIError, BackendNotSetUpError, UsageError
from agnocli.records import SessionBundle
from agnocli.transfer.idset import IdSet
from agnocli.transfer.ledger import Ledger
from agnocli.transfer.select import Selection
from agnocli.transfer.verify import Pairs, Verdict


def check_ends(source: Source, sink: Sink) -> None:
    """UsageError for a place that would be copied onto itself."""
    if source.address == sink.address and source.address != "memory://":
        raise UsageError(
            f"source and target are the same place: {source.address}", hint="name another target"
        )


def version_of(source: Source) -> str | None:
    """None where nobody can tell at once whether something was written there."""
    return source.version() if isinstance(source, Marked) else None


def total(source: Source, selection: Selection) -> int | None:
    """How many sessions are meant, where that can be known without reading all."""
    if selection.total is not None:
        return selection.total
    if not isinstance(source, Searchable) or not selection.is_all:
        return None
    return source.find(SessionQuery(limit=1)).total


def others(source: Source) -> dict[str, int]:
    """What else is at the source, which no transfer copies, with the number of its records."""
    inspect = getattr(source, "inspect", None)
    return dict(inspect().others) if inspect is not None else {}


def ids_of(source: Source) -> Iterator[str]:
    """None of a place where nothing was ever written."""
    try:
        if isinstance(source, Readable):
            yield from source.ids()
        else:
            yield from (bundle.session.session_id for _, bundle in source.scan())
    except BackendNotSetUpError:
        return


def stored(sink: Readable, ids: list[str]) -> Iterator[SessionBundle]:
    try:
        yield from sink.read(ids)
    except BackendNotSetUpError:
        return


def compared_to(
    source: Source, copy: Source, selection: Selection, can: Capabilities, ledger: Ledger
) -> Iterator[Verdict]:
    """Sessions that are at both places."""
    with IdSet(ids_of(copy)) as there:
        if not len(there):
            return

        def wanted(session_id: str) -> bool:
            return session_id in there and not ledger.knows(session_id)

        pairs = Pairs(source, copy, selection, can, unreadable=_ignored)
        yield from pairs.verdicts(wanted)


def _ignored(session_id: str, error: AgnoCLIError) -> None:
    """It is told of when it is to be copied."""
