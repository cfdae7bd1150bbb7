"""MariaDB or MySQL, as installed on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.harness.servers import MissingError, Recipe, run


def _program() -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    for name in ("mariadbd", "mysqld"):
        if found := shutil.which(name, path=path):
            return found
    raise MissingError("no MariaDB or MySQL server: apt-get install mariadb-server")


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _prepare(home: Path) -> None:
    data = f"--datadir={home / 'data'}"
    (home / "tmp").mkdir()
    if install := shutil.which("mariadb-install-db"):
        trusting = "--auth-root-authentication-method=normal"
        run([install, "--no-defaults", data, trusting, *_as_root()])
    else:
        run([_program(), "--no-defaults", "--initialize-insecure", data, *_as_root()])


def _command(home: Path, port: int) -> list[str]:
    return [
        _program(),
        "--no-defaults",
        f"--datadir={home / 'data'}",
        f"--socket={home / 'socket'}",
        f"--pid-file={home / 'pid'}",
        # of its own: a server that starts deletes what others have there, and those die of it
        f"--tmpdir={home / 'tmp'}",
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
        *_as_root(),
    ]


RECIPE = Recipe(
    variable="AGNOCLI_TEST_MYSQL_URL",
    prepare=_prepare,
    command=_command,
    url=lambda port: f"mysql+pymysql://root@127.0.0.1:{port}/mysql",
)
