"""`agno sessions delete`, `prune`, `restore` and `trash`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from agnocli.cli import filters
from agnocli.cli.choosing import choice
from agnocli.cli.commands.session_edits import Sessions
from agnocli.cli.context import not_empty, run
from agnocli.cli.options import Command, application
from agnocli.cli.times import moment
from agnocli.errors import UsageError

trash = application("Deleted conversations, kept until they are restored or removed.")

OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="AGE", help="As 30d, 36h, 2026-01-31.")
]


def delete(
    context: typer.Context,
    sessions: Sessions = None,
    all_: Annotated[bool, typer.Option("--all", help="All sessions.")] = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="For good, not into the trash; no byte stays.")
    ] = False,
    confirm: Annotated[
        int | None,
        typer.Option("--confirm", metavar="N", min=0, help="Go ahead if it is about N sessions."),
    ] = None,
) -> int:
    """Delete conversations with all of their runs, into the trash. `restore` brings them back."""
    from agnocli.cli.deleting import delete

    chosen = choice(context, sessions, everything=all_)
    return run(context, lambda one: delete(one, chosen, confirm, purge=purge))


def prune(
    context: typer.Context,
    older_than: OlderThan = None,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=0, help="All but the latest N.")
    ] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Those without runs.")] = False,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            "--protect-tag", metavar="TAG", help="Never those with this tag.  [default: keep]"
        ),
    ] = None,
) -> int:
    """Delete old conversations, into the trash. Only tells which, unless --yes is given.

    Rules and filters that are given together must all apply.
    """
    from agnocli.cli.pruning import Rules, prune

    if older_than is None and keep is None and not empty:
        raise UsageError("which sessions?", hint="give --older-than 30d, --keep 100 or --empty")
    for one in (older_than, *(protect or ())):
        if one is not None:
            not_empty(one, "--older-than" if one is older_than else "--protect-tag")
    rules = Rules(
        before=moment(older_than, time.time()),
        keep=keep,
        empty=empty,
        protected=tuple(protect or ("keep",)),
    )
    query = filters.query(context)
    return run(context, lambda one: prune(one, query, rules))


def restore(
    context: typer.Context,
    deleted: Annotated[
        list[str] | None,
        typer.Argument(metavar="SESSION", help="Ids, names or beginnings of ids."),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="All of the last deletion.")] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="Show what there is, as trash list.")
    ] = False,
) -> int:
    """Bring deleted conversations back, exactly as they were."""
    from agnocli.cli.restoring import list_trash, restore

    if list_:
        return run(context, lambda one: list_trash(one, everywhere=False))
    if bool(deleted) == last:
        raise UsageError("which sessions?", hint="name some, or --last for the last deletion")
    references = [not_empty(one, "SESSION") for one in deleted or ()]
    return run(context, lambda one: restore(one, references, last=last))


@trash.command("list", cls=Command)
def list_(
    context: typer.Context,
    everywhere: Annotated[
        bool, typer.Option("--all-backends", help="Not only what this backend had.")
    ] = False,
) -> int:
    """List deleted conversations, the latest deletion first."""
    from agnocli.cli.restoring import list_trash

    return run(context, lambda one: list_trash(one, everywhere=everywhere))


@trash.command(cls=Command)
def empty(context: typer.Context, older_than: OlderThan = None) -> int:
    """Remove deleted conversations for good, of all backends."""
    from agnocli.cli.restoring import empty

    if older_than is not None:
        not_empty(older_than, "--older-than")
    before = moment(older_than, time.time())
    return run(context, lambda one: empty(one, before))
