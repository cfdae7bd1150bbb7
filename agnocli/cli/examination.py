"""What `agno doctor` looks at, one finding after the other."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from agnocli import __version__
from agnocli.abc import Backend
from agnocli.cli.context import App
from agnocli.config import Config, agent_config, backend_config, team_config
from agnocli.errors import ConfigError

if TYPE_CHECKING:
    from agnocli.agent.runnable import Runnable

NEEDED = ("typer", "msgspec", "rich", "sqlalchemy", "openai")
OPTIONAL = {
    "psycopg": "postgres",
    "pymysql": "mysql",
    "redis": "redis",
    "pymongo": "mongo",
    "detect-secrets": "secrets",
}
"""What something of ours works with, where it is there, and which extra brings it."""
AGNOS = {"agno": "", "agnoctl": "; installing it anew takes the name `agno`, `agnocli` stays"}
TAKE_BACK = (
    "`agnocli` is this program too; for `agno`: pip install --force-reinstall --no-deps agnocli"
)


class Finding(msgspec.Struct, frozen=True):
    check: str
    status: Literal["ok", "warning", "error"]
    detail: str
    fix: str | None = None


class Place(NamedTuple):
    """A backend, or why it cannot be had. `read_only`: by its configuration."""

    check: str
    backend: Backend | Finding
    read_only: bool = False


def findings(app: App, seconds: float) -> Iterator[Finding]:
    """`seconds` is what a backend is given to answer. Backends are looked at side by side."""
    from agnocli.cli.backend_examination import examined

    yield from _program()
    yield from _packages()
    yield _terminal(app)
    try:
        config = app.config
    except ConfigError as error:
        yield Finding("configuration", "error", error.message, error.hint)
        config = Config()
    yield from _configuration(app, config)
    yield from examined(_backends(app, config), seconds)
    yield from _advice(app, config)


def _program() -> Iterator[Finding]:
    yield Finding("agnocli", "ok", __version__)
    yield Finding("python", "ok", f"{platform.python_version()}, {sys.executable}")
    yield owner_of(shutil.which("agno"), shutil.which("agnocli"))


def owner_of(script: str | None, ours: str | None = None) -> Finding:
    """Whose `agno` it is that a shell runs: Agno's own command line has a script of that name, too."""
    name = "agno on PATH"
    if script is None and ours is not None:
        gone = f"not there, though {ours} is: uninstalling agnoctl takes it away"
        return Finding(name, "warning", gone, TAKE_BACK)
    if script is None:
        return Finding(name, "ok", "not there; `python -m agnocli` is the same program")
    try:
        with Path(script).open("rb") as file:
            text = file.read(4096).decode("utf-8", "replace")
    except OSError as error:
        return Finding(name, "warning", f"{script} cannot be read: {error.strerror}", TAKE_BACK)
    if re.search(r"\bagnocli\b", text.partition("\n")[2]):
        return _ours(name, script, text)
    if re.search(r"\bagnoctl\b", text):
        whose = "is Agno's own command line (agnoctl), which was installed last"
        return Finding(name, "warning", f"{script} {whose}", TAKE_BACK)
    return Finding(name, "warning", f"{script} is another program", TAKE_BACK)


def _ours(name: str, script: str, text: str) -> Finding:
    folder = os.path.dirname(os.path.realpath(script))  # noqa: PTH120
    if folder == os.path.realpath(os.path.dirname(sys.executable)):  # noqa: PTH120
        return Finding(name, "ok", script)
    return Finding(name, "ok", f"{script}: this program, of another environment than this one")


def _packages() -> Iterator[Finding]:
    for name in NEEDED:
        yield _needed(name, _version(name))
    for name, extra in OPTIONAL.items():
        found = _version(name)
        fix = None if found else f"pip install 'agnocli[{extra}]'"
        yield Finding(name, "ok", found or "not installed", fix)
    for name, about in AGNOS.items():
        found = _version(name)
        yield Finding(name, "ok", f"{found}{about}" if found else "not installed, and not needed")


