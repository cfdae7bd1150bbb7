"""The folders of the XDG base directory specification. Nothing here creates one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from agnocli.errors import ConfigError

Environ = Mapping[str, str]

XDG = {
    "config": ("XDG_CONFIG_HOME", ".config"),
    "data": ("XDG_DATA_HOME", ".local/share"),
    "state": ("XDG_STATE_HOME", ".local/state"),
    "cache": ("XDG_CACHE_HOME", ".cache"),
}


def base_dir(kind: str, environ: Environ | None = None) -> Path:
    """One of `XDG`; a relative or empty value of its variable is ignored, as the specification asks."""
    environ = os.environ if environ is None else environ
    variable, below_home = XDG[kind]
    named = Path(environ.get(variable, ""))
    return named if named.is_absolute() else home(environ) / below_home


def home(environ: Environ) -> Path:
    named = Path(environ.get("HOME", ""))
    if named.is_absolute():
        return named
    try:
        return Path("~").expanduser()
    except RuntimeError as error:
        raise ConfigError("there is no home folder", hint="set HOME, or XDG_DATA_HOME") from error


def tilde(path: str, environ: Environ) -> Path:
    """A path with a leading `~/` replaced; `~name` is somebody else's home."""
    if path == "~" or path.startswith("~/"):
        return home(environ) / path[2:]
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path}: no such user", hint="write the whole path") from error


def config_dir(environ: Environ | None = None) -> Path:
    return base_dir("config", environ) / "agno"


def data_dir(environ: Environ | None = None) -> Path:
    return base_dir("data", environ) / "agno"


def state_dir(environ: Environ | None = None) -> Path:
    return base_dir("state", environ) / "agno"


def cache_dir(environ: Environ | None = None) -> Path:
    return base_dir("cache", environ) / "agno"
