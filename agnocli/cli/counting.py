"""`agno sessions stats`: what is counted, and how it is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TypeVar

import msgspec

from agnocli.abc import Backend, SessionQuery
from agnocli.cli.context import App, not_empty
from agnocli.cli.everywhere import Everywhere
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import Output
from agnocli.cli.render.progress import with_progress
from agnocli.cli.render.table import Column
from agnocli.cli.render.text import amount
from agnocli.errors import AgnoCLIError, UsageError
from agnocli.records import SessionBundle
from agnocli.sessions.reading import each, listed
from agnocli.sessions.resolve import resolve
from agnocli.sessions.spending import Named, plainly
from agnocli.sessions.stats import TIMES, Dimension, Group, Key, Measure, Statistics, ranked

COLUMNS = [
    Column("sessions", "SESSIONS", "number"),
    Column("runs", "RUNS", "number"),
    Column("messages", "MESSAGES", "number", rank=3),
    Column("input_tokens", "INPUT", "number", rank=2),
    Column("output_tokens", "OUTPUT", "number", rank=2),
    Column("tokens", "TOKENS", "number"),
    Column("bytes", "BYTES", "number", rank=1),
    Column("errors", "ERRORS", "number", rank=4),
    Column("cost", "COST", "number", rank=1),
    Column("unpriced_tokens", "UNPRICED", "number", table=False),
]
NAMED = 5
"""Sessions that are named one by one when they cannot be read."""
FILLED = 400
"""Days, at most, between which those without anything are drawn too."""
NOBODY = "(none)"

Choice = TypeVar("Choice", bound=StrEnum)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    sessions: list[str]
    query: SessionQuery | None
    by: tuple[Dimension, ...]
    measure: Measure | None
    top: int | None
    chart: bool
    everywhere: bool


def dimensions(given: Sequence[str]) -> tuple[Dimension, ...]:
    words = [word.strip() for one in given for word in one.split(",")]
    return tuple(dict.fromkeys(_choice(Dimension, word, "--by") for word in words))


def measured(given: str | None) -> Measure | None:
    return None if given is None else _choice(Measure, given, "--measure")


def _choice(kind: type[Choice], word: str, flag: str) -> Choice:
    try:
        return kind(word)
    except ValueError:
        known = ", ".join(kind)
        raise UsageError(f"{flag} {word}: no such choice", hint=f"choose from {known}") from None


def count(app: App, wanted: Wanted) -> int:
    is_chart = wanted.chart and app.options.output in (None, Output.AUTO, Output.TABLE)
    by = wanted.by or ((Dimension.DAY,) if wanted.chart else ())
    query = wanted.query or SessionQuery()
    found = Statistics(
        by, prices=app.config.prices, named=called(), since=query.since, until=query.until
    )
    whole = (
        _counted_everywhere(app, wanted, found)
        if wanted.everywhere
        else _counted(app, wanted, found)
    )
    measure = wanted.measure or (Measure.TOKENS if found.total.tokens else Measure.RUNS)
    rows = ranked(found, measure, wanted.top)
    if is_chart:
        _draw(app, found, rows, measure)
    else:
        _list(app, by, rows)
    _say(app, found, len(rows), costs=measure is Measure.COST or bool(app.config.prices))
    return ExitStatus.OK if whole else ExitStatus.PARTIAL


def called() -> Named:
    """A model as the configuration calls it, by what Agno stores of it."""
    from agnocli.agent.models.providers import PROVIDERS

    keys = {one.label.lower(): one.key for one in reversed(PROVIDERS)}

    def called(provider: str | None, model: str | None) -> str | None:
        known = keys.get(provider.lower()) if provider else None
        return plainly(known or provider, model)

    return called


def _counted(app: App, wanted: Wanted, found: Statistics) -> bool:
    """Whether everything could be read."""
    return _of_backend(app, app.backend(read_only=True), app.backend_name(), wanted, found)


def _of_backend(app: App, backend: Backend, name: str, wanted: Wanted, found: Statistics) -> bool:
    def look(bundle: SessionBundle) -> Iterable[tuple[str, AgnoCLIError]]:
        found.add(bundle, name)
        return ()

    failures = 0
    ids = with_progress(_ids(backend, wanted), app.terminal, quiet=app.options.quiet)
    for session_id, error in each(backend, ids, look, lambda *failure: [failure]):
        failures += 1
        if failures <= NAMED:
            app.warn(f"session {session_id!r} cannot be read to its end: {error.message}")
    if failures > NAMED:
        app.warn(f"… and {failures - NAMED:,} more; agno sessions verify lists them")
    return not failures


def _ids(backend: Backend, wanted: Wanted) -> Iterable[str]:
    query = wanted.query
    if query is not None:  # what was said before that time may be in a session that changed since
        query = msgspec.structs.replace(query, until=None)
    if wanted.sessions:
        given = [resolve(backend, not_empty(one, "SESSION")) for one in wanted.sessions]
        means = None if query is None else set(listed(backend, query))
        return [one for one in dict.fromkeys(given) if means is None or one in means]
    return backend.ids() if query is None else listed(backend, query)


def _counted_everywhere(app: App, wanted: Wanted, found: Statistics) -> bool:
    """Each configured backend; one that fails is told, and the others are counted."""
    if wanted.sessions or app.options.backend:
        raise UsageError("--all-backends goes with neither SESSION nor -b", hint="leave one out")
    places = Everywhere(app, "not counted")
    whole = [
        places.tried(name, partial(_of_backend, app, backend, name, wanted, found))
        for name, backend in places.backends
    ]
    return places.status == ExitStatus.OK and False not in whole


def _list(app: App, by: Sequence[Dimension], rows: Sequence[tuple[Key, Group]]) -> None:
    nobody = NOBODY if app.output is Output.TABLE else None
    columns = [Column(one.value, one.value.upper()) for one in by]
    app.list((_row(by, key, group, nobody) for key, group in rows), [*columns, *COLUMNS])


def _row(by: Sequence[Dimension], key: Key, group: Group, nobody: str | None) -> dict[str, object]:
    names = {one.value: value or nobody for one, value in zip(by, key, strict=True)}
    cost = None if group.cost is None else round(group.cost, 6)
    return {**names, **msgspec.structs.asdict(group), "cost": cost}


def _draw(app: App, found: Statistics, rows: Sequence[tuple[Key, Group]], measure: Measure) -> None:
    from agnocli.cli.render.chart import write_bars

    bars = {
        " · ".join(one or NOBODY for one in key): getattr(group, measure) or 0
        for key, group in rows
    }
    if len(found.by) == 1 and found.by[0] in TIMES and len(rows) == len(found.groups):
        bars = {one: bars.get(one, 0) for one in _without_gaps(list(bars), found.by[0])}
    title = f"{measure.value.replace('_', ' ')} by {' and '.join(found.by)}"
    write_bars(
        list(bars.items()),
        sys.stdout,
        width=app.terminal.width,
        color=app.terminal.color,
        title=title,
    )


def _without_gaps(periods: list[str], dimension: Dimension) -> list[str]:
    """Those between as well, in which nothing was; as they are where that were too many."""
    known = [one for one in periods if one != NOBODY]
    if not known:
        return periods
    first, last = _first_day(known[0], dimension), _first_day(known[-1], dimension)
    days = (first + timedelta(days) for days in range((last - first).days + 1))
    filled = list(dict.fromkeys(day.strftime(TIMES[dimension]) for day in days))
    return [one for one in periods if one == NOBODY] + (filled if len(filled) <= FILLED else known)


def _first_day(period: str, dimension: Dimension) -> date:
    rest, form = {
        Dimension.DAY: ("", "%Y-%m-%d"),
        Dimension.WEEK: ("-1", "%G-W%V-%u"),
        Dimension.MONTH: ("-01", "%Y-%m-%d"),
    }[dimension]
    return datetime.strptime(period + rest, form).date()  # noqa: DTZ007 - a day, no moment


def _say(app: App, found: Statistics, shown: int, *, costs: bool) -> None:
    for line in _remarks(found, shown, costs):
        app.note(line)
    if found.undecodable:
        app.warn(
            f"{amount(found.undecodable, 'run')} cannot be decoded: their tokens are not known; "
            "agno sessions verify names them"
        )


def _remarks(found: Statistics, shown: int, costs: bool) -> Iterator[str]:
    if found.by:
        yield f"{_hidden(found, shown)}all: {_in_words(found.total)}"
    if any(one in TIMES for one in found.by):
        now = datetime.now().astimezone()
        yield f"times are local: {now:%Z}, UTC{now.isoformat()[-6:]}"
    if Dimension.TAG in found.by:
        yield "a session counts under each of its tags"
    if found.copies:
        yield f"{found.copies:,} runs are copies that forks took along; their tokens count where they were spent"
    if found.without_price and costs:
        named = ", ".join(sorted(one or "runs of no known model" for one in found.without_price))
        yield f"no price for {named}: in [prices] of the configuration"


def _hidden(found: Statistics, shown: int) -> str:
    return f"{shown:,} of {len(found.groups):,} shown; " if shown < len(found.groups) else ""


def _in_words(total: Group) -> str:
    cost = "" if total.cost is None else f", cost {total.cost:,.4f}"
    return (
        f"{amount(total.sessions, 'session')}, {amount(total.runs, 'run')}, {amount(total.tokens, 'token')}, "
        f"{_size(total.bytes)}{cost}"
    )


def _size(number: int) -> str:
    return f"{number / 1e6:,.1f} MB" if number >= 1e6 else f"{number / 1e3:,.1f} kB"
