"""Where a server is, from options and URLs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from agnocli.config.secrets import masked_url
from agnocli.errors import ConfigError
from agnocli.layout import names

LOCAL = "mongodb://localhost:27017"
_TEXTS = (
    "db_url",
    "db_name",
    "session_collection",
    "runs_collection",
    "host",
    "username",
    "password",
)


def url(host: str | None, port: int | None, username: str | None, password: str | None) -> str:
    if host is None and port is None and username is None:
        return LOCAL
    user = "" if username is None else quote(username, safe="")
    secret = "" if password is None else f":{quote(password, safe='')}"
    return f"mongodb://{user}{secret}{'@' if user else ''}{host or 'localhost'}:{port or 27017}"


def address(location: str, database: str) -> str:
    """Where it is: no options of the URL, and no database that is only for authentication."""
    scheme, separator, rest = masked_url(location).partition("://")
    hosts = rest.partition("?")[0]
    user, at, hosts = hosts.rpartition("@")
    return f"{scheme}{separator}{user}{at}{hosts.partition('/')[0]}/{database}"


def client_address(database: str) -> str:
    return f"mongodb://the client that was given/{database}"


def database_of(location: str) -> str | None:
    hosts = location.partition("://")[2].partition("?")[0].rpartition("@")[2]
    return hosts.partition("/")[2] or None


def options(given: Mapping[str, object], where: str) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for option, value in given.items():
        key = names.canonical(option, (*_TEXTS, "port"), where)
        wanted = int if key == "port" else str
        if not isinstance(value, wanted) or isinstance(value, bool):
            kind = "a whole number" if key == "port" else "text"
            raise ConfigError(f"{where}: {option} must be {kind}")
        known[key] = value
    if "db_url" not in known and "host" not in known:
        raise ConfigError(f"{where}: db_url is missing", hint=f'add: db_url = "{LOCAL}"')
    return known
