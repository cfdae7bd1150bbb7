"""SQLite files of Agno 2, half-migrated ones, and files that are not Agno's."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.abc import SessionQuery
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import BackendNotSetUpError, BackendUnavailableError, LayoutError
from agnocli.records import Document, Run
from agnocli.testing.records import sample_bundle, sample_run

V2 = """
CREATE TABLE agno_sessions (session_id VARCHAR NOT NULL, session_type VARCHAR NOT NULL, agent_id VARCHAR,
team_id VARCHAR, workflow_id VARCHAR, user_id VARCHAR, session_data JSON, agent_data JSON, team_data JSON,
workflow_data JSON, metadata JSON, runs JSON, summary JSON, created_at BIGINT NOT NULL, updated_at BIGINT,
PRIMARY KEY (session_id))
"""


def twice(value: object) -> str:
    """JSON in a JSON string, as Agno 2 wrote to SQLite."""
    return codec.line(codec.line(value))


def entry(run_id: str, **more: object) -> dict[str, Any]:
    return {"run_id": run_id, "agent_id": "a", "status": "COMPLETED", "content": run_id, **more}


def old_file(path: Path, entries: Sequence[object], session_id: str = "s") -> SqliteDb:
    with closing(sqlite3.connect(path)) as database:
        database.execute(V2.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
        row = (session_id, twice({"session_name": "Old"}), twice(list(entries)))
        database.execute(
            "INSERT INTO agno_sessions (session_id, session_type, user_id, session_data, runs, summary, created_at)"
            " VALUES (?, 'agent', 'u', ?, ?, 'null', 1)",
            row,
        )
        database.commit()
    return SqliteDb(path)


def ids(backend: SqliteDb, session_id: str = "s", last: int | None = None) -> list[str]:
    return [run.run_id for run in backend.runs(session_id, last=last)]


def blob(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("SELECT runs FROM agno_sessions").fetchone()[0])


def new(run_id: str) -> Run:
    return sample_run("s", run_id=run_id)


def test_runs_inside_the_session_row_are_read_in_their_order(tmp_path: Path) -> None:
    with old_file(tmp_path / "a.db", [entry("c"), entry("a"), entry("b")]) as backend:
        assert ids(backend) == ["c", "a", "b"]
        assert ids(backend, last=2) == ["a", "b"]
        assert [run.run_index for run in backend.runs("s")] == [0, 1, 2]
        assert {run.user_id for run in backend.runs("s")} == {"u"}


def test_json_encoded_twice_is_read_as_if_encoded_once(tmp_path: Path) -> None:
    with old_file(tmp_path / "a.db", []) as backend:
        assert backend.get("s").session_data == b'{"session_name": "Old"}'
        (info,) = backend.find(SessionQuery()).items
        assert info.name == "Old"


def test_the_row_of_a_run_wins_over_its_copy_in_the_session_and_stands_in_its_place(
    tmp_path: Path,
) -> None:
    with old_file(tmp_path / "a.db", [entry("x"), entry("y")]) as backend:
        (first, _) = backend.runs("s")
        backend.put_run(first)
        changed = Document(b'{"run_id": "x", "agent_id": "a", "status": "ERROR"}')
        backend.put_run(sample_run("s", run_id="x", run_data=changed))
        assert ids(backend) == ["x", "y"]
        assert next(backend.runs("s")).run_data == changed


def test_a_new_run_goes_behind_the_old_ones_and_leaves_them_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with old_file(path, [entry("x"), entry("y")]) as backend:
        before = blob(path)
        assert backend.append_run(new("z")).run_index == 2
        assert backend.append_run(new("zz")).run_index == 3
        assert ids(backend) == ["x", "y", "z", "zz"]
        assert blob(path) == before


def test_deleting_runs_takes_them_out_of_the_old_column_too(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with old_file(path, [entry("x"), entry("y")]) as backend:
        backend.append_run(new("z"))
        backend.delete_runs("s", ["x"])
        assert ids(backend) == ["y", "z"]
        assert [run.run_index for run in backend.runs("s")] == [0, 1]
        assert '"x' not in blob(path)


def test_a_listing_counts_old_and_new_runs_once(tmp_path: Path) -> None:
    with old_file(tmp_path / "a.db", [entry("x"), entry("y", status="ERROR")]) as backend:
        (info,) = backend.find(SessionQuery()).items
        assert (info.runs, info.status) == (2, "ERROR")
        backend.append_run(new("z"))
        backend.put_run(next(backend.runs("s")))
        (info,) = backend.find(SessionQuery()).items
        assert (info.runs, info.status) == (3, "COMPLETED")
        assert backend.inspect().runs == 3


def test_reading_an_old_file_leaves_it_as_it_is_and_no_file_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with old_file(path, [entry("x")]) as backend:
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        ids(backend)
        backend.find(SessionQuery())
        assert backend.inspect().layout == "v2"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.db"]


def test_entries_without_an_id_are_no_runs(tmp_path: Path) -> None:
    with old_file(tmp_path / "a.db", [entry("x"), {"content": "?"}, "text", None]) as backend:
        assert ids(backend) == ["x"]


def test_an_unreadable_old_column_does_not_hide_the_other_sessions(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with old_file(path, [entry("x")]) as backend, closing(sqlite3.connect(path)) as database:
        database.execute(
            "INSERT INTO agno_sessions SELECT 'bad', session_type, agent_id, team_id, workflow_id, user_id, '{',"
            " agent_data, team_data, workflow_data, metadata, '[{', summary, created_at, updated_at FROM agno_sessions"
        )
        database.commit()
        assert [info.session_id for info in backend.find(SessionQuery()).items] == ["bad", "s"]


def test_a_foreign_file_is_named_as_such_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE customers (id INTEGER)")
    before = path.read_bytes()
    with SqliteDb(path) as backend:
        with pytest.raises(LayoutError, match="customers"):
            backend.find(SessionQuery())
        with pytest.raises(LayoutError, match="customers"):
            backend.write([sample_bundle("s")])
    assert path.read_bytes() == before


def test_tables_are_made_beside_foreign_ones_when_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE customers (id INTEGER)")
    with SqliteDb(path) as backend:
        backend.setup()
        assert backend.find(SessionQuery()).items == ()


AGNO_1 = (
    "(session_id TEXT PRIMARY KEY, user_id TEXT, memory JSON, session_data JSON, extra_data JSON)"
)


@pytest.mark.parametrize("table", ["agno_sessions", "agent_sessions"])
def test_a_table_of_agno_1_is_named_with_what_to_do(tmp_path: Path, table: str) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE {table} {AGNO_1}")
    words = f"holds sessions of Agno 1 in table '{table}'"
    with SqliteDb(path) as backend:
        looks: list[Callable[[], object]] = [
            lambda: backend.find(SessionQuery()),
            lambda: backend.get("s"),
            backend.inspect,
        ]
        for look in looks:
            with pytest.raises(LayoutError, match=words) as caught:
                look()
            assert caught.value.hint is not None
            assert "v1_to_v2" in caught.value.hint


def test_tables_of_agno_1_beside_ours_are_a_note(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE agent_sessions {AGNO_1}")
    with SqliteDb(path) as backend:
        backend.setup()
        assert backend.find(SessionQuery()).items == ()
        (note,) = backend.inspect().notes
        assert note.startswith("table 'agent_sessions' holds sessions of Agno 1")


@pytest.mark.parametrize(
    "content", [b"just some text, no database", b"SQLite format 3\0" + b"x" * 84]
)
def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content * 100)
    with SqliteDb(path) as backend, pytest.raises(LayoutError, match=r"a\.db"):
        backend.find(SessionQuery())
    assert path.read_bytes() == content * 100


def test_an_empty_file_has_nothing_stored_and_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    with SqliteDb(path) as backend:
        with pytest.raises(BackendNotSetUpError):
            backend.find(SessionQuery())
        backend.write([sample_bundle("s")])
        assert backend.get("s").session_id == "s"


def test_a_lock_held_by_another_program_is_an_error_that_may_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agnocli.db.sqlite.LOCK_SECONDS", 0.05)
    path = tmp_path / "a.db"
    with SqliteDb(path) as backend, closing(sqlite3.connect(path, isolation_level=None)) as other:
        backend.write([sample_bundle("s")])
        other.execute("BEGIN IMMEDIATE")
        with (
            SqliteDb(path) as late,
            pytest.raises(BackendUnavailableError, match="locked") as caught,
        ):
            late.append_run(new("z"))
        assert caught.value.transient


def test_another_session_table_takes_its_runs_table_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with SqliteDb(path, session_table="chats") as backend:
        backend.write([sample_bundle("s")])
        assert {"chats", "chats_runs", "agno_schema_versions"} == set(backend.inspect().tables)
    with SqliteDb(path, table_name="chats") as backend:
        assert backend.get("s").session_id == "s"
