"""`agno sessions verify`: what is wrong with what is stored, and how to put it right."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from agnocli.cli import filters
from agnocli.cli.context import not_empty, run


class Orphans(StrEnum):
    ADOPT = "adopt"
    DELETE = "delete"


def verify(
    context: typer.Context,
    session: Annotated[
        list[str] | None, typer.Argument(help="Ids, names, beginnings of ids, or @last; else all.")
    ] = None,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Look for keys, tokens and passwords as well.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Put right what can be, after a backup of what it is in.")
    ] = False,
    orphans: Annotated[
        Orphans, typer.Option("--orphans", help="With --fix: runs without a session.")
    ] = Orphans.ADOPT,
    stale_after: Annotated[
        str, typer.Option("--stale-after", metavar="AGE", help="RUNNING for so long, unseen.")
    ] = "1d",
    backup: Annotated[
        str | None,
        typer.Option("--backup", metavar="FILE", help="Where --fix writes what was there before."),
    ] = None,
) -> int:
    """Look for orphan runs, gaps in their numbers, unfinished turns, unpaired tool calls, broken JSON and the like.

    Each problem has what to do about it. Ends with 0 when there is none, 10 when there are some; with --fix, 0 when all
    are put right and 9 when some are left. Runs without a session and the layout are looked at when no sessions are
    chosen.
    """
    from agnocli.cli.times import seconds_of
    from agnocli.cli.verifying import Wanted, verify_sessions

    query = filters.query(context)
    wanted = Wanted(
        sessions=[not_empty(one, "SESSION") for one in session or []],
        query=query if filters.is_filtered(query) else None,
        secrets=secrets,
        fix=fix,
        adopt=orphans is Orphans.ADOPT,
        stale_after=seconds_of(stale_after, "--stale-after"),
        backup=None if backup is None else not_empty(backup, "--backup"),
    )
    return run(context, lambda one: verify_sessions(one, wanted))
