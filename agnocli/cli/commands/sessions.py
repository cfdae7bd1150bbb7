"""`agno sessions …`: conversations that are stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from agnocli.abc import Backend, Cursor, Page, SessionQuery, Sort
from agnocli.cli import filters
from agnocli.cli.commands import (
    searching,
    session_context,
    session_edits,
    session_files,
    session_inspect,
    session_removal,
    session_state,
    session_stats,
    session_summaries,
    session_verify,
)
from agnocli.cli.context import App, not_empty, run
from agnocli.cli.filters import Filtered
from agnocli.cli.options import Command, application
from agnocli.cli.session_rows import COLUMNS, row
from agnocli.cli.tagging import Tagging
from agnocli.records import SessionInfo

app = application("List, search, inspect, rename, delete, export and import conversations.")
app.command("export", cls=Filtered)(session_files.export)
app.command("import", cls=Command)(session_files.import_)
app.command("search", cls=Command)(searching.search)
app.command("stats", cls=Command)(session_stats.stats)
app.command("verify", cls=Command)(session_verify.verify)
app.command(cls=Command)(session_context.context)
app.command(cls=Command)(session_inspect.inspect)
app.command("show", cls=Command, hidden=True, help="The same as inspect.")(session_inspect.inspect)
app.command(cls=Command)(session_edits.rename)
app.command(cls=Tagging)(session_edits.tag)
app.command(cls=Command)(session_edits.fork)
app.add_typer(session_state.app, name="state")
app.command(cls=Filtered)(session_removal.delete)
app.command(cls=Filtered)(session_removal.prune)
app.command(cls=Command)(session_removal.restore)
app.add_typer(session_removal.trash, name="trash")
app.command(cls=Filtered)(session_summaries.summarize)


@app.command("list", cls=Filtered)
def list_(
    context: typer.Context,
    query: Annotated[str | None, typer.Argument(help="In id, name or title.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-L", min=1, help="Rows of a page.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="All rows.")] = False,
    page: Annotated[int, typer.Option("--page", min=1, help="Which page, from 1.")] = 1,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on behind a page.")] = None,
    sort: Annotated[Sort, typer.Option("--sort", help="By which time.")] = Sort.UPDATED,
    reverse: Annotated[bool, typer.Option("--reverse", help="Oldest first.")] = False,
) -> int:
    """List conversations, the latest first. Run bodies are not read."""
    if cursor is not None:
        not_empty(cursor, "--cursor")
    chosen = msgspec.structs.replace(
        filters.query(context, text=query, sort=sort),
        reverse=reverse,
        limit=limit,
        skip=(page - 1) * limit,
        after=Cursor(cursor) if cursor else None,
    )
    return run(context, lambda one: _list(one, chosen, everything=all_))


def _list(app: App, query: SessionQuery, *, everything: bool) -> None:
    backend, name = app.backend(read_only=True), app.backend_name()
    pages = _Pages(backend, query, everything)
    shown = app.list((row(info, name) for info in pages), COLUMNS)
    if pages.last.next:
        of = f" of {pages.last.total:,}" if pages.last.total is not None else ""
        app.note(f"{shown}{of} shown; more with --all or --cursor {pages.last.next}")
    elif not shown and app.terminal.stdout_tty:
        app.note(
            "no session matches" if pages.filtered else "no sessions yet; start with: agno chat"
        )


class _Pages:
    """The rows of one page, or of all in turn; `last` is the page drawn last."""

    def __init__(self, backend: Backend, query: SessionQuery, everything: bool) -> None:
        self._backend, self._everything = backend, everything
        self._query = msgspec.structs.replace(query, limit=500, skip=0) if everything else query
        self.last = backend.find(self._query)
        self.filtered = filters.is_filtered(query)

    def __iter__(self) -> Iterator[SessionInfo]:
        yield from self.last.items
        while self._everything and self.last.next:
            self.last = self._next()
            yield from self.last.items

    def _next(self) -> Page:
        return self._backend.find(msgspec.structs.replace(self._query, after=self.last.next))
