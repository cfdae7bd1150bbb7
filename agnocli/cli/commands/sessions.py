"""`agno sessions …`: conversations that are stored."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from typing import Annotated, Any

import typer

from agnocli.cli.commands import (
    searching,
    session_edits,
    session_files,
    session_list,
    session_removal,
    session_state,
    session_stats,
    session_summaries,
    session_verify,
)
from agnocli.cli.context import App, run
from agnocli.cli.filters import Filtered
from agnocli.cli.options import Command, application
from agnocli.cli.tagging import Tagging

app = application("List, search, inspect, rename, delete, export and import conversations.")
app.command("list", cls=Filtered)(session_list.list_)
app.command(cls=Filtered)(searching.search)
app.command("export", cls=Filtered)(session_files.export)
app.command("import", cls=Command)(session_files.import_)
app.command("stats", cls=Filtered)(session_stats.stats)
app.command("verify", cls=Filtered)(session_verify.verify)
app.command(cls=Command)(session_edits.rename)
app.command(cls=Tagging)(session_edits.tag)
app.command(cls=Command)(session_edits.fork)
app.add_typer(session_state.app, name="state")
app.command(cls=Filtered)(session_removal.delete)
app.command(cls=Filtered)(session_removal.prune)
app.command(cls=Command)(session_removal.restore)
app.add_typer(session_removal.trash, name="trash")
app.command(cls=Filtered)(session_summaries.summarize)


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
