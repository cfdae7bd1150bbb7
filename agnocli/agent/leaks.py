"""Secrets in session state, which is stored as plain text: found by detect-secrets, where that is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from agnocli import codec
from agnocli.config.secrets import is_secret

_GUESSES = ("Base64HighEntropyString", "HexHighEntropyString")
"""Detectors that take every long word for a key."""


def can_look() -> bool:
    return find_spec("detect_secrets") is not None


def secrets(state: Mapping[str, Any]) -> list[str]:
    """Places in the state that hold what looks like a secret, as `account.token`. Nothing without the detector."""
    suspects = [(place, value) for place, value in _texts(state, "") if _suspect(place, value)]
    if not (suspects and can_look()):
        return []
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import transient_settings

    known: Mapping[str, type] = get_mapping_from_secret_type_to_class()
    names = {one.__name__ for one in known.values()}
    plugins = [{"name": name} for name in sorted(names.difference(_GUESSES))]
    with transient_settings({"plugins_used": plugins}):
        return [place for place, value in suspects if any(scan_line(_line(place, value)))]


def _suspect(place: str, value: str) -> bool:
    """Worth loading the detector for: it takes a third of a second."""
    return is_secret(place.rpartition(".")[2]) or (len(value) >= 12 and " " not in value)


def _line(place: str, value: str) -> str:
    return f"{place.rpartition('.')[2]} = {codec.line(value)}"


def _texts(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, f"{place}[{number}]")
