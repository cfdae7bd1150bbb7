"""`${env:NAME}`, `${file:PATH}` and `${xdg:data}` in values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from agnocli.config.paths import XDG, base_dir, tilde
from agnocli.errors import ConfigError

REFERENCE = re.compile(r"\$\{(env|file|xdg):([^}]*)\}")
MARK = "\ue000"
"""Stands for a reference while the text around it is looked at."""

_MISSPELT = re.compile(r"\$\{\w*[:}]")
_USERINFO = re.compile(r"[a-zA-Z][\w+.-]*://([^/?#]*)@")


class Lookup(msgspec.Struct, frozen=True):
    """Where references are looked up; relative files are beside the configuration file."""

    environ: Mapping[str, str]
    folder: Path = Path()
    file: str = "configuration"

    def expand(self, value: Any, key: str) -> Any:
        """`value` with its references replaced, in lists and tables too. ConfigError naming `key`."""
        if isinstance(value, str):
            return self.text(value, key)
        if isinstance(value, dict):
            return {name: self.expand(item, f"{key}.{name}") for name, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.expand(item, f"{key}[{n}]") for n, item in enumerate(value))
        return value

    def text(self, value: str, key: str) -> str:
        """Inside the `user:password@` of a URL what is put in is percent-encoded."""
        if "${" not in value:
            return value
        userinfo = _USERINFO.match(REFERENCE.sub(MARK, value))
        encoded = userinfo.group(1).count(MARK) if userinfo else 0
        seen = 0

        def replace(match: re.Match[str]) -> str:
            nonlocal seen
            seen += 1
            found = self._value(match.group(1), match.group(2), key)
            return quote(found, safe="") if seen <= encoded else found

        return REFERENCE.sub(replace, value)

    def _value(self, kind: str, argument: str, key: str) -> str:
        if kind == "env":
            return self._variable(argument, key)
        if kind == "file":
            return self._content(argument, key)
        if argument in XDG:
            return str(base_dir(argument, self.environ))
        raise self._error(
            f"{key}: ${{xdg:{argument}}} is unknown", f"one of: {', '.join(sorted(XDG))}"
        )

    def _variable(self, name: str, key: str) -> str:
        try:
            return self.environ[name]
        except KeyError:
            raise self._error(
                f"{key} needs the environment variable {name}, which is not set",
                f"export {name}=… and try again" if name else "write ${env:NAME}",
            ) from None

    def _content(self, name: str, key: str) -> str:
        path = self.folder / tilde(name, self.environ)
        try:
            text = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise self._error(f"{key} needs the file {path}: {reason}", None) from error
        return text.removesuffix("\n").removesuffix("\r")

    def _error(self, message: str, hint: str | None) -> ConfigError:
        return ConfigError(f"{self.file}: {message}", hint=hint)


def misspelt(value: str) -> str | None:
    """What looks like a reference and is none, as `${evn:NAME}` or `${NAME}`."""
    found = _MISSPELT.search(REFERENCE.sub("", value))
    return found.group() if found else None
