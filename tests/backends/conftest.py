"""Servers of a test's own, and backends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from agnocli.db.redis import RedisDb
from tests.harness.redis_server import RedisServer, own_server

Open = Callable[..., RedisDb]


@pytest.fixture
def client() -> Iterator[Any]:
    """On a database with nothing in it, where keys may have Agno's own prefix."""
    with redis.Redis.from_url(own_server().url, decode_responses=True) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def url(client: Any) -> str:
    how = client.connection_pool.connection_kwargs
    return f"redis://{how['host']}:{how['port']}/{how['db']}"


@pytest.fixture
def open_db(url: str) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(RedisDb(**{"db_url": url, **options}))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One that a test may stop or spoil."""
    server = RedisServer()
    yield server
    server.stop()
