"""`agno sessions delete --purge`: no byte stays, and that is looked for."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agnocli.cli.repl.rewind import take_back
from agnocli.cli.trash import Trash
from agnocli.db.sqlite import SqliteDb
from agnocli.sessions.undone import journal
from agnocli.testing.records import document, sample_bundle
from tests.cli.conftest import Agno, bundle, fingerprint
from tests.transfer.places import KINDS, place

SECRET = "0b5e55ed-0000-4000-8000-c0ffeec0ffee"
"""An id; the ids and words of its runs hold it too."""


@pytest.fixture
def kept(agno: Agno) -> Agno:
    agno.store(bundle("other", runs=30), bundle(SECRET, runs=60), bundle("third"))
    return agno


def files_with(agno: Agno, text: str) -> list[str]:
    """Files of the home that hold it, also packed."""
    import gzip

    found = []
    for path in sorted(one for one in agno.home.rglob("*") if one.is_file()):
        raw = path.read_bytes()
        raw += gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else b""
        if text.encode() in raw:
            found.append(path.name)
    return found


def test_no_byte_of_it_stays_in_any_file(kept: Agno) -> None:
    kept("sessions", "rename", SECRET, "an earlier name")
    kept("sessions", "delete", SECRET, "--yes")
    kept("sessions", "restore", "--last")
    assert files_with(kept, SECRET)
    ran = kept("sessions", "delete", SECRET, "--purge", "--yes", "-o", "json")
    assert ran.status == 0
    assert ran.json["deleted"] == [SECRET]
    assert ran.json["searched"] == [str(kept.database)]
    assert (ran.json["named"], ran.json["raw"]) == ({}, [])
    assert "snapshots and backups" in ran.json["may_remain_in"]
    assert files_with(kept, SECRET) == []
    assert files_with(kept, "an earlier name") == []
    assert kept.session_ids() == ["other", "third"]
    assert len(kept.runs("other")) == 30


def test_what_another_program_left_in_free_pages_goes_with_it(kept: Agno) -> None:
    kept.store(bundle("long gone", runs=200))
    with closing(sqlite3.connect(kept.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM agno_runs WHERE session_id = 'long gone'")
        connection.execute("DELETE FROM agno_sessions WHERE session_id = 'long gone'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"long gone.run-99" in kept.database.read_bytes()
    assert kept("sessions", "delete", SECRET, "--purge", "--yes").status == 0
    assert b"long gone" not in kept.database.read_bytes()


def test_it_leaves_the_trash_too_and_the_others_in_it(kept: Agno) -> None:
    kept("sessions", "delete", SECRET, "other", "--yes")
    kept.store(bundle(SECRET))
    kept("sessions", "delete", "third", "--yes")
    assert kept("sessions", "delete", SECRET, "--purge", "--yes").status == 0
    assert files_with(kept, SECRET) == []
    assert sorted(kept("sessions", "trash", "list", "-o", "ids").lines) == ["other", "third"]
    assert kept("sessions", "restore", "other").status == 0
    assert len(kept.runs("other")) == 30


def test_turns_that_were_taken_back_go_too(kept: Agno) -> None:
    with SqliteDb(kept.database) as backend:
        take_back(backend, SECRET, journal(backend, SECRET), ())
        take_back(backend, "other", journal(backend, "other"), ())
    assert "00000001.turn" in files_with(kept, SECRET)
    assert kept("sessions", "delete", SECRET, "--purge", "--yes").status == 0
    assert files_with(kept, SECRET) == []
    assert files_with(kept, "other.run-29") == ["00000001.turn"]


def test_the_search_index_forgets_it(kept: Agno) -> None:
    assert SECRET in kept("sessions", "search", "question 29", "--all").out
    assert len(files_with(kept, SECRET)) > 1
    assert kept("sessions", "delete", SECRET, "--purge", "--yes").status == 0
    assert files_with(kept, SECRET) == []
    assert "question" in kept("sessions", "search", "question 29", "--all").out


def test_a_file_without_a_log_is_purged_as_well(kept: Agno) -> None:
    with closing(sqlite3.connect(kept.database)) as connection:
        connection.execute("PRAGMA journal_mode = PERSIST")
    kept("sessions", "rename", SECRET, "an earlier name")
    assert kept("sessions", "delete", SECRET, "--purge", "--yes").status == 0
    assert files_with(kept, SECRET) == []


def test_another_program_that_reads_bars_it_and_nothing_is_deleted(
    kept: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agnocli.db.sqlite.LOCK_SECONDS", 0.1)
    with closing(sqlite3.connect(kept.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM agno_runs").fetchone()
        kept("sessions", "rename", "third", "so that the log is not empty")
        there = kept.session_ids()
        ran = kept("sessions", "delete", SECRET, "--purge", "--yes")
        assert ran.error[0] == 7
        assert "nothing was deleted" in ran.hint
        assert kept.session_ids() == there
    assert kept("sessions", "delete", SECRET, "--purge", "--yes").status == 0


def test_what_other_records_name_is_told(kept: Agno) -> None:
    (new,) = kept("sessions", "fork", SECRET, "--at", "1").lines
    ran = kept("sessions", "delete", SECRET, "--purge", "--yes")
    assert ran.status == 9
    assert "agno_sessions.metadata" in ran.err
    assert kept.session_ids() == sorted([new, "other", "third"])


def test_files_of_this_program_that_name_it_are_told(kept: Agno) -> None:
    state = kept.home / "state" / "agno" / "transfers"
    state.mkdir(parents=True)
    (state / "job.quarantine.jsonl").write_text(f'{{"session_id": "{SECRET}"}}')
    ran = kept("sessions", "delete", SECRET, "--purge", "--yes", "-o", "json")
    assert ran.status == 9
    assert ran.json["named"] == {SECRET: [str(state / "job.quarantine.jsonl")]}


def test_it_is_said_that_it_is_for_good(kept: Agno) -> None:
    before = fingerprint(kept.home)
    ran = kept("sessions", "delete", SECRET, "--purge")
    assert ran.error[0] == 11
    assert "for good" in ran.error[1]
    assert "would delete" in kept("sessions", "delete", SECRET, "--purge", "-n").err
    assert fingerprint(kept.home) == before


@pytest.mark.parametrize("kind", KINDS)
def test_on_every_backend_it_is_gone_and_honest_about_the_rest(
    agno: Agno, kind: str, tmp_path: Path
) -> None:
    with place("there", kind, tmp_path) as there, there.open() as backend:
        agno.configure(there.settings)
        backend.write([sample_bundle("stays", 3), sample_bundle(SECRET, 3)])
        agno("-b", "there", "sessions", "delete", "stays", "--yes")
        agno("-b", "there", "sessions", "restore", "stays")
        backend.close()
        ran = agno("-b", "there", "sessions", "delete", SECRET, "--purge", "--yes", "-o", "json")
        assert ran.status == 0, ran.err
        assert ran.json["may_remain_in"]
        assert list(backend.ids()) == ["stays"]
        assert list(backend.read([SECRET])) == []
        assert backend.inspect().runs == 3
    assert files_with(agno, SECRET) == []


KILLED = """
import os, signal, sys
from agnocli.cli.app import main
from agnocli.db._sqlite import erasing
real, calls = erasing._settle, []
def settle(*arguments):
    calls.append(1)
    if len(calls) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
