from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import redis

from agnocli.db.redis import RedisDb
from tests.harness import CUT_OFF, NO_TEXT
from tests.harness.redis_server import the_server


class Harness:
    def __init__(self, folder: Path) -> None:
        # a prefix that means other keys where it is taken for a pattern
        self.prefix = f"agno[{uuid.uuid4().hex[:8]}]*"
        self.url = self._start()
        self.client: Any = self._connect()

    def _start(self) -> str:
        return the_server()

    def _connect(self) -> Any:
        return redis.Redis.from_url(self.url)

    def open(self) -> RedisDb:
        return self.opener()()

    def reopen(self) -> RedisDb:
        return self.opener()()

    def read_only(self) -> RedisDb:
        return RedisDb(db_url=self.url, db_prefix=self.prefix, read_only=True)

    def opener(self) -> Callable[[], RedisDb]:
        return partial(RedisDb, db_url=self.url, db_prefix=self.prefix)

    def add_column(self, table: str, name: str) -> None:
        """A record takes any member."""

    def keys(self) -> list[bytes]:
        start = f"{self.prefix}:".encode()
        return sorted(key for key in self.client.scan_iter(count=10_000) if key.startswith(start))

    def lose_session(self, session_id: str) -> bool:
        self.client.delete(f"{self.prefix}:sessions:{session_id}")
        return True

    def damage(self, session_id: str, part: str) -> bytes:
        key, spoilt = f"{self.prefix}:sessions:{session_id}", CUT_OFF + NO_TEXT
        if part == "run":
            *_, last = self.client.zrange(f"{self.prefix}:runs:by_session:{session_id}", 0, -1)
            key = f"{self.prefix}:runs:{last.decode()}"
        elif part == "old runs":
            record = json.loads(self.client.get(key))
            spoilt = json.dumps({**record, "runs": CUT_OFF.decode()}).encode()
        self.client.set(key, spoilt)
        return spoilt

    def fingerprint(self) -> Mapping[str, str]:
        found = {}
        for key in self.keys():
            value = self._value(key), self.client.ttl(key)
            found[key.decode()] = hashlib.sha256(repr(value).encode()).hexdigest()
        return found

    def _value(self, key: bytes) -> object:
        match self.client.type(key):
            case b"string":
                return self.client.get(key)
            case b"set":
                return sorted(self.client.smembers(key))
            case b"zset":
                return self.client.zrange(key, 0, -1, withscores=True)
            case other:
                return other

    def close(self) -> None:
        for key in self.keys():
            self.client.unlink(key)
        self._disconnect()

    def _disconnect(self) -> None:
        self.client.close()
