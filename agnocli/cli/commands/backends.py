"""`agno backends …`: the places that hold sessions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from agnocli.cli.context import App, run
from agnocli.cli.options import Command, application
from agnocli.cli.render.table import Column
from agnocli.errors import BackendReadOnlyError

Result = TypeVar("Result")

app = application("The places that hold sessions: list, check, make.")

COLUMNS = [
    Column("name", "NAME"),
    Column("type", "TYPE"),
    Column("address", "ADDRESS"),
    Column("default", "DEFAULT"),
]
Name = Annotated[str | None, typer.Argument(help="Name or URL; the default one if not given.")]


@app.command("list", cls=Command)
def list_(context: typer.Context) -> int:
    """List the configured backends; connects to none."""
    return run(context, _list)


def _list(app: App) -> None:
    from agnocli.config import masked

    default = app.backend_name()
    configured = app.config.backends
    rows: list[dict[str, object]] = [
        {
            "name": name,
            "type": one.type,
            "address": _place(masked(one.options)),
            "default": name == default,
        }
        for name, one in configured.items()
    ]
    if default not in configured:
        from agnocli.config import backend_config

        chosen = backend_config(app.config, app.options.backend, app.environ)
        place = _place(masked(chosen.options))
        rows.insert(
            0, {"name": chosen.name, "type": chosen.type, "address": place, "default": True}
        )
    app.list(rows, COLUMNS)


def _place(options: object) -> str:
    if not isinstance(options, dict):
        return ""
    for key in ("db_file", "db_url"):
        if key in options:
            return str(options[key])
    return ", ".join(f"{key}={value}" for key, value in options.items())


@app.command(cls=Command)
def check(context: typer.Context, name: Name = None) -> int:
    """Connect, read, write and roll back; tell layout and counts."""
    return run(context, lambda one: _check(one, name))


def _check(app: App, name: str | None) -> None:
    backend = app.backend(name)
    _, connect_ms = _timed(backend.connect)
    report, read_ms = _timed(backend.inspect)
    notes = list(report.notes)
    try:
        _, write_ms = _timed(backend.probe)
    except BackendReadOnlyError as error:
        write_ms = None
        notes.append(error.message)
    found = {
        "address": report.address,
        "layout": report.layout,
        "sessions": report.sessions,
        "runs": report.runs,
        "versions": dict(report.versions),
        "tables": list(report.tables),
        "notes": notes,
        "connect_ms": connect_ms,
        "read_ms": read_ms,
        "write_ms": write_ms,
    }
    if not app.json(found):
        for key, value in found.items():
            for line in _in_words(key, value):
                typer.echo(line)


_NOTHING = {"versions": "none", "tables": "none", "notes": "nothing is missing"}
_TIMES = {"connect_ms": "connect", "read_ms": "read", "write_ms": "write"}


def _in_words(key: str, value: object) -> list[str]:
    """Lines of text for one finding; each note has its own."""
    name = _TIMES.get(key, key)
    if isinstance(value, dict):
        value = [f"{table} {version}" for table, version in value.items()]
    if key in _NOTHING and not value:
        value = _NOTHING[key]
    if key in _TIMES:
        value = "not possible" if value is None else f"{value} ms"
    if isinstance(value, list) and key != "notes":
        value = ", ".join(value)
    lines = value if isinstance(value, list) else [value]
    return [f"{'' if number else name:<10}{line}" for number, line in enumerate(lines)]


def _timed(action: Callable[[], Result]) -> tuple[Result, float | None]:
    """What it gives, and how many milliseconds it took."""
    started = time.perf_counter()
    result = action()
    return result, round((time.perf_counter() - started) * 1000, 1)


@app.command(cls=Command)
def init(context: typer.Context, name: Name = None) -> int:
    """Make Agno's tables where there are none yet; what is there stays as it is."""
    return run(context, lambda one: _init(one, name))


def _init(app: App, name: str | None) -> None:
    backend = app.backend(name)
    if app.options.dry_run:
        if not app.json({"address": backend.address, "dry_run": True}):
            app.note(f"would make Agno's tables at {backend.address}")
        return
    backend.setup()
    report = backend.inspect()
    if not app.json({"address": report.address, "layout": report.layout}):
        app.note(f"{report.address} is ready: layout {report.layout}, {report.sessions} sessions")
