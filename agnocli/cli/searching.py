"""What a search prints: hits as rows, and what it does on stderr."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec.structs import replace

from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import Output
from agnocli.cli.render.progress import Bar
from agnocli.cli.render.table import Column
from agnocli.cli.render.text import amount
from agnocli.sessions.search import Found, Hit, Pattern, SearchQuery, Watcher, indexes, look

if TYPE_CHECKING:
    from agnocli.abc import Backend

_SNIPPET = 48
"""Cells of a snippet for which other columns are left out."""


class How(msgspec.Struct, frozen=True):
    """`context` is characters around what was found; None for as many as there is room for."""

    context: int | None
    with_index: bool
    everywhere: bool
    exit_status: bool


class Answer(msgspec.Struct, frozen=True):
    """What one backend found."""

    name: str
    address: str
    found: Found


def search_sessions(app: App, query: SearchQuery, how: How) -> int:
    query = replace(
        query,
        by_session=query.by_session or app.output is Output.IDS,
        context=_context(app, query.context) if how.context is None else how.context,
    )
    shown = columns(Pattern(query), everywhere=how.everywhere)
    if app.tells_fields(shown):
        return 0
    folder = indexes(app.environ) if how.with_index else None
    if how.everywhere:
        from agnocli.cli.everywhere import Everywhere

        places = Everywhere(app, "not searched")
        tries = [
            places.tried(name, partial(_answer, app, name, backend, query, folder))
            for name, backend in places.backends
        ]
        answers, status = [one for one in tries if one is not None], places.status
    else:
        backend = app.backend(read_only=True)
        answers, status = [_answer(app, app.backend_name(), backend, query, folder)], 0
    count = app.list(rows(app, answers, query), shown)
    tell(app, answers, query, count)
    found = any(one.found.total for one in answers)
    return status or (ExitStatus.FAILED if how.exit_status and not found else ExitStatus.OK)


def _answer(
    app: App, name: str, backend: Backend, query: SearchQuery, folder: Path | None
) -> Answer:
    with Telling(app, backend) as watcher:
        return Answer(name, backend.address, look(backend, query, folder=folder, watcher=watcher))


def _context(app: App, usual: int) -> int:
    """As much as a line of this terminal has room for."""
    fills_lines = app.output is Output.TABLE and app.terminal.stdout_tty
    return max(usual, app.terminal.width * 2 // 3) if fills_lines else usual


def columns(pattern: Pattern, *, everywhere: bool) -> list[Column]:
    by_session = pattern.query.by_session
    return [
        Column("session_id", "ID", "id"),
        Column("backend", "BACKEND", rank=1, table=everywhere),
        Column("title", "TITLE", rank=4),
        Column("at", "WHEN", "time", rank=2),
        Column("hits", "HITS", "number", rank=1, table=by_session),
        Column("role", "ROLE", rank=1),
        Column("in", "IN", table=False),
        Column("snippet", "SNIPPET", least=_SNIPPET, marks=pattern.marks),
        Column("score", "SCORE", "number", table=False),
        Column("run", "RUN", "number", table=False),
        Column("run_id", "RUN ID", table=False),
        Column("matches", "MATCHES", "number", table=False),
        Column("name", "NAME", table=False),
        Column("agent_id", "AGENT", table=False),
        Column("user_id", "USER", table=False),
    ]


def rows(app: App, answers: Iterable[Answer], query: SearchQuery) -> Iterator[dict[str, object]]:
    """A row each; only a table tells of what has no role where it stands instead."""
    in_table = app.output is Output.TABLE
    for name, hit in _ranked(answers, query):
        yield {
            "session_id": hit.session_id,
            "run_id": hit.run_id,
            "role": hit.role or (hit.kind if in_table else None),
            "snippet": hit.snippet,
            "score": hit.score,
            "in": hit.kind,
            "run": hit.run or None,
            "matches": hit.matches,
            "hits": hit.hits,
            "at": hit.at,
            "name": hit.session.name,
            "title": hit.session.title,
            "agent_id": hit.session.agent_id,
            "user_id": hit.session.user_id,
            "backend": name,
        }


def _ranked(answers: Iterable[Answer], query: SearchQuery) -> Iterator[tuple[str, Hit]]:
    """The first hits of all backends together. Each backend's own come in order."""

    def place(one: tuple[str, Hit]) -> tuple[float, float, str, str]:
        name, hit = one
        first, second = (hit.at, hit.score) if query.latest else (hit.score, hit.at)
        return -first, -second, hit.session_id, name

    streams = [[(one.name, hit) for hit in one.found.hits] for one in answers]
    return islice(heapq.merge(*streams, key=place), query.limit)


def tell(app: App, answers: Iterable[Answer], query: SearchQuery, shown: int) -> None:
    for one in answers:
        _tell_unreadable(app, one)
    found = [one.found for one in answers]
    total, in_sessions = sum(one.total for one in found), sum(one.in_sessions for one in found)
    if found and not total:
        where = " and ".join(
            f"{amount(one.found.sessions, 'session')} at {one.address}" for one in answers
        )
        app.note(f"nothing found in {where}{_advice(query)}")
    if shown < (in_sessions if query.by_session else total):
        what = amount(in_sessions, "session")
        what = what if query.by_session else f"{amount(total, 'hit')} in {what}"
        app.note(f"{shown:,} of {what} shown; more with --all or --limit")


def _tell_unreadable(app: App, one: Answer) -> None:
    if unreadable := one.found.unreadable:
        number, first = sum(unreadable.values()), next(iter(unreadable))
        what = "a run" if number == 1 else f"{number:,} runs"
        app.warn(
            f"{what} that cannot be decoded {'was' if number == 1 else 'were'} not searched;"
            f" agno sessions inspect {first} --raw -b {one.name} shows what is there"
        )


def _advice(query: SearchQuery) -> str:
    if not query.regex and any(len(one.split()) > 1 for one in query.terms):
        return "; words that stand apart are found without quotes"
    return ""


class _Step(msgspec.Struct, frozen=True):
    """How far it is, as the bar takes it."""

    phase: str
    sessions: int
    bytes: int
    total: int | None
    set_aside: int = 0


class Telling(Watcher):
    """Notes and a bar on stderr, for one backend."""

    def __init__(self, app: App, backend: Backend) -> None:
        self._app, self._address = app, backend.address
        self._bar = Bar(app.terminal, quiet=app.options.quiet)
        self._phase = "search"
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._bar.__exit__(kind, error, trace)

    def scanning(self, reason: str) -> None:
        self._app.note(f"reading all sessions at {self._address}: {reason}")
        self._phase = "scan"

    def reading(self, sessions: int, *, is_new: bool) -> None:
        self._phase = "index"
        if is_new:
            self._app.note(
                f"building a search index of {self._address}: {amount(sessions, 'session')} to read"
            )

    def read(self, done: int, sessions: int | None, size: int) -> None:
        if not self._shown:
            self._shown = True
            self._bar.__enter__()
        self._bar.show(_Step(self._phase, done, size, sessions))

    def refreshed(self, changed: int, gone: int) -> None:
        parts = [f"{amount(changed, 'session')} read again"] * bool(changed) + [
            f"{gone:,} gone"
        ] * bool(gone)
        self._app.note(f"search index of {self._address} refreshed: {', '.join(parts)}")

    def waiting(self) -> None:
        self._app.note("another search is building the index; waiting for it")

    def rebuilding(self, reason: str) -> None:
        self._app.warn(f"the search index is built anew: {reason}")
