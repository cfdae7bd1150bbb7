"""Where a server is."""

from __future__ import annotations

from urllib.parse import quote

from agnocli.config.secrets import masked_url

LOCAL = "mongodb://localhost:27017"
OPTIONS: dict[str, type] = {
    "db_url": str,
    "db_name": str,
    "session_collection": str,
    "runs_collection": str,
    "host": str,
    "port": int,
    "username": str,
    "password": str,
}


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
