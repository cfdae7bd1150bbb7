"""What is wrong with stored sessions, and which of it can be mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from agnocli import codec
from agnocli.abc import BackendReport
from agnocli.errors import AgnoCLIError, CodecError
from agnocli.layout.derive import HIDDEN_STATUSES
from agnocli.messages import Message, messages
from agnocli.records import SESSION_DOCUMENTS, Document, Run, Session, SessionBundle
from agnocli.run import RunStatus
from agnocli.secrets import Detector
from agnocli.sessions.redact import Cleaner

REPEATED = ("status", "parent_run_id", "agent_id", "team_id", "workflow_id")
"""Columns of a run that repeat what its document says. Agno reads now the one and now the other."""
IDS = ("run_id", "session_id")
SHOWN = 6
"""Of a long list, so many."""


class Check(StrEnum):
    ORPHAN = "orphan runs"
    INDEX = "run_index"
    STALE = "stale RUNNING"
    COLUMNS = "columns"
    IDS = "ids"
    OWNER = "owner"
    TOOL_CALLS = "tool calls"
    UNDECODABLE = "undecodable"
    UNREADABLE = "unreadable"
    LAYOUT = "layout"
    SECRETS = "secrets"


MENDED = frozenset({Check.ORPHAN, Check.INDEX, Check.STALE, Check.COLUMNS})
"""What `mend` of `sessions.repair` knows how to put right."""

FIXES = {
    Check.ORPHAN: "--fix gives them a session, --orphans delete deletes them",
    Check.INDEX: "--fix numbers the runs anew, in the order in which they are read now",
    Check.STALE: "--fix marks it as interrupted; what was said stays",
    Check.COLUMNS: "--fix sets the columns to what the run's document says",
    Check.IDS: "export the session, put the ids right in the file, and import that",
    Check.OWNER: "look at it: a program answered in another user's session; agno sessions inspect",
    Check.TOOL_CALLS: "nothing to do here, where such calls are left out when history is sent; other programs "
    "may be refused by the model: delete the run or go on in a fork",
    Check.UNDECODABLE: "agno sessions export keeps it as it is; put the JSON right in the file, and import that",
    Check.UNREADABLE: "put the record right where it is stored, or delete the session",
    Check.LAYOUT: "agno migrate copies everything in the layout of Agno 3 to another place",
    Check.SECRETS: "change the secret; what is shared with agno sessions export --redact does not hold it",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """`session_id` is None for what is true of the whole place, `run_id` for what is no single run's."""

    check: Check
    detail: str
    session_id: str | None = None
    run_id: str | None = None

    @property
    def fix(self) -> str:
        return FIXES[self.check]

    @property
    def can_be_mended(self) -> bool:
        return self.check in MENDED


class Inspector:
    """`is_stale` says of a run that is RUNNING whether it will ever end; `detector` looks for secrets, if given."""

    def __init__(self, is_stale: Callable[[Run], bool], detector: Detector | None = None) -> None:
        self._is_stale, self._detector = is_stale, detector

    def problems(self, bundle: SessionBundle) -> Iterator[Problem]:
        """As the runs go by, each held by itself."""
        session, indexes = bundle.session, _Indexes()
        yield from self._of_session(session)
        for run in bundle.runs:
            indexes.add(run.run_index)
            for check, detail in self._of_run(run, session):
                yield Problem(
                    check=check, detail=detail, session_id=session.session_id, run_id=run.run_id
                )
        if detail := indexes.in_words():
            yield Problem(check=Check.INDEX, detail=detail, session_id=session.session_id)

    def _of_session(self, session: Session) -> Iterator[Problem]:
        broken = [one for one in SESSION_DOCUMENTS if not _decodes(getattr(session, one))]
        if broken:
            detail = f"{', '.join(broken)} of the session cannot be decoded"
            yield Problem(check=Check.UNDECODABLE, detail=detail, session_id=session.session_id)
        if found := self._secrets(lambda cleaner: cleaner.session(session)):
            yield Problem(
                check=Check.SECRETS, detail=f"the session: {found}", session_id=session.session_id
            )

    def _of_run(self, run: Run, session: Session) -> Iterator[tuple[Check, str]]:
        if None not in (run.user_id, session.user_id) and run.user_id != session.user_id:
            yield Check.OWNER, f"a run of user {run.user_id!r} in a session of {session.user_id!r}"
        if found := self._secrets(lambda cleaner: cleaner.run(run)):
            yield Check.SECRETS, found
        try:
            data = codec.decode(run.run_data)
        except CodecError as error:
            yield Check.UNDECODABLE, f"run_data: {error.message}"
            return
        if not isinstance(data, dict):
            yield Check.UNDECODABLE, "run_data is no JSON object"
            return
        yield from self._of_data(run, data)

    def _of_data(self, run: Run, data: Mapping[str, Any]) -> Iterator[tuple[Check, str]]:
        if self._is_stale(run):
            yield Check.STALE, "is RUNNING, and nobody is at work on it"
        for check, names in ((Check.IDS, IDS), (Check.COLUMNS, REPEATED)):
            if differing := list(_differing(run, data, names)):
                yield check, "; ".join(differing)
        is_sent = run.status not in HIDDEN_STATUSES and run.status != RunStatus.RUNNING
        if is_sent and (unpaired := _unpaired(list(messages(run)))):
            yield Check.TOOL_CALLS, unpaired

    def _secrets(self, look: Callable[[Cleaner], object]) -> str:
        if self._detector is None:
            return ""
        cleaner = Cleaner(self._detector)
        look(cleaner)
        return ", ".join(f"{kind} ({number})" for kind, number in sorted(cleaner.found.items()))


