"""`agno verify SRC DST`: whether two places hold the same sessions."""

from __future__ import annotations

from typing import Annotated

import typer

from agnocli.cli.context import App, run
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import Command, application
from agnocli.cli.render.table import Column

app = application()

COLUMNS = [
    Column("session_id", "ID"),
    Column("finding", "FINDING"),
    Column("where", "WHERE"),
]


@app.command(cls=Command)
def verify(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC", help="Backend, URL or session file.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Backend, URL or session file.")],
) -> int:
    """Compare every session and run of two places by value; list what differs, with exit code 10."""
    return run(context, lambda one: _verify(one, source, target))


def _verify(app: App, source: str, target: str) -> int:
    from agnocli.cli.render.progress import Bar
    from agnocli.cli.transferring import place
    from agnocli.transfer.whole import compare

    one, other = place(app, source), place(app, target)
    with Bar(app.terminal, quiet=app.options.quiet) as bar:
        found = compare(one, other, bar.show)
    if not app.json(found.as_json()):
        if found.findings:
            app.list(found.rows(), COLUMNS)
        app.note(found.in_words())
    return ExitStatus.OK if found.is_same else ExitStatus.MISMATCH
