"""`agno doctor`: what is installed, reachable, and likely meant otherwise."""

from __future__ import annotations

import typer
from msgspec.structs import asdict

from agnocli.cli.context import App, run
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import Command, application
from agnocli.cli.render.table import Column

app = application()

COLUMNS = [
    Column("check", "CHECK"),
    Column("status", "STATUS"),
    Column("detail", "FINDING"),
]


@app.command(cls=Command)
def doctor(context: typer.Context) -> int:
    """Look at versions, drivers, configuration, backends, agents and stored state. Changes nothing."""
    return run(context, _doctor)


def _doctor(app: App) -> int:
    from agnocli.cli.examination import findings

    found = list(findings(app))
    app.list((asdict(one) for one in found), COLUMNS)
    return ExitStatus.FAILED if any(one.status == "error" for one in found) else ExitStatus.OK
