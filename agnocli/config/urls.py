"""The built-in backend types as a user writes them: URL schemes and options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

import msgspec

from agnocli.config.model import did_you_mean
from agnocli.config.paths import tilde
from agnocli.config.secrets import masked_url
from agnocli.errors import ConfigError

FILE_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3")

_SQL = dict.fromkeys(("session_table", "table_name", "runs_table", "versions_table"), str)
_SCHEMA = dict.fromkeys(("db_schema", "schema"), str)
_REDIS = {"db_prefix": str, "prefix": str, "expire": int}
_MONGO = ("db_name", "session_collection", "collection_name", "collection", "runs_collection")


class TypeInfo(msgspec.Struct, frozen=True):
    """`in_url` options may stand in a URL's query, `in_file` ones in a table only."""

    schemes: tuple[str, ...]
    in_url: Mapping[str, type] = {}
    in_file: Mapping[str, type] = {}

    @property
    def options(self) -> dict[str, type]:
        return {**self.in_file, **self.in_url}


TYPES = {
    "sqlite": TypeInfo(("sqlite", "sqlite+pysqlite"), _SQL, {"db_file": str, "db_url": str}),
    "postgres": TypeInfo(
        ("postgresql", "postgresql+psycopg", "postgres"), _SQL | _SCHEMA, {"db_url": str}
    ),
    "mysql": TypeInfo(
        ("mysql", "mysql+pymysql", "mariadb", "mariadb+pymysql"), _SQL | _SCHEMA, {"db_url": str}
    ),
    "redis": TypeInfo(
        ("redis", "rediss"),
        _REDIS,
        {
            "db_url": str,
            "host": str,
            "port": int,
            "db": int,
            "username": str,
            "password": str,
            "ssl": bool,
        },
    ),
    "mongo": TypeInfo(
        ("mongodb", "mongodb+srv"),
        dict.fromkeys(_MONGO, str),
        {"db_url": str, "host": str, "port": int, "username": str, "password": str},
    ),
    "memory": TypeInfo(("memory",)),
}
"""A type that is not here is an installed one; its options are checked by itself."""

_HOST = re.compile(r"(\[[^\[\]]*\]|[^:@\[\]]*)(:\d*)?")
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})|[@:\[\] ]")
_ENCODE = "write / ? # and @ in a password as %2F %3F %23 and %40, or put it in ${env:NAME}"


class Location(msgspec.Struct, frozen=True):
    """What a URL says; `options` hold what is left of it as `db_url`, or `db_file`."""

    type: str
    options: dict[str, object]
    read_only: bool = False


def parse_url(url: str, environ: Mapping[str, str]) -> Location:
    """ConfigError, with the URL masked, for one that cannot be meant.

    A scheme nobody here knows is taken for the name of an installed type.
    """
    scheme = url.partition("://")[0].lower()
    kind = _type_of(scheme, url)
    info = TYPES.get(kind)
    if info is None:
        return Location(kind, {"db_url": url})
    head = _head(url, kind)
    query, rest = _own_parameters(url[len(head) + 1 :], info.in_url, url)
    if kind in ("sqlite", "memory") and rest:
        raise _bad(
            url, f"unknown option {_key(rest[0])!r}", did_you_mean(_key(rest[0]), info.in_url)
        )
    _check_spelling(rest, info.in_url, url)
    read_only = bool(query.pop("read_only", False))
    place = _place(kind, head, environ)
    if rest and "db_url" in place:
        place["db_url"] = f"{place['db_url']}?{'&'.join(rest)}"
    return Location(kind, place | query, read_only)


def _type_of(scheme: str, url: str) -> str:
    for kind, info in TYPES.items():
        if scheme in info.schemes:
            return kind
        if scheme == kind or scheme.partition("+")[0] in info.schemes:
            known = ", ".join(f"{one}://" for one in info.schemes)
            raise _bad(url, f"{scheme}:// is not read", f"use one of: {known}")
    return scheme


def _head(url: str, kind: str) -> str:
    """The part before the query. A password ends at the authority's last `@`."""
    scheme, _, rest = url.partition("://")
    if kind in ("sqlite", "memory"):
        return f"{scheme}://{rest.partition('?')[0]}"
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    path = rest[len(authority) :].partition("?")[0]
    hosts = authority.rpartition("@")[2]
    if "@" in path or not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        raise _bad(url, "the host is not clear", _ENCODE)
    return f"{scheme}://{authority}{path}"


def _place(kind: str, head: str, environ: Mapping[str, str]) -> dict[str, object]:
    if kind == "memory":
        if head.partition("://")[2].strip("/"):
            raise _bad(head, "memory has no place", "memory://")
        return {}
    if kind == "sqlite":
        return {"db_file": _file(head, environ)}
    return {"db_url": _encoded(head)}


def _file(head: str, environ: Mapping[str, str]) -> str:
    path = unquote(head.partition("://")[2])
    if not path.startswith("/") or path == "/":
        better = f"sqlite:///{path.strip('/') or 'PATH.db'}"
        raise _bad(head, "no file", f"{better} beside you, sqlite:////PATH.db for a whole path")
    return str(tilde(path[1:], environ))


def _encoded(head: str) -> str:
    """Stray characters of the user and password are percent-encoded, as every driver wants them."""
    scheme, _, rest = head.partition("://")
    authority = rest.partition("/")[0]
    userinfo, at, hosts = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    return (
        f"{scheme}://{_quoted(user)}{colon}{_quoted(password)}{at}{hosts}{rest[len(authority) :]}"
    )


def _quoted(text: str) -> str:
    return _STRAY.sub(lambda stray: quote(stray.group(), safe=""), text)


def _own_parameters(
    query: str, known: Mapping[str, type], url: str
) -> tuple[dict[str, object], list[str]]:
    """Our options, and the driver's parameters as they are."""
    own: dict[str, object] = {}
    rest = []
    for part in filter(None, query.split("&")):
        key = _key(part)
        kind = bool if key == "read_only" else known.get(key)
        if kind is None:
            rest.append(part)
        elif key in own:
            raise _bad(url, f"{key} stands there twice", None)
        else:
            own[key] = _typed(unquote_plus(part.partition("=")[2]), kind, key, url)
    return own, rest


def _check_spelling(rest: list[str], known: Mapping[str, type], url: str) -> None:
    """ConfigError for a parameter that is meant for us; what is like none of ours goes to the driver."""
    if not rest:
        return
    from difflib import get_close_matches  # noqa: PLC0415 - few URLs have any

    for key in map(_key, rest):
        if near := get_close_matches(key, [*known, "read_only"], n=1, cutoff=0.8):
            raise _bad(url, f"unknown option {key!r}", f"did you mean {near[0]!r}?")


def _key(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[0])


def _typed(text: str, kind: type, key: str, url: str) -> Any:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        wanted = {bool: "true or false", int: "a whole number"}[kind]
        raise _bad(url, f"{key} must be {wanted}", None) from error


def _bad(url: str, reason: str, hint: str | None) -> ConfigError:
    return ConfigError(f"{masked_url(url)}: {reason}", hint=hint)
