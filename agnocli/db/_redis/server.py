"""The way to a server: connections, pipelines, scripts, and answers as bytes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import exceptions as driver

from agnocli.db._redis import failures
from agnocli.db._redis.packing import Pieces, whole
from agnocli.db._redis.scripts import NOTHING, Script
from agnocli.errors import BackendReadOnlyError, BackendUnavailableError

Command = tuple[Any, ...]
SCAN_COUNT = 4000
"""Keys a server looks at before it answers."""


class Server:
    """One server or one cluster, connected to when first asked. Safe to use from several threads."""

    def __init__(
        self, connect: Callable[[], Any], address: str, *, cluster: bool | None, owned: bool
    ) -> None:
        self.address = address
        self._connect, self._cluster, self._owned = connect, cluster, owned
        self._lock = threading.Lock()
        self._client: Any = None
        self._scripts: bool | None = None

    @property
    def is_cluster(self) -> bool:
        self._connected()
        return bool(self._cluster)

    def read(self, *commands: Command) -> list[Any]:
        """Answers in order. Done a second time when the connection fails: for commands that change nothing."""
        with self._translating():
            try:
                return self._ask(commands)
            except failures.FAILURES as error:
                if not failures.can_try_again(error):
                    raise
                return self._ask(commands)

    def write(self, *commands: Command) -> list[Any]:
        with self._translating():
            return self._ask(commands)

    def write_new(self, records: Sequence[bytes | Pieces], script: Script, *arguments: Any) -> bool:
        """Keys and texts, none of which may be there, and then a script, in one step on one server; what it says."""
        new = records if self._owned else map(whole, records)
        with self._translating(), self._connected().pipeline(transaction=True) as pipeline:
            pipeline.execute_command("MSETNX", *new)
            # not by its digest: were it unknown the records would stay without what it does
            pipeline.execute_command("EVAL", script, 0, *arguments)
            return bool(pipeline.execute()[1])

    def read_script(self, script: Script, *arguments: Any) -> Any:
        """As `read`, with a script."""
        try:
            return self.script(script, (), *arguments)
        except BackendUnavailableError as error:
            if error.__cause__ is None or not failures.can_try_again(error.__cause__):
                raise
            return self.script(script, (), *arguments)

    def script(self, script: Script, keys: Sequence[Any], *arguments: Any) -> Any:
        with self._translating():
            client = self._connected()
            digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
            asked = (len(keys), *keys, *arguments)
            try:
                answer = client.execute_command("EVALSHA", digest, *asked)
            except driver.NoScriptError:
                answer = client.execute_command("EVAL", script, *asked)
            return as_bytes(answer)

    @property
    def can_script(self) -> bool:
        """Whether keys can be read by script: a cluster spreads them, and a user may not be allowed to."""
        if self._scripts is None:
            try:
                self._scripts = not self.is_cluster and self.script(NOTHING, ()) == 1
            except BackendReadOnlyError:
                self._scripts = False
        return self._scripts

    def keys(self, pattern: str) -> Iterator[bytes]:
        """Names that match, of every master of a cluster; a name may come twice."""
        with self._translating():
            for key in self._connected().scan_iter(match=pattern, count=SCAN_COUNT):
                yield as_bytes(key)

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._owned:
            client.close()

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                with self._translating():
                    self._client = self._open()
            return self._client

    def _open(self) -> Any:
        client = self._connect()
        if self._cluster is None:
            self._cluster = _is_cluster(client)
        if self._cluster and self._owned:
            client.close()
            return self._connect(cluster=True)  # type: ignore[call-arg]
        return client

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        client = self._connected()
        if len(commands) == 1:
            return [as_bytes(client.execute_command(*commands[0]))]
        pipeline = client.pipeline(transaction=False)
        try:
            for command in commands:
                pipeline.execute_command(*command)
            return [as_bytes(answer) for answer in pipeline.execute()]
        finally:
            pipeline.reset()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except failures.FAILURES as error:
            raise failures.translate(error, self.address) from error


def _is_cluster(client: Any) -> bool:
    try:
        found = client.info("server")
    except driver.NoPermissionError:
        return False
    return "cluster" in (found.get("redis_mode"), found.get("server_mode"))


def as_bytes(answer: Any) -> Any:
    """What a client that decodes gave as text, as the bytes it was."""
    if isinstance(answer, str):
        return answer.encode("utf-8", "surrogateescape")
    if isinstance(answer, list | tuple):
        return [as_bytes(one) for one in answer]
    return answer


def pairs(answer: Sequence[Any]) -> list[tuple[bytes, float]]:
    """Members with their scores, in whichever of its two protocols the server told them."""
    if answer and isinstance(answer[0], list | tuple):
        return [(member, float(score)) for member, score in answer]
    return [(answer[n], float(answer[n + 1])) for n in range(0, len(answer), 2)]
