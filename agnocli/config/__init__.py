"""Which backends, agents and teams there are, and where each setting comes from.

    paths        the folders of XDG
    model        Config, BackendConfig, AgentConfig, TeamConfig, Price
    load         a TOML file to a Config
    references   `${env:…}`, `${file:…}`, `${xdg:…}`, looked up when the value is used
    urls         a URL to a backend's type and options
    choose       what a name or URL given by the user means
    secrets      what may be shown
    precedence   flag > environment > file > default
    starter      the text `config init` writes

Values are kept as written until `backend_config`, `agent_config` or `team_config` asks for one of them.
"""

from __future__ import annotations

from agnocli.config.choose import agent_config, backend_config, team_config
from agnocli.config.load import load_config
from agnocli.config.model import AgentConfig, BackendConfig, Config, Price, TeamConfig
from agnocli.config.paths import cache_dir, config_dir, data_dir, state_dir
from agnocli.config.precedence import origins, resolve
from agnocli.config.secrets import masked, masked_url
from agnocli.config.starter import init_config

__all__ = [
    "AgentConfig",
    "BackendConfig",
    "Config",
    "Price",
    "TeamConfig",
    "agent_config",
    "backend_config",
    "cache_dir",
    "config_dir",
    "data_dir",
    "init_config",
    "load_config",
    "masked",
    "masked_url",
    "origins",
    "resolve",
    "state_dir",
    "team_config",
]
