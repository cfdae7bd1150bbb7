"""Each command over many sessions on each backend: when it first says something, when it is done, what memory it takes.

AGNOCLI_BENCH_COMMANDS_SESSIONS sets the number of sessions (10,000 unless set), of five runs each.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import NamedTuple

import pytest

from agnocli.abc import Backend
from agnocli.records import Session, SessionBundle
from tests.benchmarks.filling import run, sessions
from tests.transfer.places import KINDS, Place, place

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

SESSIONS = int(os.environ.get("AGNOCLI_BENCH_COMMANDS_SESSIONS", "10000"))
RUNS = 5
FIRST_S = {"redis": 3.0}
"""Seconds to the first output that are promised, where it is not one."""
MOST_MB = 200

ONE = "SESSION"
COMMANDS = [
    ("sessions", "list"),
    ("sessions", "list", "--user", "u7", "--all", "-o", "jsonl"),
    ("sessions", "list", "Trip", "--page", "3"),
    ("sessions", "inspect", ONE),
    ("sessions", "context", ONE),
    ("sessions", "search", "Zürich", "--limit", "5"),
    ("sessions", "search", "Zürich", "--limit", "5"),
    ("sessions", "search", "--no-index", "nowhere at all"),
    ("sessions", "stats"),
    ("sessions", "verify"),
    ("sessions", "rename", ONE, "Summer trip"),
    ("sessions", "tag", ONE, "+work"),
    ("sessions", "state", "get", ONE),
    ("sessions", "fork", ONE, "--at", "2"),
    ("sessions", "prune", "--older-than", "1d", "--user", "u8"),
    ("sessions", "export", "--all", "--out", "all.jsonl.gz"),
    ("sessions", "delete", ONE, "--yes"),
    ("sessions", "restore", "--last"),
    ("backends", "check"),
    ("doctor",),
]


STATUSES = {"doctor": (0, 1), "verify": (0, 10)}
"""By the last word: a layout that is mixed, or a machine, may give cause for remarks."""

PROGRAM = """
import sys
from pathlib import Path
from os import _exit
from agnocli.cli.app import main
peak = Path(sys.argv.pop(1))
status = main(sys.argv[1:])
said = Path("/proc/self/status").read_text()
peak.write_text(said.partition("VmHWM:")[2].split()[0])
_exit(status)
"""
"""The program itself, which at its end writes down its peak: what a parent is told of holds its own, before exec."""


class Told(NamedTuple):
    first_s: float
    whole_s: float
    peak_mb: float
    status: int
    said: str


@pytest.fixture(scope="module", params=KINDS)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Place, str]]:
    with place("it", request.param, tmp_path_factory.mktemp(request.param)) as here:
        with here.open() as backend:
            name = fill(backend)
            if here.kind == "sqlite":
                make_old(Path(backend.address.removeprefix("sqlite:///")), SESSIONS // 10)
        yield here, name


def fill(backend: Backend) -> str:
    """The id of one in the middle."""
    backend.setup()
    found: list[SessionBundle] = []
    middle = ""
    for number, session in enumerate(sessions(SESSIONS)):
        found.append(bundle(session))
        middle = session.session_id if number == SESSIONS // 2 else middle
        if len(found) == 1000:
            backend.write(found)
            found = []
    backend.write(found)
    return middle


def make_old(file: Path, number: int) -> None:
    """So many sessions as Agno 2 keeps them: their runs in the session's own row."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("ALTER TABLE agno_sessions ADD COLUMN runs JSON")
        some = f"SELECT session_id FROM agno_sessions ORDER BY session_id LIMIT {number}"
        runs = "SELECT json_group_array(json(run_data)) FROM agno_runs AS r WHERE r.session_id = s.session_id"
        connection.execute(
            f"UPDATE agno_sessions AS s SET runs = ({runs}) WHERE session_id IN ({some})"
        )
        connection.execute(f"DELETE FROM agno_runs WHERE session_id IN ({some})")


def bundle(session: Session) -> SessionBundle:
    return SessionBundle(session, tuple(run(session.session_id, index) for index in range(RUNS)))


def told(command: list[str], folder: Path, settings: str) -> Told:
    (folder / "agno.toml").write_text(settings)
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "XDG_STATE_HOME": ""}
    environment = {**os.environ, **home, "XDG_CACHE_HOME": ""}
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder / "peak"), "--no-input", "-b", "it", *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=folder, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        first, said = 0.0, b""
        with DefaultSelector() as both:
            for stream in (process.stdout, process.stderr):
                both.register(stream, EVENT_READ)
            while both.get_map():
                for key, _ in both.select():
                    some = os.read(key.fd, 65536)
                    if not some:
                        both.unregister(key.fileobj)
                    first = first or time.perf_counter() - began
                    said = (said + some)[-4000:]
        status = process.wait()
    whole = time.perf_counter() - began
    peak_mb = int((folder / "peak").read_text()) / 1024
    return Told(first, whole, peak_mb, status, said.decode())


def test_every_command_speaks_soon_and_stays_small(
    store: tuple[Place, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, session_id = store
    slow = []
    with capsys.disabled():
        print(f"\n{here.kind}, {SESSIONS:,} sessions of {RUNS} runs")
        for command in COMMANDS:
            words = [session_id if one == ONE else one for one in command]
            found = told(words, tmp_path, here.settings)
            print(
                f"{' '.join(command):<60} first {found.first_s:6.2f} s, whole {found.whole_s:6.2f} s, {found.peak_mb:4.0f} MB"
            )
            assert found.status in STATUSES.get(command[-1], (0,)), (command, found.said)
            if found.first_s > FIRST_S.get(here.kind, 1.0) or found.peak_mb > MOST_MB:
                slow.append((command, found))
    assert slow == []
