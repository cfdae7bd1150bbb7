"""From options, as a user writes them, to a server."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from inspect import signature
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from agnocli.db._redis.packing import Packer
from agnocli.db._redis.server import Server
from agnocli.errors import ConfigError

PREFIX = "agno"
CONNECT_SECONDS, ANSWER_SECONDS = 5, 60

OPTIONS: dict[str, type] = {
    "db_url": str,
    "db_prefix": str,
    "prefix": str,  # which does not mean db_prefix to the letter
    "host": str,
    "port": int,
    "db": int,
    "username": str,
    "password": str,
    "ssl": bool,
    "expire": int,
    "session_table": str,
    "runs_table": str,
}


def key_prefix(db_prefix: str | None, prefix: str | None) -> str:
    if db_prefix is not None:
        return db_prefix
    return PREFIX if prefix is None else prefix.removesuffix(":") or PREFIX


def seconds(expire: int | None) -> int | None:
    if expire is not None and expire < 1:
        raise ConfigError(
            f"expire cannot be {expire}", hint="seconds, 1 or more; leave it out to keep everything"
        )
    return expire


def url(
    host: str, port: int, db: int, username: str | None, password: str | None, ssl: bool
) -> str:
    user = quote(username or "", safe="")
    secret = f":{quote(password, safe='')}" if password else ""
    who = f"{user}{secret}@" if user or secret else ""
    place = f"[{host}]" if ":" in host else host
    return f"{'rediss' if ssl else 'redis'}://{who}{place}:{port}/{db}"


def server(location: str, client: Any = None) -> Server:
    """ConfigError for a URL that cannot be meant."""
    if client is not None:
        kind = any(one.__name__ == "RedisCluster" for one in type(client).__mro__)
        return Server(lambda **_: client, _address_of(client), cluster=kind, owned=False)
    _check(location)
    return Server(
        lambda **how: _connect(location, **how), _masked(location), cluster=None, owned=True
    )


def _connect(location: str, *, cluster: bool = False) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    how: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "socket_read_size": 2**18,
        "protocol": 2,
    }
    _check_parameters(location, signature(redis.Redis).parameters)
    try:
        if cluster:
            return redis.RedisCluster.from_url(location, **how)
        # what is safe to do again is done again by us, and only that
        retry = Retry(NoBackoff(), 0)
        return redis.Redis.from_url(location, retry=retry, command_packer=Packer(), **how)
    except ValueError as error:
        raise ConfigError(
            f"{_masked(location)}: {error}", hint="see the part of the URL behind the ?"
        ) from error


def _check_parameters(location: str, known: Collection[str]) -> None:
    for name in parse_qs(urlsplit(location).query, keep_blank_values=True):
        if name not in known:
            near = get_close_matches(name, [*known], n=1)
            raise ConfigError(
                f"{_masked(location)}: unknown option {name!r}",
                hint=f"did you mean {near[0]!r}?"
                if near
                else "behind the ? stand redis-py's options",
            )


def _check(location: str) -> None:
    scheme, separator, _ = location.partition("://")
    if scheme not in ("redis", "rediss", "unix") or not separator:
        raise ConfigError(
            f"not a Redis URL: {_masked(location)!r}",
            hint="redis://HOST:6379/0, rediss:// for TLS, or unix:///PATH?db=0",
        )
    parts = urlsplit(location)
    try:
        number = parts.path.strip("/") if scheme != "unix" else "0"
        wrong = None if number.isdigit() or not number else f"no database {number!r}"
        _ = parts.port
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise ConfigError(
            f"{_masked(location)}: {wrong}", hint="write it as redis://HOST:PORT/NUMBER"
        )


def _masked(location: str) -> str:
    """Without the password, and without the query, which may hold one."""
    head = location.partition("?")[0]
    scheme, separator, rest = head.partition("://")
    userinfo, at, place = rest.rpartition("@")
    user = userinfo.partition(":")[0]
    return f"{scheme}{separator}{user}{at if user else ''}{place}"


def _address_of(client: Any) -> str:
    pool = getattr(client, "connection_pool", None)
    how = getattr(pool, "connection_kwargs", {})
    if "path" in how:
        return f"unix://{how['path']}?db={how.get('db', 0)}"
    if pool is None:
        nodes: list[Any] = getattr(client, "get_primaries", list)()
        return "redis://" + ",".join(sorted(f"{one.host}:{one.port}" for one in nodes))
    return f"redis://{how.get('host', 'localhost')}:{how.get('port', 6379)}/{how.get('db', 0)}"
