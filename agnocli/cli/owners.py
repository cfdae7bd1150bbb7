"""From the configuration to who answers: an agent or a team, with its tools."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agnocli.config import agent_config, team_config
from agnocli.config.model import AgentConfig, TeamConfig
from agnocli.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from agnocli.agent.agent import Agent
    from agnocli.agent.runnable import Runnable
    from agnocli.cli.chatting import ChatOptions
    from agnocli.cli.context import App

DEFAULT_HISTORY_RUNS = 5
_ONLY_CONFIGURED = ("members", "mode", "tools", "model")


def chosen_owner(app: App, options: ChatOptions) -> Runnable:
    """Whom the flags name, else the configured default agent. ConfigError."""
    from agnocli.agent.models.late import LateModel
    from agnocli.cli.chatting import choose_model

    if options.team is not None:
        return _team(app, options, team_config(app.config, options.team, app.environ))
    config = agent_config(app.config, options.agent, app.environ)
    return agent_of(app, config, LateModel(choose_model(app, options, config)))


def agent_of(app: App, config: AgentConfig, model: Any) -> Agent:
    from agnocli.agent.agent import Agent

    return Agent(**settings(config), model=model, tools=load_tools(app, config))


def _team(app: App, options: ChatOptions, config: TeamConfig) -> Runnable:
    from agnocli.agent.models.late import LateModel
    from agnocli.cli.chatting import choose_model
    from agnocli.team.team import Team

    members = [agent_config(app.config, name, app.environ) for name in config.members]
    return Team(
        **settings(config),
        mode=config.mode,
        members=[agent_of(app, one, _own_model(app, one)) for one in members],
        model=LateModel(choose_model(app, options, config)),
        tools=load_tools(app, config),
    )


def _own_model(app: App, config: AgentConfig) -> Any:
    """None: the leader's."""
    from agnocli.agent.models.keys import model_with_key
    from agnocli.agent.models.late import LateModel

    if config.model is None:
        return None
    return LateModel(model_with_key(config.model, config.base_url, config.api_key, app.environ))


def settings(config: AgentConfig | TeamConfig) -> dict[str, Any]:
    given = msgspec.structs.asdict(config)
    kept = {
        name: value
        for name, value in given.items()
        if name not in _ONLY_CONFIGURED and value is not None
    }
    if config.num_history_runs is None and config.num_history_messages is None:
        kept["num_history_runs"] = DEFAULT_HISTORY_RUNS
    return kept


def load_tools(app: App, config: AgentConfig | TeamConfig) -> list[Callable[..., Any]]:
    """The functions that the configuration names. They are programs: only its owner's own file may name them."""
    path = app.config.path
    if not config.tools or path is None:
        return []
    _check_owner(path)
    beside = str(path.absolute().parent)
    if beside not in sys.path:
        sys.path.insert(0, beside)
    return [_load(name, path) for name in config.tools]


def _check_owner(path: Path) -> None:
    found = path.stat()
    if found.st_uid not in (os.getuid(), 0):
        raise ConfigError(
            f"{path} names tools, and is not yours", hint="copy it, read it, and use the copy"
        )
    if found.st_mode & stat.S_IWOTH:
        raise ConfigError(
            f"{path} names tools, and anybody may change it", hint=f"chmod o-w {path}"
        )


def _load(name: str, path: Path) -> Callable[..., Any]:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigError(f"{path}: tool {name!r}", hint="write it as MODULE:FUNCTION")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{path}: tool {name!r} cannot be loaded: {error}",
            hint="its module must be installed, or lie beside the configuration",
        ) from error
    if not callable(found):
        raise ConfigError(f"{path}: tool {name!r} is no function")
    return found  # type: ignore[no-any-return]


def approving(app: App, mode: str | None) -> Callable[..., bool] | None:
    """Who says whether a tool may be run: the user on a terminal, else nobody, unless a mode is given."""
    chosen = mode or ("ask" if app.terminal.can_ask else "deny")
    if chosen == "auto":
        return None
    if chosen == "deny":
        return lambda name, arguments, stopped: False
    if not app.terminal.can_ask:
        raise UsageError("--approve ask needs a terminal", hint="--approve auto, or deny")
    from agnocli.cli.asking import ask_whether

    return ask_whether
