"""The texts that answer a query: the best ones out of all of a backend, by the index or without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from itertools import islice

import msgspec

from agnocli.abc import Backend, SessionQuery
from agnocli.errors import CodecError
from agnocli.layout.derive import session_info
from agnocli.layout.filter import listed
from agnocli.records import SessionBundle, SessionInfo
from agnocli.sessions.search.index import Index
from agnocli.sessions.search.parts import Part, Unreadable, of_run, of_session, parts
from agnocli.sessions.search.query import Pattern
from agnocli.sessions.search.ranking import score, snippet
from agnocli.sessions.search.refresh import refresh
from agnocli.sessions.search.watching import Watcher

_AT_ONCE = 200
"""Sessions whose hits are looked at again together."""
_ROUNDS = 3
"""Times the index is mended when the backend changes under the search."""
_SPARE = 200

Rank = tuple[float, float, str, int]


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A text that has what was looked for.

    `run_id` and `role` are None and `run` 0 where it is the session's own. `matches` are places in this text, `hits` all
    texts of its session if it stands for them (`by_session`), else 1. `session` has no number of runs, and no status.
    """

    session_id: str
    run_id: str | None
    role: str | None
    snippet: str
    score: float
    kind: str
    run: int
    matches: int
    hits: int
    at: int
    session: SessionInfo


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`total` counts all hits, `in_sessions` the sessions they are in; `sessions` were searched.

    `unreadable` are runs that could not be, by session.
    """

    hits: tuple[Hit, ...]
    total: int
    in_sessions: int
    sessions: int
    unreadable: Mapping[str, int] = {}


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """A part that matches. `print` tells its text from another.

    Snippet and session are there when the text comes from the backend; one from the index is looked up first.
    """

    session_id: str
    order: int
    score: float
    kind: str
    role: str
    run_id: str
    run: int
    at: int
    matches: int
    print: int
    snippet: str = ""
    session: SessionInfo | None = None


class Best:
    """The first so many leads in rank, of all that are added; `hits` counts them all, by session."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern, self._query = pattern, pattern.query
        self._leads: list[Lead] = []
        self._of_session: dict[str, Lead] = {}
        self._worst: Rank | None = None
        self.hits: Counter[str] = Counter()

    def add(
        self, part: Part, session_id: str, order: int, session: SessionInfo | None = None
    ) -> None:
        """If it matches; with its session when that was just read."""
        if not (spans := self._pattern.spans(part.text)):
            return
        self.hits[session_id] += 1
        points = score(part, spans)
        if not self._is_good(self._place(points, part.at, session_id, order), session_id):
            return
        lead = Lead(
            session_id=session_id,
            order=order,
            score=points,
            kind=part.kind,
            role=part.role,
            run_id=part.run_id,
            run=part.run,
            at=part.at,
            matches=sum(map(len, spans)),
            print=hash(part.text),
            snippet="" if session is None else snippet(part.text, spans, self._query.context),
            session=session,
        )
        self._keep(lead)

    def _is_good(self, rank: Rank, session_id: str) -> bool:
        if self._query.by_session:
            known = self._of_session.get(session_id)
            return known is None or rank < self._rank(known)
        return self._worst is None or rank < self._worst

    def _keep(self, lead: Lead) -> None:
        if self._query.by_session:
            self._of_session[lead.session_id] = lead
            return
        self._leads.append(lead)
        limit = self._query.limit
        if limit is not None and len(self._leads) > 2 * limit + _SPARE:
            self._leads = self.leads()
            self._worst = self._rank(self._leads[-1])

    def leads(self) -> list[Lead]:
        found = self._of_session.values() if self._query.by_session else self._leads
        return sorted(found, key=self._rank)[: self._query.limit]

    def _rank(self, lead: Lead) -> Rank:
        return self._place(lead.score, lead.at, lead.session_id, lead.order)

    def _place(self, points: float, at: int, session_id: str, order: int) -> Rank:
        """Smaller comes first; ties by session, and within one as it was said."""
        first, second = (at, points) if self._query.latest else (points, at)
        return -first, -second, session_id, order

    def hit(self, lead: Lead, session: SessionInfo, text: str) -> Hit:
        return Hit(
            session_id=lead.session_id,
            run_id=lead.run_id or None,
            role=lead.role or None,
            snippet=text,
            score=lead.score,
            kind=lead.kind,
            run=lead.run,
            matches=lead.matches,
            hits=self.hits[lead.session_id] if self._query.by_session else 1,
            at=lead.at,
            session=session,
        )

    def confirmed(self, backend: Backend, leads: list[Lead]) -> tuple[list[Hit], set[str]]:
        """Hits whose texts are in the backend as they are in the index, and sessions in which one is not.

        There may be very many leads: each gives way to its hit.
        """
        of_session: dict[str, list[int]] = {}
        for place, lead in enumerate(leads):
            of_session.setdefault(lead.session_id, []).append(place)
        found: list[Lead | Hit] = [*leads]
        leads.clear()
        self._leads.clear()
        ids = iter(of_session)
        while chunk := list(islice(ids, _AT_ONCE)):
            for bundle in backend.read(chunk):
                self._confirm(bundle, found, of_session[bundle.session.session_id])
        hits = [one for one in found if isinstance(one, Hit)]
        return hits, {one.session_id for one in found if isinstance(one, Lead)}

    def _confirm(
        self, bundle: SessionBundle, found: list[Lead | Hit], places: Sequence[int]
    ) -> None:
        leads = [(place, one) for place in places if isinstance(one := found[place], Lead)]
        info = session_info(bundle.session, runs=0, status=None)
        texts = _texts(bundle, {lead.run_id for _, lead in leads})
        for place, lead in leads:
            if (text := texts.get((lead.run_id, lead.print))) is not None:
                spans = self._pattern.spans(text)
                found[place] = self.hit(lead, info, snippet(text, spans, self._query.context))

    def found(self, hits: Sequence[Hit], sessions: int, unreadable: Mapping[str, int]) -> Found:
        return Found(
            hits=tuple(hits),
            total=self.hits.total(),
            in_sessions=len(self.hits),
            sessions=sessions,
            unreadable=unreadable,
        )


