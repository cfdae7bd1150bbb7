"""`agno sessions list`."""

from __future__ import annotations

from typing import Annotated

import typer
from msgspec.structs import replace

from agnocli.abc import Cursor, Sort
from agnocli.cli import filters
from agnocli.cli.context import not_empty, run


def list_(
    context: typer.Context,
    query: Annotated[str | None, typer.Argument(help="In id, name or title.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-L", min=1, help="Rows of a page.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="All rows.")] = False,
    page: Annotated[int, typer.Option("--page", min=1, help="Which page, from 1.")] = 1,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on behind a page.")] = None,
    sort: Annotated[Sort, typer.Option("--sort", help="By which time.")] = Sort.UPDATED,
    reverse: Annotated[bool, typer.Option("--reverse", help="Oldest first.")] = False,
    everywhere: Annotated[
        bool, typer.Option("--all-backends", help="Of every configured backend, in one order.")
    ] = False,
) -> int:
    """List conversations, the latest first. Run bodies are not read."""
    from agnocli.cli.listing import list_everywhere, list_here

    if cursor is not None:
        not_empty(cursor, "--cursor")
    chosen = replace(
        filters.query(context, text=query, sort=sort),
        reverse=reverse,
        limit=limit,
        skip=(page - 1) * limit,
        after=Cursor(cursor) if cursor else None,
    )
    listed = list_everywhere if everywhere else list_here
    return run(context, lambda one: listed(one, chosen, everything=all_))
