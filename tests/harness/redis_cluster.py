from __future__ import annotations

from functools import cache
from typing import Any

import redis

from tests.harness.redis import Harness as OneServer
from tests.harness.redis_server import the_cluster


class Harness(OneServer):
    def _start(self) -> str:
        return the_cluster()

    def _connect(self) -> Any:
        return _client(self.url)

    def _disconnect(self) -> None:
        """The next test goes on with it."""


@cache
def _client(url: str) -> Any:
    """One for all tests: a new one asks for what every command of the server means."""
    return redis.RedisCluster.from_url(url)
