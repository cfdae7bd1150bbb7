"""`agno config …`: where the configuration is, what it says, whether it is right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from agnocli.cli.context import App, run
from agnocli.cli.options import Command, application
from agnocli.cli.render.table import Column
from agnocli.errors import ConfigError, ExistsError

app = application("Where the configuration is, what it says, whether it is right.")


@app.command(cls=Command)
def path(context: typer.Context) -> int:
    """Print the file in use; if there is none, where one would be."""
    return run(context, _path)


def _path(app: App) -> None:
    from agnocli.config import config_dir

    used = app.config.path
    place = used or config_dir(app.environ) / "config.toml"
    if not app.json({"path": str(place), "exists": used is not None}):
        sys.stdout.write(f"{place}\n")
        if used is None:
            app.note("there is no such file yet; agno config init makes one")


@app.command(cls=Command)
def show(
    context: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Where each value comes from.")] = False,
) -> int:
    """Print what is in force. Secrets are masked."""
    return run(context, lambda one: _show(one, origin))


def _show(app: App, origin: bool) -> None:
    from agnocli.config import origins

    flags = {"backend": app.options.backend, "config": app.options.config}
    rows = [
        {"key": key, "value": value, "origin": where}
        for key, value, where in origins(app.config, app.environ, flags)
    ]
    columns = [Column("key", "KEY"), Column("value", "VALUE"), Column("origin", "ORIGIN")]
    app.list(rows, columns if origin else columns[:2])


@app.command(cls=Command)
def check(context: typer.Context) -> int:
    """Read the configuration and try every entry; connects to nothing."""
    return run(context, _check)


def _check(app: App) -> int:
    from agnocli.cli.config_check import problems

    found = [str(one) for one in problems(app.config, app.environ)]
    place = str(app.config.path or "built-in defaults")
    if not app.json({"path": place, "ok": not found, "problems": found}):
        for problem in found:
            sys.stdout.write(f"{problem}\n")
        many = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        app.note(f"{place}: {many if found else 'all right'}")
    return 6 if found else 0


@app.command(cls=Command)
def init(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file.")] = False,
) -> int:
    """Write a commented starter file."""
    return run(context, lambda one: _init(one, force))


def _init(app: App, force: bool) -> None:
    from agnocli.config import config_dir, init_config

    given = app.options.config
    place = Path(given) if given and given != "none" else config_dir(app.environ) / "config.toml"
    if place.exists() and not force:
        raise ExistsError(f"{place} is there already")
    if not app.options.dry_run:
        _write(place, init_config(place))
    if not app.json({"path": str(place), "dry_run": app.options.dry_run}):
        sys.stdout.write(f"{place}\n")
    if app.options.dry_run:
        app.note("nothing was written")


def _write(place: Path, text: str) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{place} cannot be written: {error.strerror}",
            hint="give another place with --config FILE",
        ) from error
