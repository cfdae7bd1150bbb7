"""`agno sessions search`."""

from __future__ import annotations

from typing import Annotated

import typer

from agnocli.cli import filters
from agnocli.cli.context import not_empty, run
from agnocli.errors import UsageError


def search(
    context: typer.Context,
    text: Annotated[
        list[str], typer.Argument(metavar="TEXT", help="All of these, each as it stands.")
    ],
    regex: Annotated[
        bool, typer.Option("--regex", "-E", help="TEXT is a regular expression.")
    ] = False,
    case_sensitive: Annotated[bool, typer.Option("--case-sensitive", help="A is not a.")] = False,
    in_: Annotated[
        str | None,
        typer.Option(
            "--in",
            metavar="A,B",
            help="Only there: content, tools, reasoning, system, name, summary, state; or all.",
        ),
    ] = None,
    role: Annotated[list[str] | None, typer.Option("--role", help="Only these roles.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-L", min=1, help="The best so many.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="All hits.")] = False,
    latest: Annotated[
        bool, typer.Option("--latest", help="The latest first, not the best.")
    ] = False,
    by_session: Annotated[
        bool,
        typer.Option(
            "--sessions", "-l", "--files-with-matches", help="One row a session: its best hit."
        ),
    ] = False,
    surroundings: Annotated[
        int | None,
        typer.Option(
            "--context", "-C", min=0, max=10_000, help="Characters around what was found."
        ),
    ] = None,
    no_index: Annotated[
        bool, typer.Option("--no-index", help="Read all sessions; make and use no index.")
    ] = False,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="End with 1 when nothing is found.")
    ] = False,
    all_backends: Annotated[
        bool, typer.Option("--all-backends", help="Of every configured backend.")
    ] = False,
) -> int:
    """Find words in messages, tools, reasoning, names, state.

    Whatever their case, in any script. Quoted words are found as they stand; of several TEXTs all must stand in one
    message. The best hits come first. An index in the cache folder is made at the first search.
    """
    from agnocli.cli.searching import How, search_sessions
    from agnocli.sessions.search import SearchQuery

    for one in [*text, *(role or [])]:
        not_empty(one, "TEXT" if one in text else "--role")
    query = SearchQuery(
        terms=tuple(text),
        regex=regex,
        case_sensitive=case_sensitive,
        kinds=_kinds(in_),
        roles=tuple(one.strip().lower() for one in role or []),
        sessions=filters.query(context),
        limit=None if all_ else limit,
        latest=latest,
        by_session=by_session,
    )
    how = How(
        surroundings, with_index=not no_index, everywhere=all_backends, exit_status=exit_status
    )
    return run(context, lambda one: search_sessions(one, query, how))


def _kinds(given: str | None) -> tuple[str, ...]:
    from agnocli.sessions.search.parts import KINDS

    if given is None:
        return KINDS
    wanted = [one.strip().lower() for one in not_empty(given, "--in").split(",")]
    for one in wanted:
        if one not in (*KINDS, "all"):
            raise UsageError(f"--in {one}: no such place", hint=f"{', '.join(KINDS)}, or all")
    return KINDS if "all" in wanted else tuple(dict.fromkeys(wanted))