def _needed(name: str, version: str | None) -> Finding:
    if version is None:
        return Finding(name, "error", "not installed", "pip install --force-reinstall agnocli")
    if name == "typer" and not re.match(r"0\.2[678]\.", version):
        return Finding(
            name,
            "warning",
            f"{version}: made for 0.26 to 0.28, later ones take three times as long to start",
            "pip install 'typer>=0.26,<0.29'",
        )
    return Finding(name, "ok", version)


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _terminal(app: App) -> Finding:
    terminal = app.terminal
    encoding = getattr(sys.stdout, "encoding", None) or "unknown"
    where = f"a terminal of {terminal.width} columns" if terminal.stdout_tty else "no terminal"
    colour = "colour" if terminal.color else "no colour"
    asks = "questions can be asked" if terminal.can_ask else "nobody can be asked"
    detail = f"{where}, {colour}, {encoding}, {asks}"
    if encoding.lower().replace("-", "") != "utf8":
        return Finding("terminal", "warning", detail, "export LANG=C.UTF-8")
    if terminal.stdout_tty and os.environ.get("TERM", "dumb") == "dumb":
        return Finding(
            "terminal", "warning", f"{detail}; TERM is dumb", "export TERM=xterm-256color"
        )
    return Finding("terminal", "ok", detail)


def _configuration(app: App, config: Config) -> Iterator[Finding]:
    from agnocli.cli.config_check import problems

    model = _model(app, config)
    found = [
        one
        for one in problems(config, app.environ)
        if not one.key.startswith("backends.") and one.message != model.detail
    ]
    if not found:
        yield Finding("configuration", "ok", str(config.path or "built-in defaults"))
    for one in found:
        yield Finding("configuration", "warning", f"{one.key}: {one.message}", one.hint)
    yield model


def _model(app: App, config: Config) -> Finding:
    """Whether a chat that names no model could begin."""
    from agnocli.cli.chatting import ChatOptions, choose_model

    try:
        agent = agent_config(config, None, app.environ)
        spec = choose_model(app, ChatOptions(), agent)
    except ConfigError as error:
        return Finding("model", "warning", error.message, error.hint)
    key = "with a key" if spec.key else "without a key"
    return Finding("model", "ok", f"{spec.provider.key}:{spec.id}, {key}")


def _backends(app: App, config: Config) -> Iterator[Place]:
    """Each opened and not connected to, or why it cannot be; the one that is used first."""
    from agnocli.db.registry import open_backend

    given, seen = app.options.backend, set[str]()
    for name in [given] if given else [None, *config.backends]:
        called = name or config.default_backend or "default"
        try:
            chosen = backend_config(config, name, app.environ)
            called = chosen.name
            place = Place(
                f"backend {called}", open_backend(chosen, read_only=True), chosen.read_only
            )
        except ConfigError as error:
            check = f"backend {called}"
            place = Place(check, Finding(check, "error", error.message, error.hint))
        if called not in seen:
            seen.add(called)
            yield place


def _advice(app: App, config: Config) -> Iterator[Finding]:
    """What is likely to be meant otherwise in the agents and teams of the configuration."""
    from agnocli.agent.advice import advice

    for owner in _owners(app, config):
        for line in advice(owner, app.environ):
            yield Finding(
                f"{owner.kind} {owner.known_as}",
                "warning",
                line,
                f"change {owner.kind}s.{owner.known_as} in {config.path}",
            )


def _owners(app: App, config: Config) -> Iterator[Runnable]:
    """Without their tools, which are programs. One that cannot be made is told among the configuration's problems."""
    from agnocli.agent.agent import Agent
    from agnocli.cli.owners import settings
    from agnocli.team.team import Team

    db = _default(app, config)
    agents: dict[str, Agent] = {}
    for name in config.agents:
        with suppress(ConfigError):
            agent = agent_config(config, name, app.environ)
            agents[name] = Agent(**settings(agent), model=agent.model, db=db)
            yield agents[name]
    for name in config.teams:
        with suppress(ConfigError):
            team = team_config(config, name, app.environ)
            members = [agents[one] for one in team.members if one in agents]
            yield Team(**settings(team), mode=team.mode, members=members, model=team.model, db=db)


def _default(app: App, config: Config) -> Backend | None:
    """Not connected to; None when there is none, which is told among the backends."""
    from agnocli.db.registry import open_backend

    with suppress(ConfigError):
        return open_backend(backend_config(config, app.options.backend, app.environ))
    return None
