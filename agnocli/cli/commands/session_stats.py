"""`agno sessions stats`: how much is stored and spent, and by whom."""

from __future__ import annotations

from typing import Annotated

import typer

from agnocli.cli import filters
from agnocli.cli.context import run


def stats(
    context: typer.Context,
    session: Annotated[
        list[str] | None, typer.Argument(help="Ids, names, beginnings of ids, or @last; else all.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="WHAT",
            help="day, week, month, model, user, agent, team, backend or tag; several with commas.",
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure",
            metavar="WHAT",
            help="Sorted, cut and drawn by: tokens (default), sessions, runs, messages, "
            "input_tokens, output_tokens, bytes, errors or cost.",
        ),
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="The largest so many.")] = None,
    chart: Annotated[bool, typer.Option("--chart", help="Bars; by day if not --by.")] = False,
    all_backends: Annotated[
        bool, typer.Option("--all-backends", help="Of every configured backend.")
    ] = False,
) -> int:
    """Count sessions, runs, messages, tokens, bytes and errors, and what the tokens cost by your own prices.

    Tokens are counted once: those of a team's members with the members, history that is sent again not at all, what a
    fork took along where it was spent. Costs come from [prices] in the configuration only. The filters choose
    sessions, --since and --until runs; days are of this machine's time zone.
    """
    from agnocli.cli.counting import Wanted, count, dimensions, measured

    query = filters.query(context)
    wanted = Wanted(
        sessions=session or [],
        query=query if filters.is_filtered(query) else None,
        by=dimensions(by or []),
        measure=measured(measure),
        top=top,
        chart=chart,
        everywhere=all_backends,
    )
    return run(context, lambda one: count(one, wanted))
