"""Everything in a configuration that would fail when it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from agnocli.agent.models.keys import model_with_key
from agnocli.config import (
    AgentConfig,
    Config,
    TeamConfig,
    agent_config,
    backend_config,
    team_config,
)
from agnocli.db.registry import open_backend
from agnocli.errors import AgnoCLIError


class Problem(NamedTuple):
    key: str
    message: str
    hint: str | None

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def problems(config: Config, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Every backend, agent and team is tried, none is connected to or asked."""
    yield from _try("default_backend", lambda: backend_config(config, None, environ))
    yield from _try("default_agent", lambda: agent_config(config, None, environ))
    for name in config.backends:
        yield from _try(f"backends.{name}", partial(_backend, config, name, environ))
    for name in config.agents:
        yield from _try(f"agents.{name}", partial(_agent, config, name, environ))
    for name in config.teams:
        yield from _try(f"teams.{name}", partial(_team, config, name, environ))


def _backend(config: Config, name: str, environ: Mapping[str, str]) -> None:
    open_backend(backend_config(config, name, environ)).close()


def _agent(config: Config, name: str, environ: Mapping[str, str]) -> None:
    _model(agent_config(config, name, environ), environ)


def _team(config: Config, name: str, environ: Mapping[str, str]) -> None:
    _model(team_config(config, name, environ), environ)


def _model(entry: AgentConfig | TeamConfig, environ: Mapping[str, str]) -> None:
    if entry.model is not None:
        model_with_key(entry.model, entry.base_url, entry.api_key, environ)


def _try(key: str, action: Callable[[], object]) -> Iterator[Problem]:
    try:
        action()
    except AgnoCLIError as error:
        yield Problem(key, error.message, error.hint)
