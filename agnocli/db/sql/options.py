"""Configured options to the arguments of a backend's class."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from agnocli.errors import ConfigError
from agnocli.layout import names


def text_options(
    options: Mapping[str, object],
    known: Collection[str],
    name: str,
    *,
    switches: Collection[str] = (),
) -> dict[str, Any]:
    """By their present names; ConfigError for one nobody knows and for one that is not text, or not true or false."""
    found: dict[str, Any] = {}
    for option, value in options.items():
        key = names.canonical(option, known, f"backend {name!r}")
        kind, wanted = (bool, "true or false") if key in switches else (str, "text")
        if not isinstance(value, kind):
            raise ConfigError(f"backend {name!r}: {option} must be {wanted}")
        found[key] = value
    return found