erasing._settle = settle
main(sys.argv[2:])
"""


@pytest.mark.parametrize("call", ["1", "2"])
def test_killed_half_way_the_file_is_whole(kept: Agno, call: str) -> None:
    arguments = ["sessions", "delete", SECRET, "--purge", "--yes"]
    command = [sys.executable, "-c", KILLED, call, *arguments]
    assert subprocess.run(command, check=False).returncode == -9
    with closing(sqlite3.connect(kept.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert (SECRET in kept.session_ids()) == (call == "1")
    assert len(kept.runs("other")) == 30


def test_a_purge_that_was_broken_off_is_done_again(kept: Agno) -> None:
    kept("sessions", "delete", SECRET, "--yes")
    kept("sessions", "restore", SECRET)
    arguments = ["sessions", "delete", SECRET, "--purge", "--yes"]
    command = [sys.executable, "-c", KILLED, "2", *arguments]
    assert subprocess.run(command, check=False).returncode == -9
    assert SECRET not in kept.session_ids()
    kept("sessions", "delete", "third", "--yes")
    assert kept("sessions", "delete", "third", "--purge", "-n", "-o", "ids").lines == ["third"]
    assert kept("sessions", "delete", "third", "--purge", "--yes").status == 0
    assert kept("sessions", "trash", "list", "-o", "ids").lines == []
    assert kept("sessions", "delete", "third", "--purge", "--yes").error[0] == 3


def test_what_a_broken_off_purge_left_in_the_trash_is_told_and_goes(kept: Agno) -> None:
    kept("sessions", "delete", SECRET, "other", "--yes")
    real = Trash.drop
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(Trash, "drop", lambda *_: 1 / 0)
        Trash(os.environ).forget(str(kept.database), [SECRET])
    assert Trash.drop is real
    assert sorted(kept("sessions", "trash", "list", "-o", "ids").lines) == [SECRET, "other"]
    assert "does not hold it" in kept("sessions", "restore", SECRET).hint
    assert kept("sessions", "delete", SECRET, "--purge", "--yes").status == 0
    assert kept("sessions", "trash", "list", "-o", "ids").lines == ["other"]
    assert files_with(kept, SECRET) == []


def test_a_short_id_is_not_looked_for_in_bytes(tmp_path: Path) -> None:
    with SqliteDb(tmp_path / "one.db") as backend:
        backend.write([sample_bundle("s", metadata=document({"x": "s"}))])
        assert backend.traces(["s"]).named == {}
