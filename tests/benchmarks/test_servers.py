"""Many sessions, and a long one, on database servers, beside few sessions and beside the real agno.

AGNOCLI_BENCH_SESSIONS sets the size.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.abc import Backend, SessionQuery
from agnocli.agent.history import recent_turns
from agnocli.db.mongo import MongoDb
from agnocli.db.mysql import MySQLDb
from agnocli.db.postgres import PostgresDb
from agnocli.db.redis import RedisDb
from agnocli.records import Session, SessionBundle
from tests.benchmarks.conftest import CpuSeconds
from tests.benchmarks.filling import FILL, run
from tests.benchmarks.test_scale import best_of, seconds
from tests.interop.agno_env import NEWEST, UnavailableError, python_with
from tests.interop.sides import RealAgno

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

SESSIONS = int(os.environ.get("AGNOCLI_BENCH_SESSIONS", "100000"))
LONG = int(os.environ.get("AGNOCLI_BENCH_RUNS", "5000"))
AGNO = str(Path(sys.executable).parent / "agno")
SERVERS = ("postgres", "mysql", "redis", "mongo")
Place = dict[str, str]


class Store:
    """A place of a harness, as our command line, our code and agno name it."""

    def __init__(self, kind: str, folder: Path) -> None:
        folder.mkdir()
        self.kind, self.folder = kind, folder
        self.harness: Any = import_module(f"tests.harness.{kind}").Harness(folder)
        if kind == "redis":
            self.harness.prefix = f"bench-{os.urandom(4).hex()}"  # agno takes it for a pattern

    def options(self) -> Place:
        """Of a configured backend."""
        harness = self.harness
        match self.kind:
            case "redis":
                return {"db_url": harness.url, "db_prefix": harness.prefix}
            case "mongo":
                return {"db_url": harness.url, "db_name": harness.database}
            case _:
                return {"db_url": harness.url, "db_schema": harness.schema}

    def for_agno(self) -> Place:
        harness = self.harness
        match self.kind:
            case "sqlite":
                with harness.open() as backend:
                    return {"file": backend.address.removeprefix("sqlite:///")}
            case "redis":
                return {"url": harness.url, "prefix": harness.prefix}
            case "mongo":
                return {"url": harness.url, "database": harness.database}
            case _:
                drivers = {"postgresql": "postgresql+psycopg", "mysql+pymysql": "mysql+pymysql"}
                scheme, rest = harness.server.split("://")
                return {"url": f"{drivers[scheme]}://{rest}", "schema": harness.schema}

    def open(self) -> Backend:
        if self.kind == "sqlite":
            found: Backend = self.harness.open()
            return found
        kinds = {"postgres": PostgresDb, "mysql": MySQLDb, "redis": RedisDb, "mongo": MongoDb}
        opened: Backend = kinds[self.kind](**self.options())
        return opened

    def listing(self) -> list[str]:
        """The command line of a first page, with a configuration of its own."""
        file = self.folder / "config.toml"
        lines = [f"{name} = {codec.line(value)}" for name, value in self.options().items()]
        file.write_text("\n".join(["[backends.it]", f'type = "{self.kind}"', *lines]))
        return [AGNO, "--config", str(file), "-b", "it", "sessions", "list"]


@pytest.fixture(scope="module", params=SERVERS)
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, Store]]:
    """One of 1,000 sessions, one of many."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        made = []
        for sessions in (1000, SESSIONS):
            store = Store(request.param, folder / str(sessions))
            stack.callback(store.harness.close)
            FILL[store.kind](store.harness, sessions, 5)
            made.append(store)
        yield made[0], made[1]


@pytest.fixture
def agno(tmp_path: Path) -> Iterator[RealAgno]:
    try:
        python = python_with(NEWEST)
    except UnavailableError as error:
        pytest.skip(str(error))
    with RealAgno(python, tmp_path, NEWEST.version) as agno:
        yield agno


