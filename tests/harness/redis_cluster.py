from __future__ import annotations

from typing import Any

import redis

from tests.harness.redis import Harness as OneServer
from tests.harness.redis_server import the_cluster


class Harness(OneServer):
    def _start(self) -> str:
        return the_cluster()

    def _connect(self) -> Any:
        return redis.RedisCluster.from_url(self.url)
