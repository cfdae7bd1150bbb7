"""From what the user names to one entry of the configuration, with its references looked up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec.structs import asdict, replace

from agnocli.config.model import AgentConfig, BackendConfig, Config, TeamConfig, did_you_mean
from agnocli.config.paths import Environ, data_dir, tilde
from agnocli.config.precedence import resolve
from agnocli.config.references import Lookup
from agnocli.config.secrets import masked_url
from agnocli.config.urls import FILE_SUFFIXES, TYPES, Location, parse_url
from agnocli.errors import ConfigError

Entry = TypeVar("Entry", AgentConfig, TeamConfig)

DEFAULT_AGENT = AgentConfig(id="assistant", name="assistant")


def backend_config(config: Config, reference: str | None, environ: Environ) -> BackendConfig:
    """A backend by configured name, URL or SQLite file; without one AGNO_BACKEND, then the default.

    Unless configured otherwise, `sqlite` is the file in the data folder and `memory` the process's memory.
    """
    named, origin = resolve("backend", reference, environ, config.default_backend, None)
    if named is None:
        return _default_file("default", environ)
    if named in config.backends:
        return _configured(config, config.backends[named], environ)
    if "://" in named:
        return _from_url(named, Lookup(environ, file=origin), environ)
    if named == "sqlite":
        return _default_file(named, environ)
    if named == "memory":
        return BackendConfig(name=named, type="memory")
    if named.endswith(FILE_SUFFIXES):
        return BackendConfig(name=named, type="sqlite", options={"db_file": named})
    raise _unknown_backend(config, named, origin)


def _default_file(name: str, environ: Environ) -> BackendConfig:
    file = data_dir(environ) / "agno.db"
    return BackendConfig(name=name, type="sqlite", options={"db_file": str(file)})


def _from_url(url: str, lookup: Lookup, environ: Environ) -> BackendConfig:
    found = parse_url(lookup.text(url, "the URL"), environ)
    return BackendConfig(
        name=masked_url(url), type=found.type, options=found.options, read_only=found.read_only
    )


def _unknown_backend(config: Config, named: str, origin: str) -> ConfigError:
    if named in TYPES:
        example = TYPES[named].schemes[0]
        return ConfigError(
            f"backend {named!r} is not configured ({origin})",
            hint=f"give a URL, {example}://…, or add to the configuration: "
            f'[backends.{named}] type = "{named}" db_url = "{example}://…"',
        )
    if "/" in named:
        return ConfigError(
            f"no backend {named!r} ({origin})", hint=f"if it is an SQLite file: sqlite:///{named}"
        )
    names = sorted({*config.backends, "sqlite", "memory"})
    near = did_you_mean(named, names)
    known = f"known: {', '.join(names)}"
    return ConfigError(
        f"no backend {named!r} ({origin})",
        hint=f"{near if near == known else f'{near} {known}'}; or give a URL",
    )


def _configured(config: Config, backend: BackendConfig, environ: Environ) -> BackendConfig:
    key = f"backends.{backend.name}"
    lookup = _lookup(config, environ)
    options = lookup.expand(backend.options, key)
    read_only = backend.read_only
    if backend.type in TYPES:
        options = _typed(options, TYPES[backend.type].options, f"{lookup.file}: {key}")
        if "db_url" in options:
            found = _merged(options, backend, f"{lookup.file}: {key}", environ)
            options, read_only = found.options, read_only or found.read_only
    if isinstance(file := options.get("db_file"), str):
        options["db_file"] = _beside(config, file, environ)
    return BackendConfig(name=backend.name, type=backend.type, options=options, read_only=read_only)


def _lookup(config: Config, environ: Environ) -> Lookup:
    if config.path is None:
        return Lookup(environ)
    return Lookup(environ, config.path.parent, str(config.path))


def _typed(options: dict[str, object], known: Mapping[str, type], where: str) -> dict[str, object]:
    """Numbers may have come out of a variable."""
    typed = dict(options)
    for key, value in options.items():
        try:
            typed[key] = msgspec.convert(value, known.get(key, object), strict=False)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}.{key} must be a whole number") from error
    return typed


def _merged(
    options: dict[str, object], backend: BackendConfig, where: str, environ: Environ
) -> Location:
    """The table's options and those in its URL's query."""
    url = str(options.pop("db_url"))
    if "://" not in url:
        example = TYPES[backend.type].schemes[0]
        raise ConfigError(f"{where}.db_url is not a URL", hint=f"it starts with {example}://")
    try:
        found = parse_url(url, environ)
    except ConfigError as error:
        raise ConfigError(f"{where}.db_url: {error.message}", hint=error.hint) from error
    if found.type != backend.type:
        raise ConfigError(
            f"{where}.db_url is a {found.type} URL in a backend of type {backend.type}"
        )
    if twice := sorted(set(found.options) & set(options)):
        raise ConfigError(
            f"{where}: {twice[0]} stands there twice, once in db_url", hint="leave one of them out"
        )
    return replace(found, options=found.options | options)


def _beside(config: Config, file: str, environ: Environ) -> str:
    """A relative file is meant from the configuration's folder, wherever one stands."""
    path = tilde(file, environ)
    return str(config.path.parent / path if config.path else path)


def agent_config(config: Config, name: str | None, environ: Environ) -> AgentConfig:
    """An agent by its key; without a name the default one, which may be none of the configured."""
    name = name or config.default_agent
    if name is None:
        return DEFAULT_AGENT
    return _entry(config, config.agents, "agents", name, environ)


def team_config(config: Config, name: str, environ: Environ) -> TeamConfig:
    return _entry(config, config.teams, "teams", name, environ)


def _entry(
    config: Config, entries: Mapping[str, Entry], table: str, name: str, environ: Environ
) -> Entry:
    if name not in entries:
        raise ConfigError(f"no {table[:-1]} {name!r}", hint=did_you_mean(name, entries))
    entry = entries[name]
    fields = _lookup(config, environ).expand(asdict(entry), f"{table}.{name}")
    return type(entry)(**fields)
