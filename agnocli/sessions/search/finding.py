"""The texts that answer a query: the best ones out of all of a backend, by the index or without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice

import msgspec
from msgspec.structs import replace

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
    """A part that matches. `print` tells its text from another; `session` is not known before it is confirmed."""

    session_id: str
    order: int
    score: float
    print: int
    snippet: str
    matches: int
    part: Part
    session: SessionInfo | None = None


class Best:
    """The first so many leads in rank, of all that are added."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern, self._query = pattern, pattern.query
        self._leads: list[Lead] = []
        self._of_session: dict[str, Lead] = {}
        self._worst: Rank | None = None
        self.hits: Counter[str] = Counter()

    def add(
        self, part: Part, session_id: str, order: int, session: SessionInfo | None = None
    ) -> None:
        """If it matches."""
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
            print=hash(part.text),
            snippet=snippet(part.text, spans, self._query.context),
            matches=sum(map(len, spans)),
            part=replace(part, text=""),
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
        return self._place(lead.score, lead.part.at, lead.session_id, lead.order)

    def _place(self, points: float, at: int, session_id: str, order: int) -> Rank:
        """Smaller comes first; ties by session, and within one as it was said."""
        first, second = (at, points) if self._query.latest else (points, at)
        return -first, -second, session_id, order

    def found(
        self,
        leads: list[Lead],
        infos: list[SessionInfo | None],
        sessions: int,
        unreadable: Mapping[str, int],
    ) -> Found:
        """Takes the leads, each with its session, None where it was not confirmed."""
        return Found(
            hits=tuple(self._hits(leads, infos)),
            total=self.hits.total(),
            in_sessions=len(self.hits),
            sessions=sessions,
            unreadable=unreadable,
        )

    def _hits(self, leads: list[Lead], infos: list[SessionInfo | None]) -> Iterator[Hit]:
        """There may be very many: a lead goes when its hit comes."""
        leads.reverse()
        for info in infos:
            lead = leads.pop()
            if info is not None:
                yield self._hit(lead, info)

    def _hit(self, lead: Lead, session: SessionInfo) -> Hit:
        part = lead.part
        return Hit(
            session_id=lead.session_id,
            run_id=part.run_id or None,
            role=part.role or None,
            snippet=lead.snippet,
            score=lead.score,
            kind=part.kind,
            run=part.run,
            matches=lead.matches,
            hits=self.hits[lead.session_id] if self._query.by_session else 1,
            at=part.at,
            session=session,
        )


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
    leads = best.leads()
    return best.found(leads, [one.session for one in leads], number, unreadable)


def by_index(backend: Backend, pattern: Pattern, index: Index, watcher: Watcher) -> Found:
    """What the index has, each hit looked up in the backend before it counts as one."""
    query = pattern.query
    for attempt in range(_ROUNDS):
        refresh(backend, index, watcher)
        wanted = chosen_ids(backend, query.sessions)
        best = Best(pattern)
        for session_id, order, part in index.candidates(
            pattern.trigrams(), query.kinds, query.roles
        ):
            if wanted is None or session_id in wanted:
                best.add(part, session_id, order)
        leads = best.leads()
        infos = confirmed(backend, leads)
        stale = {one.session_id for one, info in zip(leads, infos, strict=True) if info is None}
        if not stale or attempt == _ROUNDS - 1:
            break
        index.unmark(stale)
    unreadable = {
        one: number for one, number in index.unreadable().items() if wanted is None or one in wanted
    }
    searched = index.count() if wanted is None else len(wanted)
    return best.found(leads, infos, searched, unreadable)


def confirmed(backend: Backend, leads: Sequence[Lead]) -> list[SessionInfo | None]:
    """The session of each lead whose text is in the backend as it is in the index."""
    of_session: dict[str, list[int]] = {}
    for place, lead in enumerate(leads):
        of_session.setdefault(lead.session_id, []).append(place)
    there: list[SessionInfo | None] = [None] * len(leads)
    ids = iter(of_session)
    while chunk := list(islice(ids, _AT_ONCE)):
        for bundle in backend.read(chunk):
            asked = of_session[bundle.session.session_id]
            prints = _prints(bundle, {leads[place].part.run_id for place in asked})
            info = session_info(bundle.session, runs=0, status=None)
            for place in asked:
                if (leads[place].part.run_id, leads[place].print) in prints:
                    there[place] = info
    return there


def _prints(bundle: SessionBundle, run_ids: Collection[str]) -> set[tuple[str, int]]:
    session, runs = bundle
    found = {("", hash(part.text)) for part in of_session(session)} if "" in run_ids else set()
    with suppress(CodecError):  # what Agno 2 left in the session's row
        for run in runs:
            if run.run_id in run_ids:
                said = of_run(run, session, 0)
                found |= {(run.run_id, hash(one.text)) for one in said if isinstance(one, Part)}
    return found


def chosen_ids(backend: Backend, query: SessionQuery) -> set[str] | None:
    """The sessions a listing of these filters would show; None for all."""
    if query == SessionQuery(sort=query.sort, reverse=query.reverse, limit=query.limit):
        return None
    return {info.session_id for info in listed(backend, query)}
