"""What a search prints: hits as rows, and what it does on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec.structs import replace

from agnocli.cli.context import App
from agnocli.cli.options import Output
from agnocli.cli.render.progress import Bar
from agnocli.cli.render.table import Column
from agnocli.sessions.search import Found, Hit, Pattern, SearchQuery, Watcher, indexes, look

if TYPE_CHECKING:
    from agnocli.abc import Backend

_SNIPPET = 48
"""Cells of a snippet for which other columns are left out."""


def search_sessions(app: App, query: SearchQuery, context: int | None, with_index: bool) -> None:
    query = replace(
        query,
        by_session=query.by_session or app.output is Output.IDS,
        context=_context(app, query.context) if context is None else context,
    )
    pattern = Pattern(query)
    backend, name = app.backend(read_only=True), app.backend_name()
    folder = indexes(app.environ) if with_index else None
    with Telling(app, backend) as watcher:
        found = look(backend, query, folder=folder, watcher=watcher)
    app.list(rows(app, found.hits, name), columns(pattern))
    tell(app, found, query, backend.address)


def _context(app: App, usual: int) -> int:
    """As much as a line of this terminal has room for."""
    fills_lines = app.output is Output.TABLE and app.terminal.stdout_tty
    return max(usual, app.terminal.width * 2 // 3) if fills_lines else usual


def columns(pattern: Pattern) -> list[Column]:
    by_session = pattern.query.by_session
    return [
        Column("session_id", "ID", "id"),
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
        Column("backend", "BACKEND", table=False),
    ]


def rows(app: App, hits: Iterable[Hit], backend: str) -> Iterator[dict[str, object]]:
    """A row each; only a table tells of what has no role where it stands instead."""
    in_table = app.output is Output.TABLE
    for hit in hits:
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
            "backend": backend,
        }


def tell(app: App, found: Found, query: SearchQuery, address: str) -> None:
    if found.unreadable:
        number, first = sum(found.unreadable.values()), next(iter(found.unreadable))
        them = (
            "a run that cannot be decoded was"
            if number == 1
            else f"{number:,} runs that cannot be decoded were"
        )
        app.warn(f"{them} not searched; agno sessions inspect {first} --raw shows it")
    if not found.total:
        app.note(f"nothing found in {_sessions(found.sessions)} at {address}{_advice(query)}")
        return
    total = found.in_sessions if query.by_session else found.total
    if len(found.hits) < total:
        what = "sessions" if query.by_session else f"hits in {_sessions(found.in_sessions)}"
        app.note(f"{len(found.hits):,} of {total:,} {what} shown; more with --all or --limit")


def _sessions(number: int) -> str:
    return "1 session" if number == 1 else f"{number:,} sessions"


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
                f"building a search index of {self._address}: {_sessions(sessions)} to read"
            )

    def read(self, done: int, sessions: int | None, size: int) -> None:
        if not self._shown:
            self._shown = True
            self._bar.__enter__()
        self._bar.show(_Step(self._phase, done, size, sessions))

    def refreshed(self, changed: int, gone: int) -> None:
        parts = [f"{_sessions(changed)} read again"] * bool(changed) + [f"{gone:,} gone"] * bool(
            gone
        )
        self._app.note(f"search index of {self._address} refreshed: {', '.join(parts)}")

    def waiting(self) -> None:
        self._app.note("another search is building the index; waiting for it")

    def rebuilding(self, reason: str) -> None:
        self._app.warn(f"the search index is built anew: {reason}")
