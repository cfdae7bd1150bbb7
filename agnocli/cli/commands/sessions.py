"""`agno sessions …`: conversations that are stored."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from typing import Annotated, Any

import msgspec
import typer

from agnocli.abc import Backend, Cursor, Page, SessionQuery, Sort
from agnocli.cli import filters
from agnocli.cli.commands import searching, session_files, session_stats, session_verify
from agnocli.cli.context import App, not_empty, run
from agnocli.cli.options import Command, application
from agnocli.cli.render.table import Column
from agnocli.errors import SessionConflictError, SessionNotFoundError, UsageError
from agnocli.records import SessionInfo

app = application("List, search, inspect, rename, delete, export and import conversations.")
app.command("export", cls=Command)(session_files.export)
app.command("import", cls=Command)(session_files.import_)
app.command("search", cls=Command)(searching.search)
app.command("stats", cls=Command)(session_stats.stats)
app.command("verify", cls=Command)(session_verify.verify)

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


@app.command("list", cls=Command)
def list_(
    context: typer.Context,
    query: Annotated[str | None, typer.Argument(help="In id, name or title.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-L", min=1, help="Rows of a page.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="All rows.")] = False,
    page: Annotated[int, typer.Option("--page", min=1, help="Which page, from 1.")] = 1,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on behind a page.")] = None,
    sort: Annotated[Sort, typer.Option("--sort", help="By which time.")] = Sort.UPDATED,
    reverse: Annotated[bool, typer.Option("--reverse", help="Oldest first.")] = False,
    user: filters.User = None,
    agent: filters.Agent = None,
    team: filters.Team = None,
    type_: filters.Type = None,
    since: filters.Since = None,
    until: filters.Until = None,
    name: filters.Name = None,
    tag: filters.Tag = None,
    status: filters.Status = None,
    model: filters.Model = None,
    all_backends: filters.AllBackends = False,
) -> int:
    """List conversations, the latest first. Run bodies are not read."""
    if cursor is not None:
        not_empty(cursor, "--cursor")
        if all_backends:
            raise UsageError(
                "--cursor is a place in one backend's listing", hint="with --all-backends: --page"
            )
    meant = filters.query_of(
        text=query,
        user=user,
        agent=agent,
        team=team,
        type_=type_,
        since=since,
        until=until,
        name=name,
        tag=tag,
        status=status,
        model=model,
        sort=sort,
    )
    chosen = msgspec.structs.replace(
        meant,
        reverse=reverse,
        limit=limit,
        skip=(page - 1) * limit,
        after=Cursor(cursor) if cursor else None,
    )
    shown = _list_everywhere if all_backends else _list
    return run(context, lambda one: shown(one, chosen, everything=all_))


def _list(app: App, query: SessionQuery, *, everything: bool) -> int:
    if app.tells_fields(COLUMNS):
        return 0
    backend, name = app.backend(read_only=True), app.backend_name()
    pages = _Pages(backend, query, everything)
    shown = app.list((_row(info, name) for info in pages), COLUMNS)
    if pages.last.next:
        of = f" of {pages.last.total:,}" if pages.last.total is not None else ""
        app.note(f"{shown}{of} shown; more with --all or --cursor {pages.last.next}")
    elif not shown:
        _note_nothing(app, query)
    return 0


def _note_nothing(app: App, query: SessionQuery) -> None:
    if app.terminal.stdout_tty:
        filtered = filters.is_filtered(query)
        app.note("no session matches" if filtered else "no sessions yet; start with: agno chat")


def _list_everywhere(app: App, query: SessionQuery, *, everything: bool) -> int:
    from agnocli.cli.everywhere import Everywhere, page_of

    if app.tells_fields(COLUMNS):
        return 0
    places = Everywhere(app)
    page = query.skip // (query.limit or 1) + 1
    chosen = msgspec.structs.replace(query, limit=None, skip=0) if everything else query
    rows, are_more = page_of(places, chosen)
    shown = app.list((_row(info, name) for name, info in rows), _with_backends(COLUMNS))
    if are_more():
        app.note(f"{shown} shown; more with --all or --page {page + 1}")
    elif not shown:
        _note_nothing(app, query)
    return places.status


def _with_backends(columns: Sequence[Column]) -> list[Column]:
    """As they are, with the backend in a table as well."""
    return [
        msgspec.structs.replace(one, table=True, rank=1) if one.name == "backend" else one
        for one in columns
    ]


class _Pages:
    """The rows of one page, or of all in turn; `last` is the page drawn last."""

    def __init__(self, backend: Backend, query: SessionQuery, everything: bool) -> None:
        self._backend, self._everything = backend, everything
        self._query = msgspec.structs.replace(query, limit=500, skip=0) if everything else query
        self.last = backend.find(self._query)

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
def inspect(
    context: typer.Context,
    session: Annotated[str, typer.Argument(help="Id, name, beginning of an id, or @last.")],
    last: Annotated[
        int | None, typer.Option("--last", min=1, help="Only the last so many runs.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option("--role", help="Only these roles.")] = None,
    tools: Annotated[bool, typer.Option("--tools", help="Tool arguments and results.")] = False,
    state: Annotated[bool, typer.Option("--state", help="The session state.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The stored JSON, exactly.")] = False,
) -> int:
    """Show a conversation: header, transcript, state, summary, metrics."""
    return run(context, lambda one: _paged(one, session, last, role or [], tools, state, raw))


app.command("show", cls=Command, hidden=True, help="The same as inspect.")(inspect)


def _paged(app: App, *asked: Any) -> None:
    with app.paged() as stream, redirect_stdout(stream):
        _inspect(app, *asked)


def _inspect(
    app: App,
    reference: str,
    last: int | None,
    roles: list[str],
    tools: bool,
    state: bool,
    raw: bool,
) -> None:
    from agnocli.layout.form import session_json
    from agnocli.sessions.resolve import resolve

    backend = app.backend(read_only=True)
    session = backend.get(resolve(backend, reference))
    runs = backend.runs(session.session_id, last=last)
    if raw or app.options.json:
        _write_json(session_json(session, runs))
        return
    from agnocli.cli.render.transcript import Shown, write_transcript

    write_transcript(
        session,
        runs,
        stream=sys.stdout,
        color=app.terminal.color,
        width=app.terminal.width,
        tty=app.terminal.stdout_tty,
        shown=Shown(roles=tuple(roles), tools=tools, state=state, backend=backend.address),
    )


def _write_json(pieces: Iterable[str]) -> None:
    """Pieces go out as they come; what a terminal would act on is escaped, which JSON readers undo."""
    from agnocli.cli.render.text import neutral_json

    for piece in pieces:
        sys.stdout.write(neutral_json(piece))
    sys.stdout.write("\n")


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
