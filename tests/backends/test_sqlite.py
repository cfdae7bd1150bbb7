"""What is promised of SQLite files, beyond the contract: journals, loads, plans, what else is in the file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from operator import add
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import HELD_BYTES
from agnocli.db.sql.dialect import DBCursor, Weigh
from agnocli.db.sql.reading import TRIED_BYTES
from agnocli.db.sqlite import DIALECT, SqliteDb
from agnocli.errors import (
    BackendNotSetUpError,
    BackendUnavailableError,
    CodecError,
    RecordRejectedError,
    SessionConflictError,
    SessionNotFoundError,
)
from agnocli.records import Document, SessionBundle
from agnocli.testing.base_suite import everything, given
from agnocli.testing.records import document, numbered, sample_bundle, sample_run, sample_session

WAIT = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agno.db"


@pytest.fixture
def backend(path: Path) -> Iterator[SqliteDb]:
    with SqliteDb(path) as backend:
        yield backend


def asked(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database, database:
        return database.execute(sql).fetchall()


def schema(path: Path) -> list[tuple[object, ...]]:
    return asked(path, "SELECT name, tbl_name, sql FROM sqlite_master ORDER BY name")


def indexes(path: Path) -> int:
    ((number,),) = asked(
        path, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    )
    return int(str(number))


def mode(path: Path) -> object:
    return asked(path, "PRAGMA journal_mode")[0][0]


def as_agno_makes_it(path: Path) -> None:
    """Agno leaves a file in SQLite's own mode, which is a rollback journal."""
    assert asked(path, "PRAGMA journal_mode = DELETE") == [("delete",)]


# moments


def test_a_half_done_scan_keeps_no_application_waiting_whatever_the_journal(
    backend: SqliteDb, path: Path
) -> None:
    body = document({"content": "x" * 1_000_000})
    long = [sample_run("long", number, run_data=body) for number in range(10)]
    bundles = [sample_bundle(f"s{number:03}", 2) for number in range(30)]
    backend.write([SessionBundle(sample_session("long"), long), *bundles])
    assert backend.capabilities.one_moment
    backend.close()
    as_agno_makes_it(path)
    assert SqliteDb(path).capabilities.one_moment is False
    scan, runs, chosen = backend.scan(), backend.runs("s000"), backend.read(["s001", "s002"])
    _, bundle = next(scan)
    half_read = iter(bundle.runs)
    assert [next(half_read).run_index, next(runs).run_index] == [0, 0]
    assert next(chosen).session.session_id == "s001"
    with closing(sqlite3.connect(path, timeout=0)) as application, application:
        application.execute("UPDATE agno_sessions SET user_id = 'bob' WHERE session_id = 's029'")
    assert [run.run_index for run in half_read] == list(range(1, 10))
    assert {bundle.session.user_id for _, bundle in scan} == {"alice", "bob"}


def test_the_runs_of_many_sessions_come_out_of_an_index_and_are_not_sorted(
    backend: SqliteDb, path: Path
) -> None:
    backend.write([sample_bundle("s", 3)])
    with backend._connections.reading() as cursor:
        found = backend._statements(cursor)
        cursor.execute(f"EXPLAIN QUERY PLAN {found.runs_of(2)}", ["s", "t"])
        plan = " ".join(str(row[3]) for row in cursor.fetchall())
    assert "USING INDEX idx_agno_runs_session_id" in plan
    assert "TEMP B-TREE" not in plan


# old layouts


def test_old_runs_are_scanned_and_read_merged_with_new_ones(backend: SqliteDb, path: Path) -> None:
    backend.write([sample_bundle("s", 0), sample_bundle("t", 2)])
    asked(path, "ALTER TABLE agno_sessions ADD COLUMN runs JSON")
    old = codec.line(codec.line([{"run_id": one, "agent_id": "a"} for one in ("old", "s.run-0")]))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE agno_sessions SET runs = ? WHERE session_id = 's'", [old])
    with SqliteDb(path) as again:
        again.append_run(sample_run("s", 0))
        wanted = {"s": ["old", "s.run-0"], "t": ["t.run-0", "t.run-1"]}
        scanned = {one.session.session_id: numbered(one.runs) for _, one in again.scan()}
        assert {one: [run_id for _, run_id in runs] for one, runs in scanned.items()} == wanted
        read = {one.session.session_id: numbered(one.runs) for one in again.read(["t", "s"])}
        assert read == scanned
        assert {one: numbered(again.runs(one)) for one in "st"} == scanned


