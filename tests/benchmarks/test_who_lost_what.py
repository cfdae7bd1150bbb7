"""The same tricky sessions, moved by a loop over agno's own API and by us, compared by content."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agnocli.abc import Backend, Capabilities
from agnocli.db.mongo import MongoDb
from agnocli.db.postgres import PostgresDb
from agnocli.db.redis import RedisDb
from agnocli.db.sqlite import SqliteDb
from agnocli.layout.compare import Comparison
from agnocli.records import SessionBundle
from agnocli.testing.tricky import holdable, tricky_sessions
from tests.benchmarks.test_transfer import tool
from tests.harness.redis_server import RedisServer
from tests.harness.servers import OwnServer
from tests.interop.agno_env import NEWEST, UnavailableError, python_with
from tests.transfer.moving import move

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

SESSIONS = 500
EASY = Capabilities(
    keeps_json_text=False,
    holds_nul=False,
    holds_surrogates=False,
    holds_nan=False,
    holds_big_integers=False,
    holds_nul_in_ids=False,
    max_id_length=128,
    reserved_id_prefixes=("index:",),
    max_depth=31,
)
"""What every backend can hold."""
KINDS: dict[str, Any] = {
    "sqlite": SqliteDb,
    "postgres": PostgresDb,
    "redis": RedisDb,
    "mongo": MongoDb,
}
"""Not MariaDB, where agno cannot store a run."""


@pytest.fixture(params=KINDS)
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Two empty places of a kind."""
    kind = request.param
    if kind == "sqlite":
        yield kind, [str(tmp_path / "loop.db"), str(tmp_path / "ours.db")]
        return
    own = [RedisServer() if kind == "redis" else OwnServer(kind) for _ in range(2)]
    yield kind, [one.url for one in own]
    for one in own:
        one.stop()


def opened(kind: str, url: str) -> Backend:
    name = "db_file" if kind == "sqlite" else "db_url"
    backend: Backend = KINDS[kind](**{name: url})
    return backend


def lost(source: list[SessionBundle], target: Backend) -> tuple[int, int, int, int]:
    """Sessions that are the same, differ, are not there; and runs that are not there."""
    same = differ = missing = runs = 0
    for bundle in source:
        found = list(target.read([bundle.session.session_id]))
        if not found:
            missing, runs = missing + 1, runs + len(list(bundle.runs))
            continue
        copy = SessionBundle(found[0].session, tuple(found[0].runs))
        there = {run.run_id for run in copy.runs}
        runs += sum(run.run_id not in there for run in bundle.runs)
        if Comparison(bundle, copy, target.capabilities).difference is None:
            same += 1
        else:
            differ += 1
    return same, differ, missing, runs


@pytest.mark.parametrize("easy", [False, True], ids=["all", "those without odd values"])
def test_what_a_loop_loses_a_migration_keeps(
    easy: bool, urls: tuple[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        python = python_with(NEWEST)
    except UnavailableError as error:
        pytest.skip(str(error))
    kind, (by_loop, by_us) = urls
    file = tmp_path / "source.db"
    with SqliteDb(file) as source, opened(kind, by_loop) as loop, opened(kind, by_us) as ours:
        held = [one for one in tricky_sessions(SESSIONS) if holdable(one, source.capabilities)]
        if easy:
            odd = "hard-"  # documents that agno itself may not be able to read
            held = [one for one in held if not one.session.session_id.startswith(odd)]
            held = [one for one in held if holdable(one, EASY)]
        for one in held:
            source.write([one])
        url = by_loop.replace("postgresql://", "postgresql+psycopg://")
        command = [python, tool("agno_loop.py"), file, kind, url]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        loop.setup()
        report = move(source, ours)
        fits = [one for one in held if holdable(one, ours.capabilities)]
        theirs, kept = lost(fits, loop), lost(fits, ours)
    with capsys.disabled():
        ended = done.stderr.strip().splitlines()[-1][:150] if done.returncode else "ended well"
        print(
            f"\n{kind}: of {len(fits)} sessions that it can hold (same, differ, missing; runs lost)"
        )
        print(
            f"  agno's API {theirs}, it {ended}\n  agnocli    {kept}, {len(report.set_aside)} set aside"
        )
    assert kept == (len(fits), 0, 0, 0)
    assert len(report.set_aside) == len(held) - len(fits)
