"""Database servers for tests: one of a kind for all test processes, started by the first, gone after the last.

A keeper process runs each server. Test processes hold a shared lock for as long as they live, however they end; when
the keeper gets that lock for itself nobody is left, and it takes the server down.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import pytest

PATIENCE = 120.0
"""Seconds a server may take to start or stop on a busy machine."""
ATTEMPTS = 3
KEEPER = "import sys; from tests.harness.servers import keep; sys.exit(keep(*sys.argv[1:]))"


class MissingError(Exception):
    """There is no such server on this machine."""


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Recipe:
    """How to run a kind of server; `variable` names the URL of one that runs already."""

    variable: str
    prepare: Callable[[Path], None]
    """Fill a data folder; MissingError when there is nothing to run."""
    command: Callable[[Path, int], list[str]]
    url: Callable[[int], str]
    answers: Callable[[int], bool] = listens
    stop: signal.Signals = signal.SIGKILL
    user: str | None = None
    """Who runs it in place of root."""


def recipe(kind: str) -> Recipe:
    """That of `<kind>_server`; of a second kind of server its second one."""
    backend, _, second = kind.partition("_")
    name = second.upper() or "RECIPE"
    found: Recipe = getattr(import_module(f"tests.harness.{backend}_server"), name)
    return found


def url(kind: str) -> str:
    """Where a server of that kind runs. Without one tests are skipped, but fail where CI runs them."""
    if given := os.environ.get(recipe(kind).variable):
        return given
    with needed():
        return _shared(kind)


@contextmanager
def needed() -> Iterator[None]:
    """What is missing inside skips a test, or fails it where CI runs it."""
    try:
        yield
    except MissingError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


_held: dict[str, int] = {}
"""Shared locks of this process, never given back before its end."""


def _shared(kind: str) -> str:
    place = _meeting_place(kind)
    with place.with_suffix(".start").open("w") as start:
        fcntl.flock(start, fcntl.LOCK_EX)
        if kind not in _held:
            users = os.open(place.with_suffix(".users"), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(users, fcntl.LOCK_SH)
            _held[kind] = users
        running = place.with_suffix(".url")
        if not running.exists():
            _start_keeper(kind, place)
        return running.read_text()


def _meeting_place(kind: str) -> Path:
    """The same for all processes that test this checkout."""
    checkout = sha256(str(Path(__file__).resolve()).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"agnocli-servers-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{kind}-{checkout}"


def _start_keeper(kind: str, place: Path) -> None:
    log = place.with_suffix(".log")
    with log.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-c", KEEPER, kind, str(place)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=2 * PATIENCE,
        )
    if done.returncode:
        raise MissingError(f"no {kind} server: {log.read_text().strip()[-2000:]}")


def keep(kind: str, place: str) -> int:
    """Returns in the first process when the server runs; goes on in a second one until nobody uses it."""
    wanted = recipe(kind)
    home = Path(tempfile.mkdtemp(prefix=f"agnocli-{kind}-", dir=memory()))
    try:
        if wanted.user and os.geteuid() == 0:
            home.chmod(0o755)
        wanted.prepare(home)
    except MissingError as error:
        shutil.rmtree(home, ignore_errors=True)
        print(error)
        return 1
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        return 0 if os.read(ready, 1) else 1
    os.setsid()
    os.close(ready)
    try:
        return _serve(wanted, home, Path(place), told)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _serve(recipe: Recipe, home: Path, place: Path, told: int) -> int:
    port, server = _start(recipe, home)
    if server is None:
        print((home / "server.log").read_text())
        return 1
    try:
        running = place.with_suffix(".url")
        running.write_text(recipe.url(port))
        os.write(told, b".")
        os.close(told)
        with place.with_suffix(".users").open("r+") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            running.unlink(missing_ok=True)
        if server.poll() is not None:  # by itself
            shutil.copy(home / "server.log", place.with_suffix(".died"))
        return 0
    finally:
        _stop(server, recipe.stop)


def _start(recipe: Recipe, home: Path) -> tuple[int, subprocess.Popen[bytes] | None]:
    """A server that answers, or None. A port that was free may be taken by now: then another is tried."""
    for _ in range(ATTEMPTS):
        port = free_port()
        server = _begun(recipe, home, port)
        if _waited_for(recipe, server, port):
            return port, server
        _stop(server, signal.SIGKILL)
    return port, None


def _begun(recipe: Recipe, home: Path, port: int) -> subprocess.Popen[bytes]:
    user = recipe.user if os.geteuid() == 0 else None
    with (home / "server.log").open("w") as log:
        return subprocess.Popen(
            recipe.command(home, port), stdout=log, stderr=log, user=user, cwd=home
        )


def _waited_for(recipe: Recipe, server: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answers = recipe.answers(port)
        if server.poll() is not None:
            return False
        if answers:
            return True
        time.sleep(0.02)
    return False


def _stop(server: subprocess.Popen[bytes], how: signal.Signals) -> None:
    server.send_signal(how)
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait(PATIENCE)


def memory() -> str | None:
    """A folder in memory, where there is room: making tables waits for the disk otherwise."""
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and shutil.disk_usage(folder).free > 2 * 2**30
    return str(folder) if roomy and os.access(folder, os.W_OK) else None


def free_port() -> int:
    """Of those that no client is given (they begin at 32768), with a free one 10,000 above it for a cluster's bus."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(11_000, 22_000)
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def run(command: list[str], user: str | None = None) -> None:
    """A step of preparing, to its end."""
    done = subprocess.run(
        command, capture_output=True, text=True, user=user, timeout=PATIENCE, cwd="/"
    )
    if done.returncode:
        raise MissingError(f"{command[0]} failed: {done.stderr or done.stdout}")


class OwnServer:
    """A server of one test, which may be stopped and come back on what it kept."""

    def __init__(self, kind: str) -> None:
        self._recipe = recipe(kind)
        self._home = Path(tempfile.mkdtemp(prefix=f"agnocli-own-{kind}-", dir=memory()))
        try:
            with needed():
                if self._recipe.user and os.geteuid() == 0:
                    self._home.chmod(0o755)
                self._recipe.prepare(self._home)
            self._port, self._server = _start(self._recipe, self._home)
            assert self._server is not None, (self._home / "server.log").read_text()
        except BaseException:
            shutil.rmtree(self._home, ignore_errors=True)
            raise

    @property
    def url(self) -> str:
        return self._recipe.url(self._port)

    def restart(self, how: signal.Signals) -> None:
        assert self._server is not None
        _stop(self._server, how)
        self._server = _begun(self._recipe, self._home, self._port)
        assert _waited_for(self._recipe, self._server, self._port)

    def stop(self) -> None:
        if self._server is not None:
            _stop(self._server, signal.SIGKILL)
        shutil.rmtree(self._home, ignore_errors=True)
