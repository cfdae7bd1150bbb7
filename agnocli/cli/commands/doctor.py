"""`agno doctor`: what is installed, reachable, and likely meant otherwise."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import asdict

from agnocli.cli.context import App, run
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import Command, Output, application
from agnocli.cli.render.table import Column

if TYPE_CHECKING:
    from agnocli.cli.examination import Finding

app = application()

COLUMNS = [
    Column("check", "CHECK"),
    Column("status", "STATUS", "status"),
    Column("detail", "FINDING"),
    Column("fix", "FIX"),
]


@app.command(cls=Command)
def doctor(
    context: typer.Context,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="For each backend.")
    ] = 10.0,
) -> int:
    """Look at versions, configuration, models, backends, agents and stored state. Changes nothing.

    Each finding has what to do about it. Ends with 1 when one of them is an error, with 0 when there are warnings only.
    """
    return run(context, lambda one: _doctor(one, timeout))


def _doctor(app: App, timeout: float) -> int:
    from agnocli.cli.examination import findings

    found = list(findings(app, timeout))
    if app.output is Output.TABLE and app.terminal.stdout_tty and not app.options.fields:
        _report(app, found)
    else:
        app.list((asdict(one) for one in found), COLUMNS)
    return ExitStatus.FAILED if any(one.status == "error" for one in found) else ExitStatus.OK


def _report(app: App, found: Sequence[Finding]) -> None:
    from agnocli.cli.render.report import Line, write_report

    lines = (Line(one.check, one.status, one.detail, one.fix) for one in found)
    write_report(lines, sys.stdout, width=app.terminal.width, color=app.terminal.color)
    counts = Counter(one.status for one in found)
    app.note(f"{counts['error']} errors, {counts['warning']} warnings")
