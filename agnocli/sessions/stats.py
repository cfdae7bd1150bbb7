"""Sessions, runs, messages, tokens, bytes, errors and cost, in groups. Holds the groups, never a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import product
from typing import Any

import msgspec

from agnocli import codec
from agnocli.config import Price
from agnocli.errors import CodecError
from agnocli.layout.derive import session_info
from agnocli.layout.readable import seconds
from agnocli.messages import data
from agnocli.records import SESSION_DOCUMENTS, Run, Session, SessionBundle
from agnocli.sessions import spending
from agnocli.sessions.spending import Named, Spent, plainly

PROMPTS = ("system", "developer")
"""Roles that are not counted as messages: the same prompt is stored with every run."""

Key = tuple[str | None, ...]


class Dimension(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    MODEL = "model"
    USER = "user"
    AGENT = "agent"
    TEAM = "team"
    BACKEND = "backend"
    TAG = "tag"


TIMES = {Dimension.DAY: "%Y-%m-%d", Dimension.WEEK: "%G-W%V", Dimension.MONTH: "%Y-%m"}


class Measure(StrEnum):
    """A number of a group, by the name that it has in a row."""

    SESSIONS = "sessions"
    RUNS = "runs"
    MESSAGES = "messages"
    INPUT = "input_tokens"
    OUTPUT = "output_tokens"
    TOKENS = "tokens"
    BYTES = "bytes"
    ERRORS = "errors"
    COST = "cost"


class Group(msgspec.Struct):
    """`cost` is of the tokens that have a price, `unpriced_tokens` are those that have none."""

    sessions: int = 0
    runs: int = 0
    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    tokens: int = 0
    bytes: int = 0
    errors: int = 0
    cost: float | None = None
    unpriced_tokens: int = 0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a group is chosen by."""

    backend: str
    user: str | None
    team: str | None
    tags: tuple[str, ...]
    agent: str | None
    model: str | None
    moment: float | None


class Statistics:
    """`by` may be empty: all is one group. Days, weeks and months are those of this machine's time zone.

    Only runs of since <= t < until count, in epoch seconds, and sessions with such runs or begun then without any.
    """

    def __init__(
        self,
        by: Sequence[Dimension] = (),
        *,
        prices: Mapping[str, Price] | None = None,
        named: Named = plainly,
        since: float | None = None,
        until: float | None = None,
    ) -> None:
        self.by = tuple(by)
        self._since, self._until = since, until
        self.total = Group()
        self.groups: dict[Key, Group] = {} if by else {(): self.total}
        self.copies = self.undecodable = 0
        """Runs that a fork took along, and those that cannot be decoded: their tokens are not counted."""
        self._prices = {name.casefold(): price for name, price in (prices or {}).items()}
        self._named = named
        self.without_price: set[str] = set()
        """Models with tokens that have none; "" where no model is known."""

    def add(self, bundle: SessionBundle, backend: str = "") -> None:
        _OneSession(self, bundle.session, backend).count(bundle)

    def counts(self, moment: float | None) -> bool:
        """Whether that is a time that is asked for."""
        if moment is None:
            return self._since is None and self._until is None
        return (self._since is None or self._since <= moment) and (
            self._until is None or moment < self._until
        )

    def keys(self, facts: Facts) -> list[Key]:
        return list(product(*(_values(facts, dimension) for dimension in self.by)))

    def group(self, key: Key) -> Group:
        return self.groups.setdefault(key, Group())

    def named(self, provider: str | None, model: str | None) -> str | None:
        return self._named(provider, model)

    def cost(self, spent: Spent) -> float | None:
        """None without a price."""
        price = self._price(spent.model)
        if price is None:
            self.without_price.add(spent.model or "")
            return None
        cached = spent.cached if price.cached_apart else min(spent.cached, spent.input)
        fresh = spent.input if price.cached_apart else spent.input - cached
        of_cached = price.cached_input_per_m
        parts = (
            fresh * price.input_per_m,
            cached * (price.input_per_m if of_cached is None else of_cached),
            spent.output * price.output_per_m,
        )
        return sum(parts) / 1e6

    def _price(self, model: str | None) -> Price | None:
        name = (model or "").casefold()
        return self._prices.get(name) or self._prices.get(name.partition(":")[2])


