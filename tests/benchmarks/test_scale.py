"""A store's size must not be felt: one page, the last runs, the next turn. AGNOCLI_BENCH_SESSIONS sets the size."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agnocli import codec
from agnocli.agent.history import recent_turns, wire_messages
from agnocli.db.sqlite import SqliteDb
from agnocli.records import Run, Session, SessionBundle

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

SESSIONS = int(os.environ.get("AGNOCLI_BENCH_SESSIONS", "100000"))
RUNS = 5
AGNO = str(Path(sys.executable).parent / "agno")
WORDS = "a conversation about storage, sessions and Zürich; " * 12


def run(session_id: str, index: int) -> Run:
    said = [{"role": "user", "content": WORDS}, {"role": "assistant", "content": WORDS}]
    run_id = f"{session_id}.{index}"
    document = codec.encode(
        {"run_id": run_id, "agent_id": "a", "status": "COMPLETED", "messages": said}
    )
    return Run(
        run_id=run_id, session_id=session_id, agent_id="a", status="COMPLETED", run_index=index,
        run_data=document, created_at=index,
    )  # fmt: skip


def bundles(sessions: int, runs: int) -> Iterator[SessionBundle]:
    data = codec.encode({"session_state": {"items": ["a", "b"]}, "session_name": "Trip"})
    for number in range(sessions):
        session_id = f"{number * 2654435761 % 2**32:08x}-{number}"
        session = Session(session_id=session_id, session_data=data, created_at=number)
        yield SessionBundle(session, (run(session_id, index) for index in range(runs)))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One of 1,000 sessions, one of many."""
    folder = tmp_path_factory.mktemp("stores")
    small, large = folder / "small.db", folder / "large.db"
    for path, sessions in ((small, 1000), (large, SESSIONS)):
        with SqliteDb(path) as backend:
            backend.write(bundles(sessions, RUNS))
    return small, large


def seconds(arguments: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(arguments, check=True, capture_output=True)
    return time.perf_counter() - started


def best_of(runs: int, *actions: Callable[[], float]) -> list[float]:
    """The least of each, taken in turn, so that a slow minute hits all alike."""
    times = [[action() for action in actions] for _ in range(runs)]
    return [min(column) for column in zip(*times, strict=True)]


def test_the_first_page_takes_as_long_in_a_large_store_as_in_a_small_one(
    stores: tuple[Path, Path],
) -> None:
    def page(path: Path) -> Callable[[], float]:
        return lambda: seconds([AGNO, "-b", f"sqlite:///{path}", "sessions", "list"])

    small, large = best_of(15, page(stores[0]), page(stores[1]))
    print(
        f"\nfirst page: {small * 1000:.0f} ms of 1,000, {large * 1000:.0f} ms of {SESSIONS:,}: {large / small:.2f} x"
    )
    assert large / small <= 1.5


def peak_memory(path: Path) -> int:
    program = (
        "import resource, sys; from agnocli.cli.app import main; sys.stdout = open('/dev/null', 'w');"
        f"main(['-b', 'sqlite:///{path}', 'sessions', 'list']);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return int(done.stderr.split()[-1])


def test_a_page_takes_as_much_memory_in_a_large_store_as_in_a_small_one(
    stores: tuple[Path, Path],
) -> None:
    small, large = map(peak_memory, stores)
    print(f"\npeak memory: {small / 1024:.0f} MB of 1,000, {large / 1024:.0f} MB of {SESSIONS:,}")
    assert large / small <= 1.2


@pytest.fixture(scope="module")
def long_and_short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteDb]:
    with SqliteDb(tmp_path_factory.mktemp("long") / "a.db") as backend:
        for name, runs in (("long", 10_000), ("short", 10)):
            rows = (run(name, index) for index in range(runs))
            backend.write([SessionBundle(Session(session_id=name, created_at=1), rows)])
        yield backend


@pytest.mark.parametrize("what", ["last runs", "context of the next turn"])
def test_a_long_session_is_read_as_quickly_as_a_short_one(
    long_and_short: SqliteDb, what: str
) -> None:
    def read(session_id: str) -> Callable[[], float]:
        def once() -> float:
            started = time.perf_counter()
            if what == "last runs":
                assert len(list(long_and_short.runs(session_id, last=5))) == 5
            else:
                assert len(wire_messages(recent_turns(long_and_short, session_id, 5))) == 10
            return time.perf_counter() - started

        return once

    long, short = best_of(50, read("long"), read("short"))
    print(
        f"\n{what}: {long * 1e6:.0f} µs of 10,000 runs, {short * 1e6:.0f} µs of 10: {long / short:.2f} x"
    )
    assert long / short <= 3
