"""From a backend's type to the module that opens it.

Built-in types are found by name, without `importlib.metadata`: reading that costs four times a bare start of Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Protocol

from agnocli import db
from agnocli.abc import Backend
from agnocli.config import BackendConfig
from agnocli.config.urls import TYPES
from agnocli.errors import ConfigError, DriverMissingError

GROUP = "agnocli.backends"
EXTRAS = ("postgres", "mysql", "redis", "mongo")
"""Types whose driver comes with an extra of the same name."""

_NO_TYPES = ("registry",)


class Opener(Protocol):
    def __call__(self, options: Mapping[str, object], *, name: str, read_only: bool) -> Backend: ...


def open_backend(config: BackendConfig, *, read_only: bool = False) -> Backend:
    """The backend a configuration describes; it connects when first used.

    ConfigError for a type nobody provides, DriverMissingError when its driver is not installed.
    """
    try:
        opener = _built_in(config.type) or _installed(config.type)
        if opener is None:
            raise _unknown(config)
        return opener(config.options, name=config.name, read_only=read_only or config.read_only)
    except ImportError as error:
        if (error.name or "").startswith("agnocli"):
            raise
        raise _driver_missing(config, error) from error


def backend_types() -> tuple[str, ...]:
    """Every type that can be opened, the built-in and the installed ones."""
    installed = (point.name for point in _entry_points())
    return tuple(sorted({*_built_in_types(), *installed}))


def _built_in(kind: str) -> Opener | None:
    if not kind.isidentifier() or kind.startswith("_") or kind in _NO_TYPES:
        return None
    module = f"{db.__name__}.{kind}"
    try:
        opener: Opener | None = getattr(import_module(module), "open_backend", None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return None
    return opener


def _built_in_types() -> Iterator[str]:
    from pkgutil import iter_modules

    for module in iter_modules(db.__path__):
        if not module.ispkg and not module.name.startswith("_") and module.name not in _NO_TYPES:
            yield module.name


def _entry_points() -> Any:
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _installed(kind: str) -> Opener | None:
    for point in _entry_points():
        if point.name == kind:
            try:
                opener: Opener = point.load()
            except AttributeError as error:
                raise _broken(kind, point.value) from error
            if not callable(opener):
                raise _broken(kind, point.value)
            return opener
    return None


def _broken(kind: str, value: str) -> ConfigError:
    return ConfigError(
        f"the installed backend type {kind!r} cannot be used: {value} is not a function",
        hint=f"its package must offer a function in the entry-point group {GROUP}",
    )


def _unknown(config: BackendConfig) -> ConfigError:
    types = backend_types()
    known = f"types: {', '.join(types)}"
    if config.type in EXTRAS:
        return ConfigError(
            f"this version of agnocli has no {config.type} backend yet", hint=f"its {known}"
        )
    schemes = [scheme for info in TYPES.values() for scheme in info.schemes]
    near = get_close_matches(config.type, dict.fromkeys([*types, *EXTRAS, *schemes]), n=1)
    return ConfigError(
        f"backend {config.name!r}: there is no backend type {config.type!r}",
        hint=f"did you mean {near[0]!r}? {known}" if near else known,
    )


def _driver_missing(config: BackendConfig, error: ImportError) -> DriverMissingError:
    package = (error.name or "").partition(".")[0]
    reason = f"{package} is not installed" if package else str(error).partition("\n")[0]
    hint: str | None
    if config.type in EXTRAS:
        hint = f"pip install 'agnocli[{config.type}]'"
    elif package.startswith("_"):
        hint = "this Python was built without it; use another Python"
    else:
        hint = f"pip install {package}" if package else None
    return DriverMissingError(f"backend {config.name!r} cannot be opened: {reason}", hint=hint)
