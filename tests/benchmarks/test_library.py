"""What a turn of the library costs without its model, on short and long sessions, beside the real agno."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agnocli.abc import ChatRequest, ModelEvent, ModelFinished, TextDelta
from agnocli.agent import Agent
from agnocli.db.sqlite import SqliteDb
from agnocli.records import Session, SessionBundle
from tests.benchmarks.filling import run
from tests.interop.agno_env import NEWEST, Agno
from tests.interop.conftest import agno_python as agno_python
from tests.interop.sides import RealAgno

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

SESSIONS = {1: 20, 100: 20, 10_000: 2}
"""By number of runs, how many sessions."""

RUNS = 5


class Instant:
    """Answers at once."""

    name, id, provider = "Instant", "instant", "Tests"

    def stream(self, request: ChatRequest) -> Iterator[ModelEvent]:
        yield TextDelta("Yes.")
        yield ModelFinished(reason="stop", input_tokens=1, output_tokens=1, total_tokens=2)


@pytest.fixture
def agno(agno_python: Callable[[Agno], Path], tmp_path: Path) -> Iterator[RealAgno]:
    with RealAgno(agno_python(NEWEST), tmp_path, NEWEST.version) as running:
        yield running


def fill(db: SqliteDb, length: int, side: str) -> list[str]:
    """Sessions of so many runs; their ids."""
    ids = [f"{side}-{length}-{number}" for number in range(SESSIONS[length])]
    for name in ids:
        session = Session(session_id=name, agent_id="a", created_at=1)
        db.write([SessionBundle(session, (run(name, index) for index in range(length)))])
    return ids


def ours(db: SqliteDb, session_ids: list[str]) -> list[float]:
    """As `turns` of the program beside the real agno."""
    agent = Agent(
        id="a", model=Instant(), db=db, add_history_to_context=True, num_history_runs=RUNS
    )
    agent.run("Hello", session_id="nobody")
    rounds = max(1, 20 // len(session_ids))
    return [least_of(agent, session_ids), least_of(agent, session_ids * rounds)]


def least_of(agent: Agent, session_ids: list[str]) -> float:
    found = []
    for session_id in session_ids:
        started = time.perf_counter()
        output = agent.run("Hello?", session_id=session_id)
        found.append(time.perf_counter() - started)
        assert output.content == "Yes."
    return min(found)


@pytest.fixture
def file() -> Iterator[Path]:
    """In memory where that can be: what a disk takes for a write is the same for both, and not the library's."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder) / "agno.db"


def test_a_turn_costs_a_fifth_of_agnos_and_the_same_on_a_long_session(
    file: Path, agno: RealAgno
) -> None:
    spent: dict[int, tuple[list[float], list[float]]] = {}
    with SqliteDb(db_file=file) as db:
        for length in SESSIONS:
            mine, others = fill(db, length, "ours"), fill(db, length, "theirs")
            spent[length] = (
                ours(db, mine),
                agno("turns.turns", "sqlite", {"file": str(file)}, others),
            )
    for length, both in spent.items():
        for which, mine_s, theirs_s in zip(("first", "later"), *both, strict=True):
            ratio = theirs_s / mine_s
            print(
                f"\n{length:>6} runs, {which} turn: {mine_s * 1000:.1f} ms, agno {theirs_s * 1000:.1f} ms: {ratio:.1f} x"
            )
    assert spent[100][1][0] / spent[100][0][0] >= 5
    assert spent[10_000][0][1] / spent[100][0][1] <= 1.5
