"""Flag, then environment, then file, then default; and which of them it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agnocli import codec
from agnocli.config.model import AgentConfig, Config, TeamConfig
from agnocli.config.paths import Environ
from agnocli.config.secrets import is_secret, masked_member

VARIABLES = {
    "config": "AGNO_CONFIG",
    "backend": "AGNO_BACKEND",
    "model": "AGNO_MODEL",
    "base_url": "AGNO_BASE_URL",
    "output": "AGNO_OUTPUT",
}


def resolve(
    name: str,
    flag: str | None,
    environ: Environ,
    file_value: str | None,
    default: str | None,
) -> tuple[str | None, str]:
    """The value that counts, and `flag --NAME`, `env AGNO_NAME`, `file` or `default`.

    An empty variable counts as none.
    """
    if flag is not None:
        return flag, f"flag --{name.replace('_', '-')}"
    if value := environ.get(VARIABLES[name]):
        return value, f"env {VARIABLES[name]}"
    if file_value is not None:
        return file_value, "file"
    return default, "default"


def origins(
    config: Config, environ: Environ, flags: Mapping[str, str | None]
) -> list[tuple[str, str, str]]:
    """Every setting in force as (key, value without secrets, origin); values as written, not looked up."""
    file = f"file {config.path}"
    rows = list(_settings(config, environ, flags))
    rows += _flat(
        {key: value for key, value in config.written.items() if key not in ("agents", "teams")},
        file,
    )
    for table in ("agents", "teams"):
        for name, entry in getattr(config, table).items():
            rows += _fields(f"{table}.{name}", entry, config.written[table][name], file)
    return [(key, _shown(key, value), origin) for key, value, origin in rows]


def _settings(
    config: Config, environ: Environ, flags: Mapping[str, str | None]
) -> Iterator[tuple[str, object, str]]:
    agent = config.agents.get(config.default_agent or "", AgentConfig())
    found = str(config.path) if config.path else "none"
    in_file = {"backend": config.default_backend, "model": agent.model, "base_url": agent.base_url}
    defaults = {"config": found, "backend": "default", "output": "auto"}
    for name in VARIABLES:
        value, origin = resolve(
            name, flags.get(name), environ, in_file.get(name), defaults.get(name)
        )
        yield name, value, f"file {config.path}" if origin == "file" else origin


def _flat(
    table: Mapping[str, Any], origin: str, prefix: str = ""
) -> Iterator[tuple[str, object, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping) and not is_secret(name):
            yield from _flat(value, origin, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value, origin


def _fields(
    prefix: str, entry: AgentConfig | TeamConfig, written: Mapping[str, Any], file: str
) -> Iterator[tuple[str, object, str]]:
    for name in entry.__struct_fields__:
        value = getattr(entry, name)
        if name in written or value is not None:
            yield f"{prefix}.{name}", value, file if name in written else "default"


def _shown(key: str, value: object) -> str:
    shown = masked_member(key.rpartition(".")[2], value)
    return shown if isinstance(shown, str) else codec.line(shown)
