from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from types import SimpleNamespace

import pytest

from agnocli.abc import BackendReport
from agnocli.cli.commands import backends
from agnocli.db.memory import MemoryDb
from agnocli.testing.records import sample_bundle
from tests.cli.conftest import Agno, fingerprint

CONFIG = """
default_backend = "mine"
[backends.mine]
type = "sqlite"
db_file = "mine.db"
[backends.postgres]
type = "postgres"
db_url = "postgresql://agno:hunter2@localhost/agno?password=hunter2"
[backends.redis]
type = "redis"
host = "localhost"
password = "hunter2"
[backends.mongo]
type = "mongo"
db_url = "mongodb://agno:${env:MONGO_SECRET}@localhost"
"""


def test_without_configuration_the_default_is_listed(agno: Agno) -> None:
    (row,) = agno("backends", "list", "-o", "json").json
    assert row == {
        "name": "default",
        "type": "sqlite",
        "address": str(agno.database),
        "default": True,
    }
    assert fingerprint(agno.home) == {}


@pytest.mark.parametrize("output", ["table", "tsv", "csv", "json", "jsonl", "ids"])
def test_configured_backends_are_listed_without_secrets(agno: Agno, output: str) -> None:
    agno.configure(CONFIG)
    agno.variables["MONGO_SECRET"] = "hunter2"
    ran = agno("backends", "list", "-o", output)
    assert ran.status == 0
    for name in ("mine", "postgres", "redis", "mongo"):
        assert name in ran.out
    assert "hunter2" not in ran.out + ran.err


def test_the_default_is_marked(agno: Agno) -> None:
    agno.configure(CONFIG)
    rows = agno("backends", "list", "-o", "json").json
    assert {row["name"]: row["default"] for row in rows} == {
        "mine": True,
        "postgres": False,
        "redis": False,
        "mongo": False,
    }
    rows = agno("backends", "list", "-o", "json", "-b", "sqlite:///x.db").json
    assert rows[0]["name"] == "sqlite:///x.db"
    assert [row["default"] for row in rows] == [True, False, False, False, False]


def test_check_tells_layout_and_counts_and_changes_nothing(agno: Agno) -> None:
    agno.store(sample_bundle("one", 3), sample_bundle("two", 1))
    before = agno.rows("SELECT * FROM agno_sessions"), agno.rows("SELECT * FROM agno_runs")
    found = agno("backends", "check", "-o", "json").json
    assert found.pop("connect_ms") >= 0
    assert found.pop("read_ms") >= 0
    assert found.pop("write_ms") >= 0
    assert found == {
        "address": str(agno.database),
        "layout": "v3",
        "sessions": 2,
        "runs": 4,
        "versions": {"agno_sessions": "3.0.0", "agno_runs": "3.0.0"},
        "tables": ["agno_runs", "agno_schema_versions", "agno_sessions"],
        "notes": [],
    }
    after = agno.rows("SELECT * FROM agno_sessions"), agno.rows("SELECT * FROM agno_runs")
    assert after == before
    text = agno("backends", "check").out
    assert "layout    v3\n" in text
    assert "versions  agno_sessions 3.0.0, agno_runs 3.0.0\n" in text
    assert "notes     nothing is missing\n" in text
    for step in ("connect", "read", "write"):
        assert re.search(rf"^{step} +[0-9.]+ ms$", text, re.MULTILINE)


def test_check_says_in_words_what_is_missing(agno: Agno) -> None:
    agno.store(sample_bundle("one", 3))
    with closing(sqlite3.connect(agno.database)) as connection, connection:
        connection.execute("DROP TABLE agno_schema_versions")
    text = agno("backends", "check").out
    for line in (
        "versions  none",
        "notes     no version stamp for 'agno_sessions'; Agno takes that for 2.0.0",
        "          no version stamp for 'agno_runs'; Agno takes that for 2.0.0",
    ):
        assert f"{line}\n" in text


def test_check_times_connecting_apart_from_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Slow(MemoryDb):
        def connect(self) -> None:
            asked.append("connect")
            clock[0] += 3

        def inspect(self) -> BackendReport:
            asked.append("read")
            clock[0] += 5
            return super().inspect()

        def probe(self) -> None:
            asked.append("write")
            clock[0] += 7

    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    shown: list[dict[str, object]] = []

    def json(found: dict[str, object]) -> bool:
        shown.append(found)
        return True

    app = SimpleNamespace(backend=lambda name: Slow(), json=json)
    backends._check(app, None)  # type: ignore[arg-type]
    assert asked == ["connect", "read", "write"]
    assert [shown[0][key] for key in ("connect_ms", "read_ms", "write_ms")] == [3e3, 5e3, 7e3]


def test_check_of_a_read_only_backend_says_so_and_is_no_failure(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    before = fingerprint(agno.home)
    url = f"sqlite:///{agno.database}?read_only=true"
    ran = agno("backends", "check", "-b", url, "-o", "json")
    assert ran.status == 0
    assert ran.json["write_ms"] is None
    assert "read-only" in ran.json["notes"][0]
    assert fingerprint(agno.home) == before


def test_check_of_nothing_makes_nothing(agno: Agno) -> None:
    ran = agno("backends", "check", "default")
    assert (ran.status, ran.out) == (6, "")
    ran = agno("backends", "check")
    assert ran.error == (3, f"nothing has been stored at {agno.database} yet")
    assert fingerprint(agno.home) == {}


def test_check_takes_a_name_or_a_url(agno: Agno) -> None:
    agno.configure(CONFIG)
    agno("chat", "-m", "echo", "hi")
    place = str(agno.config.parent / "mine.db")
    for name in ("mine", f"sqlite:///{place}"):
        assert agno("backends", "check", name, "-o", "json").json["address"] == place


def test_init_makes_the_tables_once(agno: Agno) -> None:
    ran = agno("backends", "init", "-o", "json")
    assert ran.json == {"address": str(agno.database), "layout": "v3"}
    agno.store(sample_bundle("one"))
    before = agno.rows("SELECT * FROM sqlite_master"), agno.rows("SELECT * FROM agno_sessions")
    again = agno("backends", "init")
    assert (again.status, again.out) == (0, "")
    assert "1 sessions" in again.err
    after = agno.rows("SELECT * FROM sqlite_master"), agno.rows("SELECT * FROM agno_sessions")
    assert after == before


def test_init_as_a_dry_run_makes_nothing(agno: Agno) -> None:
    assert agno("backends", "init", "-n", "-o", "json").json["dry_run"] is True
    assert "would make" in agno("backends", "init", "-n").err
    assert fingerprint(agno.home) == {}


def test_init_leaves_other_tables_alone(agno: Agno) -> None:
    agno.database.parent.mkdir(parents=True)
    with closing(sqlite3.connect(agno.database)) as connection, connection:
        connection.execute("CREATE TABLE mine (x)")
        connection.execute("INSERT INTO mine VALUES (1)")
    assert agno("backends", "init").status == 0
    assert agno.rows("SELECT * FROM mine") == [(1,)]
    assert agno("sessions", "list", "-o", "json").json == []
