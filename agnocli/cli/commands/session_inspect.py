"""`agno sessions inspect`: a conversation as it reads, as it is built, as it is stored, or beside another one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import msgspec
import typer

from agnocli.cli.context import App, not_empty, run
from agnocli.errors import UsageError

if TYPE_CHECKING:
    from agnocli.abc import Backend
    from agnocli.records import Run, Session


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """The flags."""

    last: int | None
    roles: tuple[str, ...]
    tools: bool
    system: bool
    state: bool
    metrics: bool
    sizes: bool
    tree: bool
    raw: bool


def inspect(
    context: typer.Context,
    session: Annotated[str, typer.Argument(help="Id, name, beginning of an id, or @last.")],
    last: Annotated[
        int | None, typer.Option("--last", min=1, help="Only the last so many runs.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option("--role", help="Only these roles.")] = None,
    tools: Annotated[bool, typer.Option("--tools", help="Tool arguments and results.")] = False,
    system: Annotated[bool, typer.Option("--system", help="System prompts in full.")] = False,
    state: Annotated[bool, typer.Option("--state", help="The session state.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Tokens and times.")] = False,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="What its bytes are spent on, instead of the words.")
    ] = False,
    tree: Annotated[
        bool, typer.Option("--tree", help="Its runs as a tree, a line each, instead of the words.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The stored JSON, exactly.")] = False,
    diff: Annotated[
        str | None,
        typer.Option(
            "--diff",
            metavar="SESSION",
            help="What another one has otherwise; BACKEND:SESSION is one elsewhere.",
        ),
    ] = None,
) -> int:
    """Show a conversation: header, transcript, state, summary, metrics."""
    looked = Looked(
        last=last,
        roles=tuple(role or ()),
        tools=tools,
        system=system,
        state=state,
        metrics=metrics,
        sizes=sizes,
        tree=tree,
        raw=raw,
    )
    _check(looked, diff)
    if diff is not None:
        return run(context, lambda one: _paged(one, _diff, session, diff))
    return run(context, lambda one: _paged(one, _inspect, session, looked))


def _paged(app: App, act: Callable[..., None], *asked: Any) -> None:
    with app.paged() as stream, redirect_stdout(stream):
        act(app, *asked)


def _check(looked: Looked, diff: str | None) -> None:
    given = {"--sizes": looked.sizes, "--tree": looked.tree, "--raw": looked.raw}
    chosen = [flag for flag, is_given in given.items() if is_given]
    if diff is not None:
        not_empty(diff, "--diff")
        chosen.append("--diff")
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} exclude each other", hint="give one of them")


def _inspect(app: App, reference: str, looked: Looked) -> None:
    from agnocli.sessions.resolve import resolve

    backend = app.backend(read_only=True)
    session = backend.get(resolve(backend, reference))
    runs = backend.runs(session.session_id, last=looked.last)
    if looked.sizes:
        _sizes(app, session, runs)
    elif looked.raw or app.options.json:
        from agnocli.layout.form import session_json

        _write_json(session_json(session, runs))
    elif looked.tree:
        from agnocli.cli.render.overview import write_tree

        write_tree(page(app, sys.stdout), session, runs)
    else:
        _transcript(app, backend, session, runs, looked)


def page(app: App, stream: TextIO) -> Any:
    from agnocli.cli.render.transcript import Page, Shown

    terminal = app.terminal
    return Page(stream, terminal.color, terminal.width, terminal.stdout_tty, Shown())


def _sizes(app: App, session: Session, runs: Iterable[Run]) -> None:
    from collections import deque

    from agnocli.layout.sizes import Sizes

    found = Sizes()
    found.of_session(session)
    deque(found.watched(runs), maxlen=0)
    by_cause = {cause: count for cause, count in found.by_cause.most_common() if count}
    row = {"session_id": session.session_id, "bytes": found.total, "by_cause": by_cause}
    if not app.json(row):
        from agnocli.cli.render.overview import write_sizes

        write_sizes(page(app, sys.stdout), session, found)


def _transcript(
    app: App, backend: Backend, session: Session, runs: Iterable[Run], looked: Looked
) -> None:
    from agnocli.cli.render.transcript import Shown, write_transcript

    write_transcript(
        session,
        runs,
        stream=sys.stdout,
        color=app.terminal.color,
        width=app.terminal.width,
        tty=app.terminal.stdout_tty,
        shown=Shown(
            roles=looked.roles,
            tools=looked.tools,
            system=looked.system,
            state=looked.state,
            metrics=looked.metrics,
            sizes=True,
            backend=backend.address,
        ),
    )


def _write_json(pieces: Iterable[str]) -> None:
    """Pieces go out as they come; what a terminal would act on is escaped, which JSON readers undo."""
    from agnocli.cli.render.text import neutral_json

    for piece in pieces:
        sys.stdout.write(neutral_json(piece))
    sys.stdout.write("\n")


def _diff(app: App, reference: str, other: str) -> None:
    from agnocli.sessions.difference import Stored, difference
    from agnocli.sessions.resolve import resolve

    backend = app.backend(read_only=True)
    elsewhere, reference_there = _elsewhere(app, backend, other)
    left = Stored(backend, resolve(backend, reference))
    right = Stored(elsewhere, resolve(elsewhere, reference_there))
    found = difference(left, right)
    if app.options.json:
        _write_json(_pieces(found))
        return
    from agnocli.cli.render.difference import write_difference

    write_difference(found, page(app, sys.stdout))


def _elsewhere(app: App, backend: Backend, reference: str) -> tuple[Backend, str]:
    """The backend and reference that BACKEND:SESSION means; one without a configured name is of this backend."""
    name, colon, there = reference.partition(":")
    if colon and there and name in app.config.backends:
        return app.backend(name, read_only=True), there
    return backend, reference


def _pieces(found: Any) -> Iterator[str]:
    from agnocli import codec

    head = codec.line(found.head())
    yield head[:-1] + ', "runs": ['
    for number, change in enumerate(found.changes()):
        yield (", " if number else "") + codec.line(change.as_json())
    yield "]}"
