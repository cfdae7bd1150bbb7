"""What a command costs before it does anything, in units of `python -c pass`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agnocli import codec
from agnocli.abc import Backend
from agnocli.db.sqlite import SqliteDb
from agnocli.records import Session, SessionBundle
from tests.benchmarks.conftest import CpuSeconds

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
