"""Sessions of Agno 2, whose runs lie within the session's row: changed, deleted and brought back all the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.testing.records import contents, sample_bundle, sample_run
from tests.cli.conftest import Agno


@pytest.fixture
def old(agno: Agno) -> Agno:
    """One session with three runs in its row, one without any; one of Agno 3 that was begun by 2."""
    agno.store(sample_bundle("old", 0), sample_bundle("empty", 0), sample_bundle("half", 0))
    with closing(sqlite3.connect(agno.database)) as connection, connection:
        connection.execute("ALTER TABLE agno_sessions ADD COLUMN runs JSON")
        for session_id in ("old", "half"):
            runs = [codec.decode(sample_run(session_id, n).run_data) for n in range(3)]
            # as Agno 2 on SQLite: JSON in a JSON string
            twice = codec.line(codec.line(runs))
            connection.execute(
                "UPDATE agno_sessions SET runs = ? WHERE session_id = ?", [twice, session_id]
            )
    with SqliteDb(agno.database) as backend:
        backend.append_run(sample_run("half", 3))
    return agno


def said(agno: Agno, session_id: str) -> list[object]:
    found = agno("sessions", "inspect", session_id, "-o", "json").json["runs"]
    return [run["content"] for run in found]


def test_tags_and_state_leave_the_runs_alone(old: Agno) -> None:
    before = old.rows("SELECT runs FROM agno_sessions ORDER BY session_id")
    assert old("sessions", "tag", "old", "+a").status == 0
    assert old("sessions", "state", "set", "old", "k", "1").status == 0
    assert old("sessions", "rename", "old", "Old").status == 0
    assert old.rows("SELECT runs FROM agno_sessions ORDER BY session_id") == before
    assert said(old, "old") == ["answer 0", "answer 1", "answer 2"]


def test_only_what_has_no_runs_anywhere_is_empty(old: Agno) -> None:
    assert old("sessions", "prune", "--empty", "-o", "ids").lines == ["empty"]


@pytest.mark.parametrize("purge", [False, True])
def test_what_is_deleted_is_gone_from_the_row_as_well(old: Agno, purge: bool) -> None:
    more = ["--purge"] if purge else []
    assert old("sessions", "delete", "old", "half", "--yes", *more).status == 0
    assert old.session_ids() == ["empty"]
    assert old.rows("SELECT count(*) FROM agno_runs") == [(0,)]
    if purge:
        assert b"answer 1" not in old.database.read_bytes()


def test_what_was_deleted_comes_back_with_all_runs_in_order(old: Agno) -> None:
    with SqliteDb(old.database) as backend:
        before = contents(backend, backend.capabilities)
        old("sessions", "delete", "--all", "--yes")
        old("sessions", "restore", "--last")
        assert contents(backend, backend.capabilities) == before
    assert said(old, "half") == [f"answer {number}" for number in range(4)]


def test_a_fork_has_the_runs_of_both(old: Agno) -> None:
    (new,) = old("sessions", "fork", "half", "--at", "4").lines
    assert said(old, new) == [f"answer {number}" for number in range(4)]
    assert said(old, "half") == said(old, new)
