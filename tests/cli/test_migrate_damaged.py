"""`agno migrate` of a store with a session that cannot be read, and what becomes of its quarantine file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agnocli import codec
from agnocli.testing.records import sample_bundle
from tests.cli.conftest import Agno
from tests.cli.test_migrate import OTHER, keep, source, stored


@pytest.fixture
def damaged(agno: Agno) -> Agno:
    agno.store(*(sample_bundle(one, 2) for one in "abc"))
    with closing(sqlite3.connect(agno.database)) as connection, connection:
        connection.execute("ALTER TABLE agno_sessions ADD COLUMN runs JSON")
        connection.execute(
            "UPDATE agno_sessions SET runs = CAST(X'5b7bff1b5b316d' AS TEXT) WHERE session_id = 'b'"
        )
    return agno


def test_it_is_named_as_quarantined_and_the_others_arrive(damaged: Agno) -> None:
    ran = damaged(
        *("migrate", source(damaged), OTHER, "-o", "json", "--report", "report.json"),
        *("--quarantine", "aside.jsonl"),
    )
    assert ran.status == 9
    assert ran.json["sessions"]["quarantined"] == 1
    assert ran.json["sessions"]["verified"] == 2
    (aside,) = ran.json["set_aside"]
    assert (aside["session_id"], aside["json_path"], aside["unreadable"]) == ("b", "runs", True)
    assert ran.json["quarantine"] == "aside.jsonl"
    assert codec.decode(Path("report.json").read_bytes()) == ran.json
    assert "session 'b': runs cannot be read: not JSON" in ran.err
    assert "mend them in the source, then run this again" in ran.err
    assert "sessions import" not in ran.err
    assert set(stored("other.db")) == {"a", "c"}
    entry = codec.decode(Path("aside.jsonl").read_bytes().splitlines()[1])
    assert {"place": "agno_sessions.runs", "base64": "W3v/G1sxbQ=="} in entry["raw"]


def test_the_table_and_a_dry_run_count_it(damaged: Agno) -> None:
    ran = damaged("migrate", source(damaged), OTHER, "--dry-run", "-o", "json")
    assert ran.status == 0
    assert ran.json["sessions"]["quarantined"] == 1
    assert ran.json["set_aside"][0]["unreadable"]
    assert not Path("other.db").exists()
    ran = damaged("migrate", source(damaged), OTHER)
    assert ran.status == 9
    assert "quarantined\t1\t" in ran.out
    (path,) = (damaged.home / "state" / "agno" / "transfers").glob("*.quarantine.jsonl")
    assert str(path) in ran.err


def test_its_entry_is_no_session_until_one_stands_in_its_place(damaged: Agno) -> None:
    damaged("migrate", source(damaged), OTHER, "--quarantine", "aside.jsonl")
    keep("mended.db", sample_bundle("b", 1))
    for command in (
        ("sessions", "import", "aside.jsonl", "-b", OTHER),
        ("migrate", "aside.jsonl", OTHER),
    ):
        ran = damaged(*command)
        assert ran.status == 1
        assert "aside.jsonl, line 2: session 'b' is here only as the bytes" in ran.err
        assert str(damaged.database) in ran.err
        assert "write the session itself in its place" in ran.hint
    assert set(stored("other.db")) == {"a", "c"}
    exported = damaged("sessions", "export", "b", "-b", "sqlite:///mended.db").lines
    header = Path("aside.jsonl").read_text().splitlines()[0]
    Path("aside.jsonl").write_text("\n".join([header, exported[1], ""]))
    assert damaged("sessions", "import", "aside.jsonl", "-b", OTHER).status == 0
    assert stored("other.db")["b"] == stored("mended.db")["b"]


def test_mended_in_the_source_the_same_command_completes_it(damaged: Agno) -> None:
    assert damaged("migrate", source(damaged), OTHER).status == 9
    with closing(sqlite3.connect(damaged.database)) as connection, connection:
        connection.execute("UPDATE agno_sessions SET runs = NULL")
    ran = damaged("migrate", source(damaged), OTHER, "-o", "json")
    assert ran.status == 0
    assert ran.json["sessions"]["verified"] == 3
    assert ran.json["set_aside"] == []


def test_with_several_jobs_the_file_is_named_too(damaged: Agno) -> None:
    ran = damaged.process("migrate", source(damaged), OTHER, "--jobs", "2", "-o", "json")
    assert ran.status == 9, ran.err
    assert [one["session_id"] for one in ran.json["set_aside"]] == ["b"]
    assert Path(ran.json["quarantine"]).exists()
    assert ran.json["quarantine"] in ran.err
