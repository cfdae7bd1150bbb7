"""What `agno doctor` looks at, one finding after the other."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import msgspec

from agnocli import __version__
from agnocli.abc import Backend, SessionQuery
from agnocli.cli.context import App
from agnocli.config import agent_config
from agnocli.errors import AgnoCLIError, BackendNotSetUpError

if TYPE_CHECKING:
    from agnocli.agent.agent import Agent
    from agnocli.config import AgentConfig

PACKAGES = ("openai", "psycopg", "pymysql", "redis", "pymongo", "detect-secrets")
"""What something of ours works with, where it is there."""

LATEST = 20
"""Sessions whose state is looked at."""


class Finding(msgspec.Struct, frozen=True):
    check: str
    status: Literal["ok", "warning", "error"]
    detail: str


def findings(app: App) -> Iterator[Finding]:
    yield Finding("agnocli", "ok", f"{__version__}, Python {platform.python_version()}")
    yield Finding("agno on PATH", "ok", shutil.which("agno") or "not there")
    yield from _packages()
    yield from _config(app)
    yield from _backends(app)
    yield from _agents(app)
    yield from _state(app)


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    for name in PACKAGES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "ok", "not installed")


def _config(app: App) -> Iterator[Finding]:
    from agnocli.cli.config_check import problems

    found = list(problems(app.config, app.environ))
    if not found:
        yield Finding("configuration", "ok", str(app.config.path or "built-in defaults"))
    for line in found:
        yield Finding("configuration", "warning", line)


def _backends(app: App) -> Iterator[Finding]:
    chosen = app.options.backend
    for name in [chosen] if chosen else dict.fromkeys([*app.config.backends, app.backend_name()]):
        configured = chosen or (name if name in app.config.backends else None)
        try:
            report = app.backend(configured, read_only=True).inspect()
        except BackendNotSetUpError as error:
            yield Finding(f"backend {name}", "ok", error.message)
        except AgnoCLIError as error:
            yield Finding(f"backend {name}", "error", error.message)
        else:
            counts = f"layout {report.layout}, {report.sessions} sessions, {report.runs} runs"
            yield Finding(f"backend {name}", "ok", f"{report.address}: {counts}")
            for note in report.notes:
                yield Finding(f"backend {name}", "warning", note)


def _agents(app: App) -> Iterator[Finding]:
    from agnocli.agent.advice import advice

    backend = _default(app)
    for name in app.config.agents:
        try:
            agent = _agent(agent_config(app.config, name, app.environ), backend)
        except AgnoCLIError:  # told among the configuration's problems
            continue
        for line in advice(agent, app.environ):
            yield Finding(f"agent {name}", "warning", line)


def _default(app: App) -> Backend | None:
    try:
        return app.backend(read_only=True)
    except AgnoCLIError:  # told among the backends
        return None


def _agent(config: AgentConfig, backend: Backend | None) -> Agent:
    from agnocli.agent.agent import Agent
    from agnocli.cli.owners import settings

    return Agent(**settings(config), model=config.model, db=backend)


def _state(app: App) -> Iterator[Finding]:
    """Secrets in what is stored as plain text."""
    from agnocli.agent import leaks
    from agnocli.agent.sessions import stored_state

    if not leaks.can_look():
        yield Finding("secrets", "ok", "not looked for: pip install 'agnocli[secrets]'")
        return
    backend = _default(app)
    try:
        page = backend.find(SessionQuery(limit=LATEST)).items if backend else ()
        for info in page:
            assert backend is not None
            for place in leaks.secrets(stored_state(backend.get(info.session_id))):
                detail = f"session {info.session_id}: state {place} looks like a secret"
                yield Finding("secrets", "warning", detail)
    except AgnoCLIError:  # told among the backends
        return