def test_an_unreadable_old_column_fails_its_own_session_alone(
    backend: SqliteDb, path: Path
) -> None:
    backend.write([sample_bundle(name, 1) for name in "abc"])
    asked(path, "ALTER TABLE agno_sessions ADD COLUMN runs JSON")
    asked(path, "UPDATE agno_sessions SET runs = '[{' WHERE session_id = 'b'")
    with SqliteDb(path) as again:
        read = {}
        for _, (session, runs) in again.scan():
            if session.session_id == "b":
                with pytest.raises(CodecError):
                    list(runs)
            else:
                read[session.session_id] = len(list(runs))
        assert read == {"a": 1, "c": 1}


def test_old_runs_of_a_session_too_big_to_be_held_come_in_a_stream(
    backend: SqliteDb, path: Path
) -> None:
    backend.write([sample_bundle("s", 0)])
    asked(path, "ALTER TABLE agno_sessions ADD COLUMN runs JSON")
    old = [{"run_id": f"old-{one}", "content": "x" * (HELD_BYTES // 3)} for one in range(4)]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE agno_sessions SET runs = ?", [codec.line(old)])
    with SqliteDb(path) as again:
        read = []
        for bundle in again.read(["s"]):
            assert not isinstance(bundle.runs, tuple)
            read += [run.run_id for run in bundle.runs]
    assert read == [f"old-{one}" for one in range(4)]


def test_little_is_read_before_it_is_known_how_large_sessions_are(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[list[Sequence[Any]] | None] = []

    def fetch(cursor: Any, weigh: Weigh, most: int) -> list[Sequence[Any]] | None:
        fetched.append(cursor.fetch_within(weigh, most))
        return fetched[-1]

    monkeypatch.setattr("agnocli.db.sqlite.DIALECT", replace(DIALECT, fetch_within=fetch))
    third, half = TRIED_BYTES // 3, TRIED_BYTES // 2
    each = [*[10] * 10, third, third, half, *[10] * 29, HELD_BYTES + 1, *[10] * 6]
    sizes = {f"{number:02}": size for number, size in enumerate(each)}
    with SqliteDb(path) as backend:
        for name, size in sizes.items():
            run = sample_run(name, run_data=Document(b'"' + b"x" * (size - 2) + b'"'))
            backend.write([SessionBundle(sample_session(name), (run,))])
        found = {}
        for _, (session, runs) in backend.scan():
            is_held = isinstance(runs, tuple)
            found[session.session_id] = is_held, sum(len(run.run_data) for run in runs)
    assert found == {name: (size <= HELD_BYTES, size) for name, size in sizes.items()}
    assert None in fetched
    held = [
        sum(len(one) for row in some or () for one in row if type(one) is bytes) for some in fetched
    ]
    assert max(map(add, held, held[1:])) <= TRIED_BYTES
    assert len(fetched) < len(sizes)


# text


def test_text_that_is_no_unicode_is_carried_to_the_byte(backend: SqliteDb, path: Path) -> None:
    raw = Document(b'{"a": "\xff\xfe \x00"}')
    backend.write([SessionBundle(sample_session("s"), (sample_run("s", run_data=raw),))])
    assert asked(path, "SELECT typeof(run_data), hex(run_data) FROM agno_runs") == [
        ("text", raw.hex().upper())
    ]
    ((_, bundle),) = backend.scan()
    assert [run.run_data for run in bundle.runs] == [raw]


def test_columns_that_are_no_unicode_are_read_among_those_that_are(
    backend: SqliteDb, path: Path
) -> None:
    backend.write([sample_bundle(name, 2) for name in "abc"])
    asked(path, "UPDATE agno_runs SET status = CAST(x'61ff' AS TEXT) WHERE run_id = 'b.run-1'")
    found = [run.status for _, bundle in backend.scan() for run in bundle.runs]
    assert found == [*["COMPLETED"] * 3, "a\udcff", *["COMPLETED"] * 2]


def test_of_many_rows_the_one_that_the_database_refuses_is_named(backend: SqliteDb) -> None:
    many = [sample_bundle(f"{number:03}", 2) for number in range(50)]
    for bad, where in (({"created_at": 2**70}, "created_at"), ({"run_type": None}, "agno_runs")):
        many[30] = SessionBundle(sample_session("bad"), (sample_run("bad", **bad),))
        with pytest.raises(RecordRejectedError) as caught:
            backend.write(many)
        assert (caught.value.session_id, caught.value.json_path) == ("bad", where)
    many[30] = SessionBundle(sample_session("bad"), (sample_run("bad", run_id="020.run-0"),))
    with pytest.raises(SessionConflictError) as conflict:
        backend.write(many)
    assert conflict.value.session_id == "bad"


# loads


def test_a_load_leaves_the_file_as_a_first_write_does(tmp_path: Path) -> None:
    written, loaded = tmp_path / "written.db", tmp_path / "loaded.db"
    with SqliteDb(written) as backend:
        backend.write([sample_bundle("a")])
    with SqliteDb(loaded) as backend, backend.loading():
        backend.write([sample_bundle("a")])
        assert indexes(loaded) < indexes(written)
    assert schema(loaded) == schema(written)
    assert mode(loaded) == mode(written) == "wal"
    assert asked(loaded, "PRAGMA user_version") == [(0,)]
    assert [one.name for one in tmp_path.iterdir() if one.suffix != ".db"] == []


def test_a_load_into_a_file_with_sessions_leaves_its_indexes_alone(
    backend: SqliteDb, path: Path
) -> None:
    backend.write([sample_bundle("a")])
    before = schema(path)
    with backend.loading():
        backend.write([sample_bundle("b")])
        assert schema(path) == before
    assert schema(path) == before


def test_a_load_into_empty_tables_of_agno_keeps_their_journal(
    backend: SqliteDb, path: Path
) -> None:
    backend.setup()
    backend.close()
    as_agno_makes_it(path)
    before = schema(path)
    with backend.loading():
        backend.write([sample_bundle("a")])
    backend.close()
    assert schema(path) == before
    assert mode(path) == "delete"


def load_and_hang(path: Path, written: object) -> None:
    backend = SqliteDb(path)
    with backend.loading():
        backend.write([sample_bundle(f"{number:03}") for number in range(100)])
        written.set()  # type: ignore[attr-defined]
        signal.pause()


@pytest.fixture
def killed(path: Path) -> Path:
    """A file in the middle of a load that was killed."""
    context = multiprocessing.get_context("spawn")
    written = context.Event()
    process = context.Process(target=load_and_hang, args=(path, written), daemon=True)
    process.start()
    assert written.wait(WAIT)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(WAIT)
    return path


def whole(tmp_path: Path) -> list[tuple[object, ...]]:
    with SqliteDb(tmp_path / "whole.db") as backend:
        backend.setup()
    return schema(tmp_path / "whole.db")


def test_a_killed_load_is_completed_by_the_next_one(killed: Path, tmp_path: Path) -> None:
    late = indexes(killed)
    with SqliteDb(killed) as backend, backend.loading():
        assert len(backend.write([sample_bundle("000"), sample_bundle("new")]).identical) == 1
        assert indexes(killed) == late
    assert schema(killed) == whole(tmp_path)
    assert mode(killed) == "wal"
    with SqliteDb(killed) as backend:
        assert len(everything(backend)) == 101


@pytest.mark.parametrize("first", ["write", "append"])
def test_a_killed_load_is_completed_by_the_next_write(
    killed: Path, tmp_path: Path, first: str
) -> None:
    with SqliteDb(killed) as backend:
        assert len(everything(backend)) == 100
        if first == "write":
            backend.write([sample_bundle("new")])
        else:
            backend.append_run(sample_run("000", 2))
    assert schema(killed) == whole(tmp_path)
    assert mode(killed) == "wal"


def test_two_load_one_file_at_once(path: Path, tmp_path: Path) -> None:
    with SqliteDb(path) as one, SqliteDb(path) as other:
        with one.loading():
            one.write([sample_bundle("a")])
            with other.loading():
                other.write([sample_bundle("b")])
                one.write([sample_bundle("c")])
            one.write([sample_bundle("d")])
        assert everything(one) == given(*map(sample_bundle, "abcd"), by=one)
    assert schema(path) == whole(tmp_path)
    assert mode(path) == "wal"


# what else is there


def test_other_tables_are_counted_and_ours_are_not(backend: SqliteDb, path: Path) -> None:
    backend.write([sample_bundle("a")])
    assert backend.inspect().others == {}
    asked(path, "CREATE TABLE agno_memories (memory_id VARCHAR)")
    asked(path, "CREATE TABLE agno_spans (id VARCHAR)")
    asked(path, "CREATE VIEW one_more AS SELECT * FROM agno_memories")
    asked(path, "INSERT INTO agno_memories VALUES ('a'), ('b')")
    assert backend.inspect().others == {"agno_memories": 2, "agno_spans": 0}


# locks

TOUCHES: dict[str, Callable[[SqliteDb], object]] = {
    "its capabilities": lambda backend: backend.capabilities,
    "a report": lambda backend: backend.inspect(),
    "a scan": lambda backend: list(backend.scan()),
    "a read": lambda backend: list(backend.read(["s"])),
    "a list of runs": lambda backend: list(backend.runs("s")),
    "its version": lambda backend: backend.version(),
    "its marks": lambda backend: list(backend.marks()),
    "a search for traces": lambda backend: backend.traces(["s"]),
}


@pytest.mark.parametrize(
    ("journal", "asking"), [("DELETE", "BEGIN IMMEDIATE"), ("WAL", "PRAGMA journal_mode = DELETE")]
)
@pytest.mark.parametrize("touch", TOUCHES)
def test_nothing_that_is_read_takes_away_the_locks_of_a_transaction_of_this_process(
    backend: SqliteDb, path: Path, journal: str, asking: str, touch: str
) -> None:
    """Closing any other descriptor of a file ends all POSIX locks that a process has on it."""
    backend.write([sample_bundle("s")])
    backend.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as application:
        application.execute(f"PRAGMA journal_mode = {journal}")
        application.execute("BEGIN IMMEDIATE")
        application.execute("UPDATE agno_sessions SET user_id = 'bob'")
        TOUCHES[touch](backend)
        other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute(sys.argv[2])"
        command = [sys.executable, "-c", other, str(path), asking]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "database is locked" in asked.stderr
        application.execute("COMMIT")


def test_a_search_for_traces_that_fails_does_not_look_like_one_that_found_none(
    backend: SqliteDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.write([sample_bundle("s")])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BackendUnavailableError, match="could not be searched"):
        backend.traces(["s"])


def test_tables_made_while_they_are_looked_for_are_not_taken_for_another_programs(
    path: Path, backend: SqliteDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(path, "CREATE TABLE other (x)")

    def columns(cursor: DBCursor, table: str) -> tuple[str, ...]:
        found = DIALECT.table_columns(cursor, table)
        with SqliteDb(path) as other:
            other.setup()
        return found

    monkeypatch.setattr(backend, "_dialect", replace(DIALECT, table_columns=columns))
    with pytest.raises(BackendNotSetUpError):
        backend.get("any")
    with pytest.raises(SessionNotFoundError):
        backend.get("any")
