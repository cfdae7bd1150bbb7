"""`agno sessions state get|set|unset`: single keys of the session state."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from agnocli.cli.commands.session_edits import Session
from agnocli.cli.context import App, not_empty, run
from agnocli.cli.options import Command, application
from agnocli.errors import UsageError

if TYPE_CHECKING:
    from agnocli.abc import Backend
    from agnocli.records import Document

app = application("Read and change single keys of the session state.")

Key = Annotated[str, typer.Argument(help="A key of the state itself, spelled as it is.")]
If = Annotated[
    str | None, typer.Option("--if", metavar="JSON", help="Only if this is the value now.")
]
STDIN = "-"


@app.command(cls=Command)
def get(
    context: typer.Context,
    session: Session,
    key: Annotated[
        str | None, typer.Argument(help="One key; all of the state if not given.")
    ] = None,
) -> int:
    """Print the session state, or one key of it, as JSON."""
    return run(context, lambda one: _get(one, session, key))


@app.command("set", cls=Command)
def set_(
    context: typer.Context,
    session: Session,
    key: Key,
    value: Annotated[
        str, typer.Argument(metavar="JSON", help="""As 7, '"tea"' or '["a"]'; - reads stdin.""")
    ],
    expected: If = None,
    new: Annotated[bool, typer.Option("--new", help="Only if there is no such key.")] = False,
) -> int:
    """Set one key of the session state; what others change in it meanwhile stays.

    To change something within a value: get it, edit it, set it with --if and what it was.
    """
    return run(context, lambda one: _set(one, session, key, value, expected, new))


@app.command(cls=Command)
def unset(context: typer.Context, session: Session, key: Key, expected: If = None) -> int:
    """Take one key out of the session state."""
    return run(context, lambda one: _unset(one, session, key, expected))


def _get(app: App, reference: str, key: str | None) -> None:
    from agnocli.sessions.resolve import resolve
    from agnocli.sessions.state import state_of, value_of

    backend = app.backend(read_only=True)
    session = backend.get(resolve(backend, reference))
    _write(app, state_of(session) if key is None else value_of(session, key))


def _write(app: App, document: Document) -> None:
    """The stored text itself; on a terminal laid out."""
    from agnocli import codec
    from agnocli.cli.render.text import neutral, neutral_json
    from agnocli.layout.form import document_text

    if app.terminal.stdout_tty and not app.options.json:
        text = neutral(codec.pretty(codec.decode(document)))
    else:
        text = neutral_json(document_text(document))
    sys.stdout.write(f"{text}\n")


def _set(app: App, reference: str, key: str, value: str, expected: str | None, new: bool) -> None:
    from agnocli.sessions.state import set_value

    meant = _document(sys.stdin.read() if value == STDIN else value, "JSON")
    before = None if expected is None else _document(expected, "--if")
    if before is not None and new:
        raise UsageError(
            "--new is for a key that is not there, --if for one that is", hint="give one of them"
        )
    _change(
        app,
        reference,
        key,
        lambda backend, one: set_value(backend, one, key, meant, expected=before, new=new),
    )


def _unset(app: App, reference: str, key: str, expected: str | None) -> None:
    from agnocli.sessions.state import unset_value

    before = None if expected is None else _document(expected, "--if")
    _change(
        app, reference, key, lambda backend, one: unset_value(backend, one, key, expected=before)
    )


def _document(text: str, what: str) -> Document:
    """As Agno writes it. UsageError for what every reader of JSON would not take."""
    from agnocli import codec
    from agnocli.errors import CodecError
    from agnocli.records import Document

    raw = Document(text.strip().encode("utf-8", "surrogatepass"))
    try:
        value = codec.decode(raw)
    except CodecError as error:
        hint = f"""text stands in quotes of its own: '"{text}"'"""
        raise UsageError(f"{what}: {text!r} is {error.message}", hint=hint) from error
    if not codec.is_strict(raw):
        raise UsageError(f"{what}: not JSON as every reader takes it", hint="no NaN, no Infinity")
    return codec.encode(value)


def _change(app: App, reference: str, key: str, change: Callable[[Backend, str], object]) -> None:
    from agnocli.sessions.resolve import resolve

    backend = app.backend(read_only=app.options.dry_run)
    session_id = resolve(backend, reference)
    not_empty(key, "KEY")
    if app.options.dry_run:
        backend.get(session_id)
    else:
        change(backend, session_id)
    done = "would be changed" if app.options.dry_run else "is changed"
    if not app.json({"session_id": session_id, "key": key, "dry_run": app.options.dry_run}):
        app.note(f"the state of {session_id} {done}: {key}")
