"""Configured options to the arguments of a backend's class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agnocli.errors import ConfigError
from agnocli.layout import names

_WORDS = {str: "text", int: "a whole number", bool: "true or false"}


def checked(options: Mapping[str, object], kinds: Mapping[str, type], name: str) -> dict[str, Any]:
    """By their present names; ConfigError for one that nobody knows, and for one that is not of its kind."""
    found: dict[str, Any] = {}
    for option, value in options.items():
        key = names.canonical(option, tuple(kinds), f"backend {name!r}")
        kind = kinds[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ConfigError(f"backend {name!r}: {option} must be {_WORDS[kind]}")
        found[key] = value
    return found
