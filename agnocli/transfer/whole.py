"""Two places compared as wholes: what differs, what only one of them has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from agnocli.abc import Capabilities, Readable, Sink, Source
from agnocli.errors import AgnoCLIError
from agnocli.transfer.ends import check_ends, ids_of, total
from agnocli.transfer.idset import IdSet
from agnocli.transfer.options import Counts, Observer, Phase, Progress, TransferOptions
from agnocli.transfer.select import Selection
from agnocli.transfer.verify import MISSING, Pairs, Verdict


class WholeComparison(msgspec.Struct, kw_only=True):
    """`findings` are (session id, finding, where): different, missing, extra, unreadable."""

    source: str
    target: str
    same: Counts
    findings: list[tuple[str, str, str]]
    respelled: dict[str, int]
    seconds: float

    @property
    def is_same(self) -> bool:
        return not self.findings

    def rows(self) -> Iterator[dict[str, object]]:
        for session_id, finding, where in self.findings:
            yield {"session_id": session_id, "finding": finding, "where": where}

    def ids(self, finding: str) -> list[str]:
        return [session_id for session_id, found, _ in self.findings if found == finding]

    def as_json(self) -> dict[str, Any]:
        counts = {
            kind: len(self.ids(kind)) for kind in ("different", "missing", "extra", "unreadable")
        }
        return {
            "source": self.source,
            "target": self.target,
            "sessions": {"same": self.same.sessions, **counts},
            "runs": {"same": self.same.runs},
            "bytes": self.same.bytes,
            "seconds": self.seconds,
            "different": [
                {"session_id": one, "where": where}
                for one, finding, where in self.findings
                if finding == "different"
            ],
            "missing": self.ids("missing"),
            "extra": self.ids("extra"),
            "unreadable": self.ids("unreadable"),
            "respelled": self.respelled,
        }

    def in_words(self) -> str:
        same = f"{self.same.sessions:,} sessions with {self.same.runs:,} runs are the same"
        if self.is_same:
            return same
        kinds = ("different", "missing", "extra", "unreadable")
        counts = {kind: len(self.ids(kind)) for kind in kinds}
        return ", ".join(
            [same, *(f"{number:,} {kind}" for kind, number in counts.items() if number)]
        )


def compare(source: Source, copy: Source, observer: Observer) -> WholeComparison:
    """Everything at both places, by value, in both directions."""
    sink: Any = copy
    check_ends(source, sink)
    if isinstance(copy, Readable):
        next(copy.ids(), None)  # a place that is not there is an error, not an empty one
    began = time.monotonic()
    everything = TransferOptions()
    selection = Selection(source, everything)
    findings: list[tuple[str, str, str]] = []

    def unreadable(session_id: str, error: AgnoCLIError) -> None:
        findings.append((session_id, "unreadable", error.message))

    same, respelled, wanted_total = Counts(), dict[str, int](), total(source, selection)
    pairs = Pairs(source, copy, selection, _can(source, sink), unreadable=unreadable)
    with IdSet() as seen:
        for verdict in pairs.verdicts():
            seen.update([verdict.session_id])
            _sort(verdict, same, respelled, findings)
            observer(_progress(same, wanted_total))
        extra = (one for one in ids_of(copy) if one not in seen)
        findings += ((one, "extra", "only in the target") for one in extra)
    return WholeComparison(
        source=source.address,
        target=copy.address,
        same=same,
        findings=findings,
        respelled=respelled,
        seconds=round(time.monotonic() - began, 3),
    )


def _sort(
    verdict: Verdict,
    same: Counts,
    respelled: dict[str, int],
    findings: list[tuple[str, str, str]],
) -> None:
    if verdict.where is None:
        same.add(verdict.runs, verdict.bytes)
        for kind in verdict.respelled:
            respelled[kind] = respelled.get(kind, 0) + 1
    elif verdict.where == MISSING:
        findings.append((verdict.session_id, "missing", "only in the source"))
    else:
        findings.append((verdict.session_id, "different", verdict.where))


def _can(source: Any, copy: Sink) -> Capabilities:
    """What either of the two cannot keep makes no difference."""
    one, other = source.capabilities, copy.capabilities
    return msgspec.structs.replace(
        other,
        keeps_null_kind=one.keeps_null_kind and other.keeps_null_kind,
        keeps_expiry=one.keeps_expiry and other.keeps_expiry,
    )


def _progress(same: Counts, total: int | None) -> Progress:
    return Progress(
        phase=Phase.VERIFY, sessions=same.sessions, runs=same.runs, bytes=same.bytes, total=total
    )
