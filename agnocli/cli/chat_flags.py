"""The flags of chat that say who answers whom, for every command that does as chat would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from agnocli.cli.context import not_empty
from agnocli.errors import UsageError

Agent = Annotated[str | None, typer.Option("--agent", "-a", help="A configured agent.")]
Team = Annotated[str | None, typer.Option("--team", help="A configured team.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="PROVIDER:ID, PROVIDER:ID@BASE_URL or echo.  [env: AGNO_MODEL]"
    ),
]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="An OpenAI-compatible server.")]
User = Annotated[str | None, typer.Option("--user", "-u", help="Who is talking.")]
System = Annotated[
    str | None, typer.Option("--system", help="System prompt, instead of the agent's.")
]
History = Annotated[int | None, typer.Option("--history", min=0, help="Past turns that go along.")]


def check(given: Mapping[str, str | None]) -> None:
    """UsageError for a flag that is given and empty, and for two that both answer."""
    for flag, value in given.items():
        if value is not None:
            not_empty(value, flag)
    if given["--agent"] is not None and given["--team"] is not None:
        raise UsageError(
            "--agent and --team exclude each other", hint="a team has members of its own"
        )
