"""`agno sessions summarize`."""

from __future__ import annotations

from typing import Annotated

import typer

from agnocli.cli.choosing import choice
from agnocli.cli.commands.session_edits import Sessions
from agnocli.cli.context import run


def summarize(
    context: typer.Context,
    sessions: Sessions = None,
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
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, max=64, help="So many requests at once.")
    ] = 1,
    print_: Annotated[bool, typer.Option("--print", help="Print it, and store nothing.")] = False,
) -> int:
    """Have conversations summarized; stores and prints the summaries.

    Each is stored when it is made: stopped half-way, the same command goes on with those that are left.
    """
    from agnocli.cli.summarizing import How, summarize

    how = How(stale=stale, force=force, model=model, only_print=print_, jobs=jobs)
    chosen = choice(context, sessions, everything=all_ or (stale and not sessions))
    return run(context, lambda one: summarize(one, chosen, how))
