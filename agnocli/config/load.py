"""A TOML file to a `Config`, or a `ConfigError` that says where."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from agnocli import codec
from agnocli.config.model import (
    MODES,
    AgentConfig,
    BackendConfig,
    Config,
    Price,
    TeamConfig,
    did_you_mean,
)
from agnocli.config.paths import Environ, config_dir, tilde
from agnocli.config.precedence import resolve
from agnocli.config.references import REFERENCE, misspelt
from agnocli.config.urls import TYPES
from agnocli.errors import CodecError, ConfigError

Entry = TypeVar("Entry", AgentConfig, TeamConfig)

LOCAL_FILE = Path("agno.toml")
_TABLES = ("backends", "agents", "teams", "prices")
_TOP = ("default_backend", "default_agent", *_TABLES)
_LOOKED_UP = ("model", "base_url", "api_key")
"""Agent settings in which a `${…}` is a reference or a mistake; in prose it may be anything."""
_KEY_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^.\"'\s]+)")


def load_config(path: str | None, environ: Environ) -> Config:
    """The file of `--config` or AGNO_CONFIG, else `./agno.toml`, else the user's, else the defaults.

    `none` asks for the defaults alone. A file that was named must be there.
    """
    named, origin = resolve("config", path, environ, None, None)
    if named == "none":
        return Config()
    if named is not None:
        return _read(tilde(named, environ), origin)
    for file in (LOCAL_FILE, config_dir(environ) / "config.toml"):
        if file.is_file():
            return _read(file, origin)
    return Config()


def _read(path: Path, origin: str) -> Config:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        hint = "`agno config init` writes one" if isinstance(error, FileNotFoundError) else None
        raise ConfigError(f"{path} ({origin}): {error.strerror}", hint=hint) from error
    except ValueError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error
    return _File(path, text).config()


class _File:
    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text
        self.written = self._parse()

    def _parse(self) -> dict[str, Any]:
        import tomllib  # noqa: PLC0415 - most starts read no file

        try:
            written: dict[str, Any] = tomllib.loads(self.text)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else error
            raise ConfigError(
                f"{self.path}: not valid TOML: {reason}",
                hint="mend that line, or do without the file for now: --config none",
            ) from error
        return written

    def config(self) -> Config:
        self._check_keys((), self.written, _TOP)
        config = Config(
            default_backend=self._name("default_backend"),
            default_agent=self._name("default_agent"),
            backends={name: self._backend(name) for name in self._table("backends")},
            agents={
                name: self._entry("agents", name, AgentConfig) for name in self._table("agents")
            },
            teams={name: self._entry("teams", name, TeamConfig) for name in self._table("teams")},
            prices={name: self._price(name) for name in self._table("prices")},
            path=self.path,
            written=self.written,
        )
        self._check_names(config)
        return config

    def _name(self, key: str) -> str | None:
        value = self.written.get(key)
        if not isinstance(value, str | None):
            self.fail((key,), f"expected text, got {_kind(value)}")
        return value

    def _table(self, *keys: str) -> dict[str, Any]:
        value = self.written
        for depth, key in enumerate(keys, start=1):
            value = value.get(key, {})
            if not isinstance(value, dict):
                self.fail(keys[:depth], f"expected a table, got {_kind(value)}")
        return value

    def _backend(self, name: str) -> BackendConfig:
        keys, options = ("backends", name), dict(self._table("backends", name))
        kind, read_only = options.pop("type", None), options.pop("read_only", False)
        if not isinstance(kind, str):
            self.fail((*keys, "type"), "this must say the type of the backend", _type_hint(name))
        if not isinstance(read_only, bool):
            self.fail((*keys, "read_only"), f"expected true or false, got {_kind(read_only)}")
        if kind in TYPES:
            known = TYPES[kind].options
            self._check_keys(keys, options, {*known, "type", "read_only"})
            for option, value in options.items():
                self._check_option((*keys, option), value, known[option])
        return BackendConfig(name=name, type=kind, options=options, read_only=read_only)

    def _check_option(self, keys: tuple[str, ...], value: object, kind: type) -> None:
        if isinstance(value, str):
            self._check_references(keys, value)
            if REFERENCE.search(value):
                return
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            wanted = {str: "text", int: "a whole number", bool: "true or false"}[kind]
            self.fail(keys, f"expected {wanted}, got {_kind(value)}")

    def _check_references(self, keys: tuple[str, ...], value: str) -> None:
        if wrong := misspelt(value):
            self.fail(
                keys, f"{wrong!r} is no reference", "write ${env:NAME}, ${file:PATH} or ${xdg:data}"
            )

    def _entry(self, table: str, name: str, kind: type[Entry]) -> Entry:
        written = self._table(table, name)
        keys: tuple[str, ...] = (table, name)
        self._check_keys(keys, written, kind.__struct_fields__)
        for key in _LOOKED_UP:
            if isinstance(value := written.get(key), str):
                self._check_references((*keys, key), value)
        try:
            codec.encode(written.get("session_state"))
            return msgspec.convert({"id": name, "name": name} | written, kind)
        except msgspec.ValidationError as error:
            self._misfit(keys, str(error))
        except CodecError as error:
            self.fail((*keys, "session_state"), error.message)

    def _price(self, name: str) -> Price:
        keys, written = ("prices", name), self._table("prices", name)
        self._check_keys(keys, written, Price.__struct_fields__)
        try:
            return msgspec.convert(written, Price)
        except msgspec.ValidationError as error:
            self._misfit(keys, str(error))

    def _misfit(self, keys: tuple[str, ...], message: str) -> NoReturn:
        """msgspec says: Expected `str`, got `int` - at `$.tools[1]`."""
        reason, _, place = message.partition(" - at `$.")
        name, bracket, index = place.rstrip("`").partition("[")
        hint = f"one of: {', '.join(MODES)}" if name == "mode" else None
        where = (*keys, name) if name else keys
        self.fail(where, _plain(reason), hint, index=bracket + index)

    def _check_keys(
        self, keys: tuple[str, ...], table: Mapping[str, Any], known: Collection[str]
    ) -> None:
        for key in table:
            if key not in known:
                self.fail((*keys, key), "unknown key", did_you_mean(key, known))

    def _check_names(self, config: Config) -> None:
        if config.default_agent is not None and config.default_agent not in config.agents:
            self._unknown_agent(("default_agent",), config.default_agent, config)
        for name, team in config.teams.items():
            for member in team.members:
                if member not in config.agents:
                    self._unknown_agent(("teams", name, "members"), member, config)

    def _unknown_agent(self, keys: tuple[str, ...], name: str, config: Config) -> NoReturn:
        self.fail(keys, f"no agent {name!r}", did_you_mean(name, config.agents))

    def fail(
        self, keys: tuple[str, ...], reason: str, hint: str | None = None, index: str = ""
    ) -> NoReturn:
        line = _line_of(self.text, keys)
        place = f"{self.path}, line {line}" if line else str(self.path)
        raise ConfigError(f"{place}: {'.'.join(keys)}{index}: {reason}", hint=hint)


def _line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """Where a key, or else the table it is missing from, is written, as far as plain reading tells.

    tomllib does not say.
    """
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        here: tuple[str, ...] = ()
        if header := re.match(r"\s*\[+\s*(.*?)\s*\]", line):
            here = table = _key_parts(header.group(1))
        elif key := re.match(r"\s*([\w.\"' -]+?)\s*=", line):
            here = (*table, *_key_parts(key.group(1)))
        if here[: len(keys)] == keys:
            return number
    return _line_of(text, keys[:-1]) if len(keys) > 1 else None


def _key_parts(dotted: str) -> tuple[str, ...]:
    return tuple("".join(part) for part in _KEY_PART.findall(dotted))


def _type_hint(name: str) -> str:
    return f"type = {name if name in TYPES else 'sqlite'!r}".replace("'", '"')


def _plain(reason: str) -> str:
    return reason[:1].lower() + reason[1:].replace("`", "")


def _kind(value: object) -> str:
    names = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "a date")
