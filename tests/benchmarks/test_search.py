"""A word in many conversations: by the index, and by reading all of them. AGNOCLI_BENCH_RUNS sets how many runs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.records import Run, Session, SessionBundle
from agnocli.sessions.search import Found, SearchQuery, look

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

RUNS = int(os.environ.get("AGNOCLI_BENCH_RUNS", "10000"))
OF_SESSION = 5
RARE = "Quetzalcoatlus"
AGNO = str(Path(sys.executable).parent / "agno")
CHANCE = random.Random(4)
SYLLABLES = [a + b for a in "bcdfghklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er")]
WORDS = ["".join(CHANCE.choices(SYLLABLES, k=CHANCE.randint(1, 4))) for _ in range(20_000)]
PARAGRAPHS = [" ".join(CHANCE.choices(WORDS, k=65)) for _ in range(3000)]
"""Of some 400 characters."""


def run(session_id: str, index: int, *more: str) -> Run:
    said = [
        {"role": "user", "content": CHANCE.choice(PARAGRAPHS)},
        {"role": "assistant", "content": "\n\n".join([*CHANCE.choices(PARAGRAPHS, k=8), *more])},
    ]
    run_id = f"{session_id}.{index}"
    data = {"run_id": run_id, "agent_id": "a", "status": "COMPLETED", "messages": said}
    return Run(
        run_id=run_id, session_id=session_id, agent_id="a", status="COMPLETED", run_index=index,
        run_data=codec.encode(data), created_at=index,
    )  # fmt: skip


def bundles(runs: int) -> Iterator[SessionBundle]:
    last = runs // OF_SESSION - 1
    for number in range(last + 1):
        session_id = f"{number * 2654435761 % 2**32:08x}-{number}"
        session = Session(session_id=session_id, agent_id="a", created_at=number)
        more = [RARE] if number == last else []
        yield SessionBundle(session, [run(session_id, one, *more) for one in range(OF_SESSION)])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("search") / "agno.db"
    with SqliteDb(path) as backend:
        backend.write(bundles(RUNS))
    os.utime(path, (1, 1))  # as one that was written before
    return path


def measured(action: Callable[[], Found]) -> tuple[float, Found]:
    started = time.perf_counter()
    found = action()
    return time.perf_counter() - started, found


def test_a_word_is_found_many_times_as_fast_as_by_reading_everything(
    store: Path, tmp_path: Path
) -> None:
    query = SearchQuery(terms=(RARE,))
    with SqliteDb(store) as backend:
        built, first = measured(lambda: look(backend, query, folder=tmp_path))
        scans = [measured(lambda: look(backend, query)) for _ in range(3)]
        seconds = [measured(lambda: look(backend, query, folder=tmp_path)) for _ in range(5)]
    scan, second = min(scans)[0], min(seconds, key=lambda one: one[0])[0]
    assert all(found == first for _, found in [*scans, *seconds])
    assert len(first.hits) == OF_SESSION
    sizes = sum(one.stat().st_size for one in tmp_path.iterdir())
    print(
        f"\n{RUNS:,} runs, {store.stat().st_size / 1e6:,.0f} MB: scan {scan:.2f} s; index built in"
        f" {built:.1f} s, {sizes / 1e6:,.0f} MB; second query {second * 1000:.1f} ms: {scan / second:,.0f} x"
    )
    assert scan / second >= 20


def test_after_a_turn_only_that_session_is_read_again(store: Path, tmp_path: Path) -> None:
    with SqliteDb(store) as backend:
        look(backend, SearchQuery(terms=(RARE,)), folder=tmp_path)
        (session_id,) = backend.read([next(backend.ids())])
        name = session_id.session.session_id
        backend.append_run(run(name, OF_SESSION, "Archaeopteryx"))
        query = SearchQuery(terms=("archaeopteryx",))
        scan, all_read = measured(lambda: look(backend, query))
        mended, found = measured(lambda: look(backend, query, folder=tmp_path))
        backend.delete_runs(name, [f"{name}.{OF_SESSION}"])
    assert found.hits == all_read.hits and len(found.hits) == 1
    print(f"\nafter a turn: {mended * 1000:.0f} ms, a scan {scan:.2f} s: {scan / mended:.0f} x")
    assert scan / mended >= 4


def test_an_index_is_built_in_bounded_memory(store: Path, tmp_path: Path) -> None:
    program = (
        "import resource, sys; from agnocli.cli.app import main; sys.stdout = open('/dev/null', 'w');"
        f"main(['-q', '-b', 'sqlite:///{store}', 'sessions', 'search', 'ba', '--all']);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip
    peak = int(done.stderr.split()[-1]) / 1024
    print(f"\npeak memory of a build and a search for all: {peak:.0f} MB")
    assert peak < 200
