"""Stores of agno 1, whose sessions are not read: named, left as they are, and read once agno 2 has migrated them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from agnocli import codec
from agnocli.testing.openai_server import Answer
from tests.harness import mongo
from tests.harness.redis_server import the_server
from tests.interop.agno_env import LAST_ONE, LAST_TWO
from tests.interop.conftest import Serve, Start
from tests.interop.sides import Ours, folder

NAME = "v1_sessions"


class Store(Ours):
    """Our command line on a backend, and what `of_agno_1.run` needs to know to fill it."""

    def __init__(self, kind: str, home: Path, url: str, place: list[str], word: str) -> None:
        super().__init__(home / "unused.db", home)
        self.kind, self.url, self.place, self.word = kind, url, place, word

    def command(self, *arguments: str) -> list[str]:
        command = super().command(*arguments)
        command[command.index("-b") + 1] = self.url
        return command

    def error(self, *arguments: str) -> Any:
        return codec.decode(self.run(*arguments, "-o", "json", status=1).stderr)


@pytest.fixture
def store(
    request: pytest.FixtureRequest, start: Start, serve: Serve, tmp_path: Path
) -> Iterator[Store]:
    """Two sessions, by agno 1, on the kind of server that is asked for."""
    (home := tmp_path / "home").mkdir()
    with ExitStack() as closing:
        found = MAKE[request.param](closing, home)
        agno = start(LAST_ONE)
        server = serve(*(Answer(f"answer {n} ☕") for n in range(3)))
        for session_id, prompts in (("s1", ["one ☕", "two"]), ("s2", ["Hi"])):
            at = (found.place, server.base_url, session_id, prompts)
            stored = agno("of_agno_1.run", found.kind, *at)
        assert sorted(stored) == ["s1", "s2"]
        yield found


def on_sqlite(closing: ExitStack, home: Path, name: str = NAME) -> Store:
    file = home / "old.db"
    return Store("sqlite", home, f"sqlite:///{file}", [str(file), name], f"table '{name}'")


def on_server(kind: str, scheme: str, closing: ExitStack, home: Path) -> Store:
    harness = import_module(f"tests.harness.{kind}").Harness(home)
    closing.callback(harness.close)
    if kind == "mysql":
        harness.execute(f"CREATE DATABASE {harness.schema}")
    url = f"{harness.url}{'&' if '?' in harness.url else '?'}schema={harness.schema}"
    place = [f"{scheme}://{harness.server.partition('://')[2]}", NAME, harness.schema]
    return Store(kind, home, url, place, f"table '{NAME}'")


def on_postgres(closing: ExitStack, home: Path) -> Store:
    return on_server("postgres", "postgresql+psycopg", closing, home)


def on_mysql(closing: ExitStack, home: Path) -> Store:
    return on_server("mysql", "mysql+pymysql", closing, home)


def on_mongo(closing: ExitStack, home: Path, name: str = NAME) -> Store:
    harness = mongo.Harness(home)
    closing.callback(harness.close)
    url = f"{harness.url}&db_name={harness.database}"
    place = [harness.url, name, harness.database]
    return Store("mongo", home, url, place, f"collection '{name}'")


def on_redis(closing: ExitStack, home: Path) -> Store:
    url, prefix = the_server(), f"v1-{uuid4().hex[:8]}"

    def clear() -> None:
        with redis.Redis.from_url(url) as client:
            for key in list(client.scan_iter(match=f"{prefix}:*")):
                client.delete(key)

    closing.callback(clear)
    return Store("redis", home, f"{url}?prefix={prefix}", [url, prefix], f"keys '{prefix}:s1', …")


MAKE: dict[str, Callable[[ExitStack, Path], Store]] = {
    "sqlite": on_sqlite,
    "sqlite, our name": lambda closing, home: on_sqlite(closing, home, "agno_sessions"),
    "postgres": on_postgres,
    "mysql": on_mysql,
    "mongo": on_mongo,
    "mongo, our name": lambda closing, home: on_mongo(closing, home, "agno_sessions"),
    "redis": on_redis,
}
on_every_kind = pytest.mark.parametrize("store", [*MAKE], indirect=True)


@on_every_kind
def test_they_are_named_with_what_to_do(store: Store) -> None:
    for command in (("sessions", "list"), ("backends", "check")):
        found = store.error(*command)
        assert found["message"].endswith(f" holds sessions of Agno 1 in {store.word}")
        assert "agno 2" in found["hint"]
        assert "agno 3" in found["hint"]
        beside = NAME in store.word
        assert ("agno backends init" in found["hint"]) == beside
    assert "Agno 1" in store.error("sessions", "inspect", "s1")["message"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_the_hint_says_brings_every_run(store: Store, start: Start) -> None:
    file = Path(store.place[0])
    before = folder(file)
    store.error("backends", "check")
    assert folder(file) == before
    start(LAST_TWO)("of_agno_1.migrate", *store.place)
    assert {one: row["runs"] for one, row in store.list().items()} == {"s1": 2, "s2": 1}
    page = store("sessions", "inspect", "s1")
    for text in ("one ☕", "answer 0 ☕", "two", "answer 1 ☕"):
        assert text in page


@pytest.mark.parametrize("store", ["redis", "mongo", "sqlite"], indirect=True)
def test_beside_sessions_of_ours_they_are_a_note(store: Store, serve: Serve) -> None:
    if store.kind != "redis":
        store("backends", "init")
    store.chat("new", "Hello", at=serve(Answer("Hi")).base_url)
    assert [*store.list()] == ["new"]
    assert any("sessions of Agno 1" in one for one in store.json("backends", "check")["notes"])
