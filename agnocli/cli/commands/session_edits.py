"""`agno sessions rename`, `tag` and `fork`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agnocli.cli import tagging
from agnocli.cli.choosing import choice
from agnocli.cli.context import App, not_empty, run

Session = Annotated[str, typer.Argument(help="Id, name, beginning of an id, or @last.")]
Sessions = Annotated[
    list[str] | None,
    typer.Argument(metavar="SESSION", help="Ids, names, beginnings of ids, or @last."),
]


def rename(
    context: typer.Context,
    session: Session,
    name: Annotated[str, typer.Argument(help="The new name.")],
) -> int:
    """Name a conversation. Nothing else of it changes."""
    return run(context, lambda one: _rename(one, session, not_empty(name, "the name")))


def _rename(app: App, reference: str, name: str) -> None:
    from agnocli.sessions.naming import rename as rename_session
    from agnocli.sessions.resolve import resolve

    backend = app.backend(read_only=app.options.dry_run)
    session_id = resolve(backend, reference)
    if not app.options.dry_run:
        rename_session(backend, session_id, name)
    done = "would be named" if app.options.dry_run else "is now named"
    if not app.json({"session_id": session_id, "name": name, "dry_run": app.options.dry_run}):
        app.note(f"{session_id} {done} {name!r}")


def tag(
    context: typer.Context,
    sessions: Sessions = None,
    all_: Annotated[bool, typer.Option("--all", help="All sessions.")] = False,
    add: Annotated[list[str] | None, typer.Option("--add", help="As +TAG.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="As -TAG.")] = None,
) -> int:
    """Put tags on conversations and take them off, as in: tag SESSION +work -draft. Without tags, print them.

    Tags stand behind the sessions. A tag of one letter that is a flag elsewhere (n, q, v, y, h) is taken off with
    --remove; behind -b and -o a word that begins with neither + nor - makes them the options they are elsewhere.
    """
    chosen = choice(context, sessions, everything=all_)
    on, off = tagging.given(context, add or [], remove or [])
    return run(context, lambda one: tagging.tag(one, chosen, on, off))


def fork(
    context: typer.Context,
    session: Session,
    at: Annotated[
        int | None,
        typer.Option(
            "--at", metavar="RUN_NUMBER", min=0, help="The last run to copy, as inspect counts."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What the copy is called.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="BACKEND", help="Into another backend.")
    ] = None,
) -> int:
    """Copy a conversation up to a run, to go on from there another way. Prints the new id."""
    for value, flag in ((name, "--name"), (to, "--to")):
        if value is not None:
            not_empty(value, flag)
    return run(context, lambda one: _fork(one, session, at, name, to))


def _fork(app: App, reference: str, at: int | None, name: str | None, to: str | None) -> None:
    from agnocli.sessions.fork import Beginning
    from agnocli.sessions.resolve import resolve

    dry = app.options.dry_run
    source = app.backend(read_only=dry or to is not None)
    target = app.backend(to, read_only=dry) if to is not None else source
    with Beginning(source, resolve(source, reference), at) as beginning:
        new = None if dry else beginning.store(target, name)
    row = {
        "session_id": new,
        "backend": target.address,
        "runs": beginning.runs,
        "forked_from": beginning.source,
        "dry_run": dry,
    }
    if app.json(row):
        return
    if new is not None:
        sys.stdout.write(f"{new}\n")
    amount = f"{beginning.runs:,} run{'s' * (beginning.runs != 1)}"
    done = "would be copied" if dry else f"copied; go on with: agno chat -s {new}"
    app.note(f"{amount} of {beginning.source['session_id']} {done}")