def timed(action: Callable[[], object]) -> Callable[[], float]:
    def once() -> float:
        started = time.perf_counter()
        action()
        return time.perf_counter() - started

    return once


def test_a_first_page_takes_at_most_twice_as_long_of_many_sessions(
    stores: tuple[Store, Store],
) -> None:
    few, many = stores
    if few.kind == "redis":
        pytest.skip("has no order of its own: measured beside agno")
    commands = [store.listing() for store in stores]
    small, large = best_of(9, *(lambda one=one: seconds(one) for one in commands))
    with few.open() as one, many.open() as other:
        inner = best_of(9, *(timed(lambda b=b: b.find(SessionQuery())) for b in (one, other)))  # type: ignore[misc]
    print(
        f"\n{few.kind}: first page {small * 1000:.0f} ms of 1,000, {large * 1000:.0f} ms of {SESSIONS:,}:"
        f" {large / small:.2f} x (backend alone {inner[0] * 1000:.1f} and {inner[1] * 1000:.1f} ms)"
    )
    assert large / small <= 2


def test_a_first_page_without_order_on_the_server_takes_a_twentieth_of_agnos(
    stores: tuple[Store, Store], agno: RealAgno
) -> None:
    _, many = stores
    if many.kind != "redis":
        pytest.skip("has an order of its own: measured beside fewer sessions")
    with many.open() as backend:
        page = backend.find(SessionQuery())
        assert page.total == SESSIONS and len(page.items) == 20
        listed = timed(lambda: backend.find(SessionQuery()))
        (before,) = best_of(5, listed)
        theirs = agno("speed.listing", many.kind, many.for_agno(), 20, 2)
        ours = min(before, *best_of(5, listed))  # a slow minute hits both
    print(
        f"\n{many.kind}: {ours * 1000:.0f} ms, agno {theirs * 1000:.0f} ms: {theirs / ours:.1f} x"
    )
    assert theirs / ours >= 20


def test_a_listing_into_a_pipe_costs_at_most_thirty_times_python_itself(
    stores: tuple[Store, Store], cpu_seconds: CpuSeconds, nothing: float
) -> None:
    ratio = cpu_seconds(stores[0].listing()) / nothing
    print(f"\n{stores[0].kind}: sessions list {ratio:.1f} x python -c pass")
    assert ratio <= 30


@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
def test_the_first_turn_of_a_long_session_takes_a_tenth_of_agnos(
    kind: str, tmp_path: Path, agno: RealAgno
) -> None:
    store = Store(kind, tmp_path / kind)
    try:
        with store.open() as backend:
            fill_long(backend)
            numbers = iter(range(LONG, 2 * LONG))
        with store.open() as backend:
            backend.probe()  # connects
            ours = [timed(lambda: turn(backend, next(numbers)))() for _ in range(9)]
        first, later = agno("speed.turn", kind, store.for_agno(), "long", LONG + len(ours), 2)
    finally:
        store.harness.close()
    print(
        f"\n{kind}: first turn {ours[0] * 1000:.1f} ms, agno {first * 1000:.0f} ms: {first / ours[0]:.0f} x;"
        f" later {min(ours) * 1000:.1f} ms, agno {later * 1000:.0f} ms: {later / min(ours):.0f} x"
    )
    assert first / ours[0] >= 10


def fill_long(backend: Backend) -> None:
    data = codec.encode({"session_state": {}})
    session = Session(session_id="long", agent_id="a", session_data=data, created_at=1)
    backend.write([SessionBundle(session, (run("long", index) for index in range(LONG)))])


def turn(backend: Backend, number: int) -> None:
    """What a chat asks of a backend for one question."""
    session = backend.get("long")
    assert recent_turns(backend, "long", 5)
    stored = backend.append_run(run("long", number))
    backend.put_run(stored)
    data = codec.encode({"session_state": {}, "session_metrics": {"total_tokens": number}})
    backend.update("long", {"session_data": data}, {"session_data": session.session_data})
