"""What a command costs before it does anything, in units of `python -c pass`."""

from __future__ import annotations

import sys
from pathlib import Path

import pexpect
import psutil
import pytest

from agnocli import codec
from agnocli.abc import Backend
from agnocli.db.sqlite import SqliteDb
from agnocli.records import Session, SessionBundle
from tests.benchmarks.conftest import RUNS, CpuSeconds, as_installed

pytestmark = pytest.mark.benchmark
AGNO = str(Path(sys.executable).parent / "agno")


def fill(backend: Backend) -> None:
    data = codec.encode({"session_state": {}, "title": "A session"})
    sessions = (Session(session_id=f"s{n}", session_data=data, created_at=n) for n in range(100))
    backend.write([SessionBundle(session, ()) for session in sessions])


def test_version_costs_at_most_twice_python_itself(cpu_seconds: CpuSeconds, nothing: float) -> None:
    ratio = cpu_seconds([AGNO, "--version"]) / nothing
    print(f"\n--version: {ratio:.1f} x python -c pass")
    assert ratio <= 2


def test_a_listing_into_a_pipe_costs_at_most_twelve_times_python_itself(
    cpu_seconds: CpuSeconds, nothing: float, tmp_path: Path
) -> None:
    with SqliteDb(tmp_path / "a.db") as backend:
        fill(backend)
    ratio = cpu_seconds([AGNO, "sessions", "list", "-b", f"sqlite:///{tmp_path}/a.db"]) / nothing
    print(f"\nsessions list: {ratio:.1f} x python -c pass")
    assert ratio <= 12


def test_completing_a_session_costs_at_most_fourteen_times_python_itself(
    cpu_seconds: CpuSeconds, nothing: float, tmp_path: Path
) -> None:
    with SqliteDb(tmp_path / "a.db") as backend:
        fill(backend)
    words = f"-b\nsqlite:///{tmp_path}/a.db\nsessions\ninspect"
    asked = ["_AGNO_COMPLETE=bash", f"_AGNO_BEFORE={words}", "_AGNO_WORD=s1"]
    ratio = cpu_seconds(["env", *asked, AGNO]) / nothing
    print(f"\ncompleting a session: {ratio:.1f} x python -c pass")
    assert ratio <= 14


def test_the_prompt_is_visible_within_twenty_five_times_python_itself(
    nothing: float, tmp_path: Path
) -> None:
    def cpu_until_prompt() -> float:
        model = "openai-like:m@http://127.0.0.1:9/v1"
        environment = {**as_installed(), "HOME": str(tmp_path), "TERM": "xterm-256color"}
        child = pexpect.spawn(AGNO, ["chat", "-m", model], env=environment, timeout=60)
        try:
            child.expect_exact(b"> ")
            times = psutil.Process(child.pid).cpu_times()
        finally:
            child.close(force=True)
        return float(times.user + times.system)

    ratio = min(cpu_until_prompt() for _ in range(RUNS)) / nothing
    print(f"\nprompt visible: {ratio:.1f} x python -c pass")
    assert ratio <= 25
