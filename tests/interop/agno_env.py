"""Where the real agno comes from: environments of its own, made once and kept in the user's cache.

Its wheel installs an `agno` script too, so it never shares an environment with us.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

# agno.db.sqlite imports SQLAlchemy's asyncio part
BESIDE_AGNO = (
    "sqlalchemy[asyncio]==2.1.9",
    "aiosqlite==0.22.1",
    "openai==3.54.0",
    "pymongo==4.20.0",
    "redis==8.1.0",
    "psycopg[binary]==3.3.9",
    "pymysql==1.2.4",
)
BESIDE_AGNO_1 = (
    "sqlalchemy==2.0.44",
    "openai==1.109.1",
    "pymongo==4.20.0",
    "redis==8.1.0",
    "psycopg[binary]==3.3.9",
    "pymysql==1.2.4",
)
PATIENCE = 240
"""Seconds an installation may take."""


@dataclass(frozen=True)
class Agno:
    """A release of agno; `variable` names a python that has it already."""

    version: str
    variable: str
    beside: tuple[str, ...] = BESIDE_AGNO

    @property
    def requirements(self) -> tuple[str, ...]:
        return (f"agno=={self.version}", *self.beside)


NEWEST = Agno("3.1.10", "AGNOCLI_TEST_AGNO_PYTHON")
FIRST_THREE = Agno("3.0.0", "AGNOCLI_TEST_AGNO30_PYTHON")
LAST_TWO = Agno("2.9.0", "AGNOCLI_TEST_AGNO2_PYTHON")
LAST_ONE = Agno("1.8.4", "AGNOCLI_TEST_AGNO1_PYTHON", BESIDE_AGNO_1)


class UnavailableError(Exception):
    """The environment could not be made."""


def python_with(agno: Agno) -> Path:
    """A python that can import this agno. The first caller makes it, all others wait for it."""
    if given := os.environ.get(agno.variable):
        return Path(given)
    home = _cache() / f"agno-{agno.version}"
    with _alone(home):
        if not is_made(home, agno):
            make(home, agno)
    return _python(home)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agnocli-tests"


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _python(home: Path) -> Path:
    return home / "bin" / "python"


def _mark(home: Path) -> Path:
    """Written last: an environment without it was left half-made."""
    return home / "requirements.txt"


def is_made(home: Path, agno: Agno) -> bool:
    mark = _mark(home)
    return (
        _python(home).exists()
        and mark.exists()
        and mark.read_text().split() == [*agno.requirements]
    )


def make(home: Path, agno: Agno) -> None:
    """With uv, which takes seconds; with pip where uv fails, for want of a setting that only pip has."""
    try:
        _make_with_uv(home, agno)
    except UnavailableError:
        _make_with_pip(home, agno)
    _mark(home).write_text("\n".join(agno.requirements))


def _make_with_uv(home: Path, agno: Agno) -> None:
    uv = find_uv_bin()
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)])
    install = [uv, "pip", "install", "--quiet", "--python", str(_python(home))]
    _run([*install, *agno.requirements])


def _make_with_pip(home: Path, agno: Agno) -> None:
    _run([sys.executable, "-m", "venv", "--clear", str(home)])
    pip = [str(_python(home)), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    # compiled when first imported, and then only what is used
    _run([*pip, "--no-compile", *agno.requirements])


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.CalledProcessError as error:
        last = "\n".join((error.stderr or error.stdout).splitlines()[-5:])
        raise UnavailableError(f"{' '.join(command)} failed:\n{last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"no environment for the real agno: {error}") from error