def _texts(bundle: SessionBundle, run_ids: Collection[str]) -> dict[tuple[str, int], str]:
    """The texts of some runs, and the session's own, by run and print."""
    session, runs = bundle
    found = {("", hash(part.text)): part.text for part in of_session(session)}
    with suppress(CodecError):  # what Agno 2 left in the session's row
        for run in runs:
            if run.run_id in run_ids:
                said = of_run(run, session, 0)
                texts = (part.text for part in said if isinstance(part, Part))
                found |= {(run.run_id, hash(one)): one for one in texts}
    return found


def by_scan(backend: Backend, pattern: Pattern, watcher: Watcher) -> Found:
    """All sessions are read, and the texts of each looked at."""
    best, unreadable, size, number = Best(pattern), Counter[str](), 0, 0
    wanted = chosen_ids(backend, pattern.query.sessions)
    total = backend.find(SessionQuery(limit=1)).total if wanted is None else len(wanted)
    is_wanted = None if wanted is None else wanted.__contains__
    for number, (_, bundle) in enumerate(backend.scan(wanted=is_wanted), 1):
        session_id = bundle.session.session_id
        info = session_info(bundle.session, runs=0, status=None)
        for order, part in enumerate(parts(bundle)):
            if isinstance(part, Unreadable):
                unreadable[session_id] += 1
            else:
                size += len(part.text)
                if pattern.wants(part.kind, part.role):
                    best.add(part, session_id, order, info)
        watcher.read(number, total, size)
    hits = [best.hit(one, one.session, one.snippet) for one in best.leads() if one.session]
    return best.found(hits, number, unreadable)


def by_index(backend: Backend, pattern: Pattern, index: Index, watcher: Watcher) -> Found:
    """What the index has, each hit looked up in the backend before it counts as one."""
    query = pattern.query
    for attempt in range(_ROUNDS):
        refresh(backend, index, watcher)
        wanted = chosen_ids(backend, query.sessions)
        best = Best(pattern)
        candidates = index.candidates(pattern.trigrams(), query.kinds, query.roles)
        for session_id, order, part in candidates:
            if wanted is None or session_id in wanted:
                best.add(part, session_id, order)
        hits, stale = best.confirmed(backend, best.leads())
        if not stale or attempt == _ROUNDS - 1:
            break
        index.unmark(stale)
    unreadable = {
        one: number for one, number in index.unreadable().items() if wanted is None or one in wanted
    }
    return best.found(hits, index.count() if wanted is None else len(wanted), unreadable)


def chosen_ids(backend: Backend, query: SessionQuery) -> set[str] | None:
    """The sessions a listing of these filters would show; None for all."""
    if query == SessionQuery(sort=query.sort, reverse=query.reverse, limit=query.limit):
        return None
    return {info.session_id for info in listed(backend, query)}