def unreadable(session_id: str, error: AgnoCLIError) -> list[Problem]:
    return [Problem(check=Check.UNREADABLE, detail=error.message, session_id=session_id)]


def of_place(report: BackendReport) -> Iterator[Problem]:
    if report.layout in ("v2", "mixed"):
        where = "beside the runs of Agno 3" if report.layout == "mixed" else "alone"
        detail = f"{report.layout}: session rows have Agno 2's place for runs, {where}; they are read from there"
        yield Problem(check=Check.LAYOUT, detail=detail)


def orphans(runs: Sequence[Run]) -> Problem:
    """Those of one session."""
    named = _some([run.run_id for run in runs])
    return Problem(
        check=Check.ORPHAN,
        detail=f"runs that the session does not know of, or that name one which is not there: {named}",
        session_id=runs[0].session_id,
    )


class _Indexes:
    """Whether runs in the order in which they are read are numbered 0, 1, 2 …"""

    def __init__(self) -> None:
        self._count = self._without = self._twice = self._gaps = 0
        self._last: int | None = None
        self._are_right = True

    def add(self, index: int | None) -> None:
        self._are_right &= index == self._count
        self._count += 1
        if index is None:
            self._without += 1
            return
        before = -1 if self._last is None else self._last
        self._twice += index == self._last
        self._gaps += index > before + 1
        self._last = index

    def in_words(self) -> str:
        if self._are_right:
            return ""
        counts = (
            (self._without, "without an index"),
            (self._twice, "with the index of the one before"),
            (self._gaps, "behind a gap"),
        )
        told = [f"{number} {what}" for number, what in counts if number]
        return f"of {self._count} runs {', '.join(told) or 'some are out of order'}"


def _decodes(document: Document | None) -> bool:
    if document is None:
        return True
    try:
        codec.decode(document)
    except CodecError:
        return False
    return True


def _differing(run: Run, data: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """What a document does not say makes no difference."""
    for name in names:
        column, told = getattr(run, name), data.get(name)
        if isinstance(told, str) and told != column:
            yield f"{name} is {column!r} in the column, {told!r} in run_data"


def _unpaired(said: Sequence[Message]) -> str:
    own = [one for one in said if not one.from_history]
    asked = Counter(call.id for one in own for call in one.tool_calls)
    answered = Counter(one.tool_call_id for one in own if one.role == "tool")
    told = [
        f"{_some(list(ids.elements()))} {what}"
        for ids, what in (
            (asked - answered, "calls without a result"),
            (answered - asked, "results that were not asked for"),
        )
        if ids
    ]
    return "; ".join(told)


def _some(ids: Sequence[str | None]) -> str:
    """How many, and the first of them."""
    named = ", ".join(str(one) for one in ids[:SHOWN])
    return f"{len(ids)} ({named}{', …' if len(ids) > SHOWN else ''})"
