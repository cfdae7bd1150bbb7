"""`agno models …`: which providers there are."""

from __future__ import annotations

import typer
from msgspec.structs import asdict

from agnocli.cli.context import App, run
from agnocli.cli.options import Command, application
from agnocli.cli.render.table import Column

app = application("Model providers, and what each needs.")

COLUMNS = [
    Column("key", "PROVIDER"),
    Column("base_url", "BASE URL", rank=1),
    Column("key_env", "KEY"),
    Column("key_set", "SET"),
    Column("label", "NAME", table=False),
    Column("notes", "NOTES", rank=2),
]


@app.callback()
def _group() -> None:
    pass


@app.command("list", cls=Command)
def list_(context: typer.Context) -> int:
    """List providers; a model is PROVIDER:ID, or PROVIDER:ID@BASE_URL."""
    return run(context, _list)


def _list(app: App) -> None:
    from agnocli.agent.models.providers import list_providers

    app.list((asdict(row) for row in list_providers(app.environ)), COLUMNS)
    if app.terminal.stdout_tty:
        app.note("use one as: agno chat -m PROVIDER:ID, e.g. -m openai:gpt-4o-mini")
