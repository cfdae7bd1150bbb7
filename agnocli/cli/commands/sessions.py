"""`agno sessions …`: conversations that are stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from agnocli.abc import Backend, Cursor, Page, SessionQuery, Sort
from agnocli.cli import filters
from agnocli.cli.commands import session_context, session_files, session_inspect
from agnocli.cli.context import App, not_empty, run
from agnocli.cli.options import Command, application
from agnocli.cli.render.table import Column
from agnocli.errors import SessionConflictError, SessionNotFoundError
from agnocli.records import SessionInfo

app = application("List, inspect, rename, delete, export and import conversations.")
app.command("export", cls=filters.Filtered)(session_files.export)
app.command("import", cls=Command)(session_files.import_)
app.command("context", cls=Command)(session_context.context)
app.command("inspect", cls=Command)(session_inspect.inspect)
app.command("show", cls=Command, hidden=True, help="The same as inspect.")(session_inspect.inspect)

COLUMNS = [
    Column("session_id", "ID", "id"),
    Column("title", "TITLE"),
    Column("name", "NAME", table=False),
    Column("type", "TYPE", rank=3),
    Column("agent_id", "AGENT", rank=2),
    Column("team_id", "TEAM", rank=4),
    Column("workflow_id", "WORKFLOW", rank=5),
    Column("user_id", "USER", rank=3),
    Column("runs", "RUNS", "number", rank=1),
    Column("created_at", "CREATED", "time", table=False),
    Column("updated_at", "UPDATED", "time", rank=1),
    Column("model", "MODEL", rank=6),
    Column("status", "STATUS", "status", rank=4),
    Column("tags", "TAGS", rank=5),
    Column("backend", "BACKEND", table=False),
]
PROMISED = [
    "session_id",
    "name",
    "title",
    "type",
    "agent_id",
    "team_id",
    "workflow_id",
    "user_id",
    "runs",
    "created_at",
    "updated_at",
    "backend",
]


@app.command("list", cls=filters.Filtered)
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
    shown = app.list((_row(info, name) for info in pages), COLUMNS)
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


def _row(info: SessionInfo, backend: str) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(info, name, None) for name in PROMISED}
    return row | {"backend": backend, "status": info.status, "model": info.model, "tags": info.tags}


@app.command(cls=Command)
def rename(
    context: typer.Context,
    session: Annotated[str, typer.Argument(help="Id, name, beginning of an id, or @last.")],
    name: Annotated[str, typer.Argument(help="The new name.")],
) -> int:
    """Name a conversation. Nothing else of it changes."""
    return run(context, lambda one: _rename(one, session, not_empty(name, "the name")))


def _rename(app: App, reference: str, name: str) -> None:
    from agnocli.sessions.naming import rename as rename_session
    from agnocli.sessions.resolve import resolve

    backend = app.backend()
    session_id = resolve(backend, reference)
    if not app.options.dry_run:
        rename_session(backend, session_id, name)
    done = "would be named" if app.options.dry_run else "is now named"
    if not app.json({"session_id": session_id, "name": name, "dry_run": app.options.dry_run}):
        app.note(f"{session_id} {done} {name!r}")


@app.command(cls=Command)
def delete(
    context: typer.Context,
    sessions: Annotated[
        list[str],
        typer.Argument(metavar="SESSION", help="Ids, names, beginnings of ids, or @last."),
    ],
) -> int:
    """Delete conversations with all of their runs."""
    return run(context, lambda one: _delete(one, sessions))


def _delete(app: App, references: list[str]) -> int:
    from agnocli.sessions.resolve import resolve

    backend = app.backend()
    ids = list(dict.fromkeys([resolve(backend, one) for one in references]))
    if app.options.dry_run:
        app.note(f"would delete {', '.join(ids)}")
    elif app.confirm(f"Delete {_what(backend, ids)}?"):
        backend.delete(ids)
        _prove_absence(backend, ids)
        app.note(f"deleted {', '.join(ids)}")
    else:
        app.note("nothing was deleted")
        return 1
    app.json({"deleted": [] if app.options.dry_run else ids, "dry_run": app.options.dry_run})
    return 0


def _what(backend: Backend, ids: list[str]) -> str:
    if len(ids) > 1:
        return f"{len(ids)} sessions at {backend.address}"
    return f"session {ids[0]} at {backend.address}"


def _prove_absence(backend: Backend, ids: list[str]) -> None:
    for session_id in ids:
        try:
            backend.get(session_id)
        except SessionNotFoundError:
            continue
        raise SessionConflictError(
            session_id, "is there again", hint="another program wrote it; delete it once more"
        )


@app.command(cls=Command)
def summarize(
    context: typer.Context,
    sessions: Annotated[
        list[str] | None,
        typer.Argument(metavar="SESSION", help="Ids, names, beginnings of ids, or @last."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All sessions.")] = False,
    stale: Annotated[
        bool, typer.Option("--stale", help="Only those with turns that their summary lacks.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Of all turns anew, not of what is not covered yet.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Who writes it; the agent's unless given.")
    ] = None,
    print_: Annotated[bool, typer.Option("--print", help="Print it, and store nothing.")] = False,
) -> int:
    """Have conversations summarized; stores and prints the summaries."""
    from agnocli.cli.summarizing import Wanted, summarize

    wanted = Wanted(sessions or [], all_ or (stale and not sessions), stale, force, model, print_)
    return run(context, lambda one: summarize(one, wanted))