class _OneSession:
    """On its way into the groups, in each of which it counts once."""

    def __init__(self, statistics: Statistics, session: Session, backend: str) -> None:
        self._all, self._session = statistics, session
        info = session_info(session, runs=0, status=None)
        self._facts = Facts(
            backend=backend,
            user=session.user_id,
            team=session.team_id,
            tags=info.tags,
            agent=session.agent_id,
            model=self._model(),
            moment=seconds(session.created_at),
        )
        self._touched: dict[Key, None] = {}
        self._within: dict[str, tuple[Facts, list[Spent]]] = {}
        self._ids: set[str] = set()
        self._of_summaries: list[Spent] = []

    def _model(self) -> str | None:
        owner = _members(self._session, f"{self._session.session_type}_data")
        model = owner.get("model")
        return (
            spending.model_of(_as_run(model), self._all.named) if isinstance(model, dict) else None
        )

    def count(self, bundle: SessionBundle) -> None:
        """What was counted stays when the runs cannot be read to their end."""
        try:
            for run in bundle.runs:
                self._run(run)
        finally:
            self._rest()

    def _run(self, run: Run) -> None:
        self._ids.add(run.run_id)
        if not self._all.counts(seconds(run.created_at)):
            return
        try:
            found: Mapping[str, Any] = data(run)
        except CodecError:
            self._all.undecodable += 1
            found = {}
        facts = self._of_run(run, found)
        said = sum(_is_said(one) for one in _messages(found))
        failed = run.status == "ERROR"
        for group in self._groups(facts):
            group.runs += 1
            group.messages += said
            group.errors += failed
            group.bytes += len(run.run_data)
        if spending.is_copy(found):
            self._all.copies += 1
            return
        self._spend(facts, spending.spent(found, self._all.named))
        for inner in spending.nested(found):
            if isinstance(run_id := inner.get("run_id"), str):
                self._within[run_id] = facts, spending.spent(inner, self._all.named)

    def _of_run(self, run: Run, found: Mapping[str, Any]) -> Facts:
        model = spending.model_of(found, self._all.named) or self._facts.model
        moment = seconds(run.created_at)
        return msgspec.structs.replace(self._facts, agent=run.agent_id, model=model, moment=moment)

    def _groups(self, facts: Facts) -> Iterator[Group]:
        keys = self._all.keys(facts)
        self._touched |= dict.fromkeys(keys)
        if self._all.by:
            yield self._all.total
        yield from (self._all.group(key) for key in keys)

    def _spend(self, facts: Facts, found: Sequence[Spent]) -> None:
        for one in found:
            if one.is_summary:
                self._of_summaries.append(one)
            cost = self._all.cost(one)
            of_model = msgspec.structs.replace(facts, model=one.model or facts.model)
            for group in self._groups(of_model):
                group.input_tokens += one.input
                group.output_tokens += one.output
                group.tokens += one.total
                if cost is None:
                    group.unpriced_tokens += one.total
                else:
                    group.cost = (group.cost or 0.0) + cost

    def _rest(self) -> None:
        """What is known only when all runs were seen: runs within runs that are no copies, summaries, the row."""
        for run_id, (facts, found) in self._within.items():
            if run_id not in self._ids:
                self._spend(facts, found)
        self._summaries()
        if not self._touched and (self._ids or not self._all.counts(self._facts.moment)):
            return
        own = sum(len(getattr(self._session, one) or b"") for one in SESSION_DOCUMENTS)
        keys = list(self._touched) or self._all.keys(self._facts)
        for key in keys:
            self._all.group(key).sessions += 1
        if keys:
            self._all.group(keys[0]).bytes += own
        if self._all.by:
            self._all.total.sessions += 1
            self._all.total.bytes += own

    def _summaries(self) -> None:
        """Of the time when the session changed last: when each was written nobody knows."""
        session_data = _members(self._session, "session_data")
        moment = seconds(self._session.updated_at or self._session.created_at)
        if spending.is_copy(session_data) or not self._all.counts(moment):
            return  # a fork took the count along
        told = spending.summaries(session_data, self._all.named)
        left = [spending.rest(one, self._of_summaries) for one in told]
        facts = msgspec.structs.replace(self._facts, moment=moment)
        self._spend(facts, [one for one in left if one])


def _is_said(message: Mapping[str, Any]) -> bool:
    return message.get("role") not in PROMPTS and not message.get("from_history")


def _messages(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    messages = found.get("messages")
    return (
        (one for one in messages if isinstance(one, dict))
        if isinstance(messages, list)
        else iter(())
    )


def _members(session: Session, column: str) -> Mapping[str, Any]:
    try:
        return codec.members(getattr(session, column, None))
    except CodecError:
        return {}


def _as_run(model: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"model": model.get("id"), "model_provider": model.get("provider")}


def _values(facts: Facts, dimension: Dimension) -> Sequence[str | None]:
    if dimension is Dimension.TAG:
        return facts.tags or (None,)
    if dimension in TIMES:
        return (_period(facts.moment, TIMES[dimension]),)
    value: str | None = getattr(facts, dimension.value)
    return (value,)


def _period(moment: float | None, form: str) -> str | None:
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment).strftime(form)  # noqa: DTZ006 - days are local
    except (ValueError, OverflowError, OSError):
        return None


Rank = Callable[[Group], float]


def ranked(statistics: Statistics, measure: Measure, top: int | None) -> list[tuple[Key, Group]]:
    """Groups, the largest first; in the order of time where they are by time. `top`: only the largest so many."""

    def size(item: tuple[Key, Group]) -> tuple[float, int, tuple[str, ...]]:
        key, group = item
        return -(getattr(group, measure) or 0), -group.runs, tuple(one or "" for one in key)

    found = sorted(statistics.groups.items(), key=size)[:top]
    times = [at for at, dimension in enumerate(statistics.by) if dimension in TIMES]
    return sorted(found, key=lambda item: [item[0][at] or "" for at in times])
