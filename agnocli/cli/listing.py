"""`agno sessions list`: a page, all, or those of every backend in one order."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agnocli.abc import Backend, SessionQuery
from agnocli.cli import filters
from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.session_rows import COLUMNS, row
from agnocli.errors import UsageError
from agnocli.records import SessionInfo

PAGE = 500


def list_here(app: App, query: SessionQuery, *, everything: bool) -> int:
    if app.tells_fields(COLUMNS):
        return ExitStatus.OK
    backend, name = app.backend(read_only=True), app.backend_name()
    pages = _Pages(backend, query, everything)
    shown = app.list((row(info, name) for info in pages), COLUMNS)
    if pages.last.next:
        of = f" of {pages.last.total:,}" if pages.last.total is not None else ""
        app.note(f"{shown}{of} shown; more with --all or --cursor {pages.last.next}")
    elif not shown:
        _note_nothing(app, query)
    return ExitStatus.OK


def _note_nothing(app: App, query: SessionQuery) -> None:
    if app.terminal.stdout_tty:
        filtered = filters.is_filtered(query)
        app.note("no session matches" if filtered else "no sessions yet; start with: agno chat")


class _Pages:
    """The rows of one page, or of all in turn; `last` is the page drawn last."""

    def __init__(self, backend: Backend, query: SessionQuery, everything: bool) -> None:
        self._backend, self._everything = backend, everything
        self._query = replace(query, limit=PAGE, skip=0) if everything else query
        self.last = backend.find(self._query)

    def __iter__(self) -> Iterator[SessionInfo]:
        yield from self.last.items
        while self._everything and self.last.next:
            self.last = self._backend.find(replace(self._query, after=self.last.next))
            yield from self.last.items


def list_everywhere(app: App, query: SessionQuery, *, everything: bool) -> int:
    """Of each configured backend; one that cannot be asked is told, and the others are listed."""
    from agnocli.cli.everywhere import Everywhere, page_of

    if app.tells_fields(COLUMNS):
        return ExitStatus.OK
    if query.after is not None:
        raise UsageError("--all-backends goes with no --cursor", hint="--page goes on")
    places = Everywhere(app, "not listed")
    page = query.skip // (query.limit or 1) + 1
    chosen = replace(query, limit=None, skip=0) if everything else query
    rows, are_more = page_of(places, chosen)
    columns = [
        replace(one, table=True, rank=1) if one.name == "backend" else one for one in COLUMNS
    ]
    shown = app.list((row(info, name) for name, info in rows), columns)
    if are_more():
        app.note(f"{shown:,} shown; more with --all or --page {page + 1}")
    elif not shown:
        _note_nothing(app, query)
    return places.status
