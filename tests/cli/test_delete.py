"""`agno sessions delete`, `restore` and `trash`: nothing goes that was not meant, and all of it comes back."""

from __future__ import annotations

import os
import pty
import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agnocli.cli import deleting
from agnocli.cli.trash import Trash
from agnocli.db.sqlite import SqliteDb
from agnocli.records import SessionBundle
from agnocli.testing.records import contents, document, sample_run, sample_session
from agnocli.testing.tricky import holdable, tricky_sessions
from tests.cli.conftest import Agno, bundle, fingerprint
from tests.transfer.places import KINDS, place


def trash_folder(agno: Agno) -> Path:
    return agno.home / "data" / "agno" / "trash"


def stored(agno: Agno) -> Any:
    with SqliteDb(agno.database, read_only=True) as backend:
        return contents(backend, backend.capabilities)


def in_trash(agno: Agno) -> list[str]:
    return agno("sessions", "trash", "list", "-o", "ids").lines


# there and back


def test_what_was_deleted_comes_back_to_the_byte(three: Agno) -> None:
    before = stored(three)
    ran = three("sessions", "delete", "aaaa-1", "bbbb-1", "--yes")
    assert ran.err.endswith("back with: agno sessions restore --last\n")
    assert three.session_ids() == ["cccc-1"]
    assert in_trash(three) == ["aaaa-1", "bbbb-1"]
    back = three("sessions", "restore", "--last", "-o", "json")
    assert back.json == {"restored": ["aaaa-1", "bbbb-1"], "dry_run": False}
    assert stored(three) == before
    assert in_trash(three) == []
    assert [one.name for one in trash_folder(three).iterdir()] == [".lock"]


@pytest.mark.parametrize("kind", KINDS)
def test_on_every_backend_what_is_hard_to_store_comes_back(
    agno: Agno, kind: str, tmp_path: Path
) -> None:
    with place("there", kind, tmp_path) as here, here.open() as backend:
        agno.configure(here.settings)
        can = backend.capabilities
        backend.write([one for one in tricky_sessions(40) if holdable(one, can)])
        before = contents(backend, backend.capabilities)
        assert len(before) > 5
        ran = agno("-b", "there", "sessions", "delete", "--all", "--yes", "-o", "json")
        assert sorted(ran.json["deleted"]) == sorted(before)
        assert contents(backend, backend.capabilities) == {}
        assert backend.inspect().runs == 0
        assert agno("-b", "there", "sessions", "restore", "--last").status == 0
        assert contents(backend, backend.capabilities) == before


def test_one_of_many_comes_back_by_name_and_the_rest_stays_in_the_trash(three: Agno) -> None:
    three("sessions", "delete", "--all", "--yes")
    assert three("sessions", "restore", "Coffee").status == 0
    assert three.session_ids() == ["bbbb-1"]
    assert sorted(in_trash(three)) == ["aaaa-1", "cccc-1"]
    assert three("sessions", "restore", "aaaa", "Cocoa").status == 0
    assert in_trash(three) == []


def test_the_latest_of_several_copies_comes_back(agno: Agno) -> None:
    for name in ("First", "Second"):
        agno.store(bundle("one", name=name))
        agno("sessions", "delete", "one", "--yes")
    assert in_trash(agno) == ["one", "one"]
    agno("sessions", "restore", "one")
    assert agno("sessions", "list", "-o", "json").json[0]["name"] == "Second"
    assert agno("sessions", "trash", "list", "-o", "json").json[0]["name"] == "First"


def test_what_is_there_again_is_not_overwritten(three: Agno) -> None:
    three("sessions", "delete", "aaaa-1", "bbbb-1", "--yes")
    three.store(bundle("aaaa-1", name="New"))
    ran = three("sessions", "restore", "--last")
    assert ran.status == 9
    assert "aaaa-1" in ran.err
    assert in_trash(three) == ["aaaa-1"]
    assert three("sessions", "restore", "aaaa-1").error[0] == 5
    assert three("sessions", "list", "--name", "New", "-o", "ids").lines == ["aaaa-1"]
    three("sessions", "delete", "aaaa-1", "--yes")
    assert three("sessions", "restore", "aaaa-1").status == 0


def test_what_is_there_again_unchanged_just_leaves_the_trash(three: Agno) -> None:
    three("sessions", "delete", "aaaa-1", "--yes")
    three.store(bundle("aaaa-1", at=10, name="Tea"))
    assert three("sessions", "restore", "aaaa-1").status == 0
    assert in_trash(three) == []


def test_what_is_not_in_the_trash_is_told_with_the_nearest(three: Agno, tmp_path: Path) -> None:
    three("sessions", "delete", "aaaa-1", "--yes")
    ran = three("sessions", "restore", "aaaa-2")
    assert ran.error[0] == 3
    assert "'aaaa-1'" in ran.hint
    other = f"sqlite:///{tmp_path}/other.db"
    assert str(three.database) in three("-b", other, "sessions", "restore", "Tea").hint
    assert three("-b", other, "sessions", "restore", "--last").error[0] == 3
    assert three("sessions", "restore").error[0] == 2
    assert three("sessions", "restore", "x", "--last").error[0] == 2


def test_an_ambiguous_beginning_is_told(agno: Agno) -> None:
    agno.store(bundle("abcd-1"), bundle("abcd-2"))
    agno("sessions", "delete", "--all", "--yes")
    ran = agno("sessions", "restore", "abcd")
    assert ran.error[0] == 4
    assert "abcd-1, abcd-2" in ran.hint


def test_the_trash_of_another_backend_is_shown_only_when_asked_for(
    three: Agno, tmp_path: Path
) -> None:
    three("sessions", "delete", "aaaa-1", "--yes")
    other = f"sqlite:///{tmp_path}/other.db"
    ran = three("-b", other, "sessions", "trash", "list", "-o", "ids")
    assert (ran.lines, "1 from elsewhere" in ran.err) == ([], True)
    assert three("-b", other, "sessions", "trash", "list", "--all-backends", "-o", "ids").lines == [
        "aaaa-1"
    ]
    assert three("sessions", "restore", "--list", "-o", "ids").lines == ["aaaa-1"]


def test_the_trash_is_for_this_user_alone_and_holds_no_password(agno: Agno, tmp_path: Path) -> None:
    with place("there", "postgres", tmp_path) as here, here.open() as backend:
        agno.configure(here.settings)
        backend.write([bundle("one")])
        agno("-b", "there", "sessions", "delete", "one", "--yes")
        password = here.settings.partition("://")[2].partition("@")[0].partition(":")[2]
    files = [one for one in trash_folder(agno).iterdir() if one.stat().st_size]
    assert len(files) == 2
    assert {one.stat().st_mode & 0o777 for one in files} == {0o600}
    assert trash_folder(agno).stat().st_mode & 0o777 == 0o700
    text = b"".join(one.read_bytes() for one in files)
    assert not password or password.encode() not in text


def test_a_file_of_the_trash_is_a_session_file(three: Agno) -> None:
    path = three("sessions", "delete", "aaaa-1", "--yes", "-o", "json").json["trash"]
    assert three("sessions", "import", path).status == 0
    assert "aaaa-1" in three.session_ids()


def test_emptying_the_trash_asks_and_takes_old_ones_only(three: Agno) -> None:
    three("sessions", "delete", "aaaa-1", "bbbb-1", "--yes")
    assert three("sessions", "trash", "empty", "--no-input").error[0] == 11
    assert "would remove 2" in three("sessions", "trash", "empty", "-n").err
    assert three("sessions", "trash", "empty", "--older-than", "1d", "--yes").status == 0
    assert len(in_trash(three)) == 2
    assert three("sessions", "trash", "empty", "--yes", "-o", "json").json["removed"] == 2
    assert in_trash(three) == []
    assert [one.name for one in trash_folder(three).iterdir()] == [".lock"] or not any(
        trash_folder(three).iterdir()
    )


# which, and how many


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--user", "bob"], ["aaaa-1", "cccc-1"]),
        (["--agent", "writer"], ["aaaa-1", "bbbb-1"]),
        (["--name", "T*"], ["bbbb-1", "cccc-1"]),
        (["--tag", "home"], []),
        (["--user", "nobody"], ["aaaa-1", "bbbb-1", "cccc-1"]),
        (["--all"], []),
    ],
    ids=str,
)
def test_what_is_listed_is_what_is_deleted(
    three: Agno, arguments: list[str], left: list[str]
) -> None:
    shown = three("sessions", "delete", *arguments, "-n", "-o", "ids").lines
    listed = [] if arguments == ["--all"] else arguments
    assert shown == three("sessions", "list", *listed, "-o", "ids").lines
    assert three("sessions", "delete", *arguments, "--yes").status == 0
    assert three.session_ids() == left


@pytest.mark.parametrize(
    "arguments",
    [[], ["aaaa-1", "--all"], ["aaaa-1", "--user", "bob"], ["--user", ""], [""]],
    ids=str,
)
def test_it_is_never_all_of_them_by_accident(three: Agno, arguments: list[str]) -> None:
    before = fingerprint(three.home)
    assert three("sessions", "delete", *arguments, "--yes").error[0] == 2
    assert fingerprint(three.home) == before


def test_a_script_says_how_many_it_is_about(three: Agno) -> None:
    ran = three("sessions", "delete", "--all", "--confirm", "2")
    assert ran.error == (11, "3 sessions are meant, not 2")
    assert "--confirm 3" in ran.hint
    assert len(three.session_ids()) == 3
    assert three("sessions", "delete", "--all", "--confirm", "3").status == 0
    assert three.session_ids() == []


def test_many_are_deleted_only_when_their_number_is_given(agno: Agno) -> None:
    agno.store(*(bundle(f"s-{number:02}") for number in range(21)))
    ran = agno("sessions", "delete", "--all")
    assert ran.error[0] == 11
    assert "--confirm 21" in ran.hint
    for answer, left in ((b"y\n", 21), (b"20\n", 21), (b"21\n", 0)):
        shown, _ = asked(agno, answer, "sessions", "delete", "--all")
        assert b"Delete 21 sessions" in shown
        assert b"Type 21 to go ahead:" in shown
        assert len(agno.session_ids()) == left


def asked(agno: Agno, answer: bytes, *arguments: str) -> tuple[bytes, int]:
    """What a terminal shows up to the question, and the status after the answer."""
    control, terminal = pty.openpty()
    command = [sys.executable, "-m", "agnocli", *arguments]
    with subprocess.Popen(command, stdin=terminal, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        for _ in range(200):
            shown += os.read(control, 1000)
            if b"ahead: " in shown or b"[y/N] " in shown:
                break
        os.write(control, answer)
        status = process.wait(60)
    os.close(control)
    return shown, status


# nothing is lost


def test_a_trash_that_cannot_be_written_keeps_everything_where_it_is(three: Agno) -> None:
    folder = trash_folder(three)
    folder.parent.chmod(0o700)
    folder.write_text("in the way")
    before = fingerprint(three.home)
    ran = three("sessions", "delete", "aaaa-1", "--yes")
    assert ran.error[0] == 1
    assert "nothing was deleted" in ran.hint
    assert fingerprint(three.home) == before


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def test_a_disk_that_is_full_keeps_everything_where_it_is(agno: Agno, tmp_path: Path) -> None:
    with place("there", "postgres", tmp_path) as here, here.open() as backend:
        agno.configure(here.settings)
        noise = "".join(f"{number * 7919:x}" for number in range(5000))
        run = sample_run("big", run_data=document({"run_id": "big.run-0", "x": noise}))
        backend.write([SessionBundle(sample_session("big"), (run,))])
        arguments = ["-b", "there", "sessions", "delete", "big", "--yes"]
        command = [sys.executable, "-B", "-m", "agnocli", *arguments]
        ran = subprocess.run(command, capture_output=True, check=False, preexec_fn=_small_files)
        assert ran.returncode == 1, ran.stderr
        assert b"nothing was deleted" in ran.stderr
        assert b"Traceback" not in ran.stderr
        assert list(backend.ids()) == ["big"]
    assert in_trash(agno) == []


def test_a_session_that_changes_meanwhile_stays(
    three: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Trash.put

    def put(self: Trash, *arguments: Any) -> Any:
        kept = real(self, *arguments)
        with SqliteDb(three.database) as backend:
            backend.append_run(sample_run("aaaa-1", 7))
            backend.delete(["cccc-1"])
        return kept

    monkeypatch.setattr(Trash, "put", put)
    ran = three("sessions", "delete", "--all", "--yes", "-o", "json")
    assert (ran.status, ran.json["deleted"]) == (9, ["bbbb-1"])
    assert ran.json["changed"] == ["aaaa-1"]
    assert three.session_ids() == ["aaaa-1"]
    assert len(three.runs("aaaa-1")) == 2
    assert sorted(in_trash(three)) == ["bbbb-1", "cccc-1"]


def test_one_that_vanishes_at_the_last_moment_is_no_failure(
    three: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SqliteDb.delete

    def delete(self: SqliteDb, ids: Any) -> int:
        with closing(sqlite3.connect(three.database)) as connection, connection:
            connection.execute("DELETE FROM agno_sessions WHERE session_id = 'aaaa-1'")
        return real(self, ids)

    monkeypatch.setattr(SqliteDb, "delete", delete)
    ran = three("sessions", "delete", "--all", "--yes", "-o", "json")
    assert sorted(ran.json["deleted"]) == ["bbbb-1", "cccc-1"]
    assert three.session_ids() == []


KILLED = """
import os, signal, sys
from importlib import import_module
from agnocli.cli.app import main
where, when = sys.argv[1:3]
module, kind, name = where.split(":")
owner = getattr(import_module(module), kind)
real = getattr(owner, name)
def call(*arguments, **named):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(owner, name, call)
main(sys.argv[3:])
"""
POINTS = [
    ("agnocli.formats.part:PackedPart:commit", "before"),
    ("agnocli.formats.part:PackedPart:finish", "before"),
    ("agnocli.formats.part:PackedPart:finish", "after"),
    ("agnocli.cli.trash:_Index:finish", "before"),
    ("agnocli.cli.trash:_Index:finish", "after"),
    ("agnocli.db.sqlite:SqliteDb:delete", "before"),
    ("agnocli.db.sqlite:SqliteDb:delete", "after"),
]


@pytest.mark.parametrize(("where", "when"), POINTS, ids=str)
def test_killed_anywhere_it_loses_nothing(three: Agno, where: str, when: str) -> None:
    before = stored(three)
    command = [sys.executable, "-c", KILLED, where, when, "sessions", "delete", "--all", "--yes"]
    assert subprocess.run(command, check=False).returncode == -9
    gone = sorted(before.keys() - {*three.session_ids()})
    assert gone == (sorted(before) if (where[-6:], when) == ("delete", "after") else [])
    if gone:
        three("sessions", "restore", "--last")
    assert stored(three) == before
    again = three("sessions", "delete", "--all", "--yes")
    assert again.status == 0
    three("sessions", "restore", "--last")
    assert stored(three) == before


RESTORE_POINTS = [
    ("agnocli.db.sqlite:SqliteDb:write", "after"),
    ("agnocli.cli.trash:Trash:drop", "before"),
]


@pytest.mark.parametrize(("where", "when"), RESTORE_POINTS, ids=str)
def test_a_restore_that_was_killed_is_done_again(three: Agno, where: str, when: str) -> None:
    before = stored(three)
    three("sessions", "delete", "--all", "--yes")
    command = [sys.executable, "-c", KILLED, where, when, "sessions", "restore", "--last"]
    assert subprocess.run(command, check=False).returncode == -9
    assert three("sessions", "restore", "--last").status == 0
    assert stored(three) == before
    assert in_trash(three) == []


def test_a_damaged_file_of_the_trash_is_told_and_restores_nothing_wrong(three: Agno) -> None:
    path = Path(three("sessions", "delete", "aaaa-1", "--yes", "-o", "json").json["trash"])
    raw = bytearray(path.read_bytes())
    raw[-20] ^= 0xFF
    path.write_bytes(raw)
    assert three("sessions", "restore", "aaaa-1").error[0] == 1
    assert "aaaa-1" not in three.session_ids()
    assert in_trash(three) == ["aaaa-1"]


def test_many_sessions_are_deleted_in_steps_and_come_back(
    agno: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "CHUNK", 7)
    agno.store(*(bundle(f"s-{number:02}", runs=number % 3) for number in range(30)))
    before = stored(agno)
    ran = agno("sessions", "delete", "--all", "--confirm", "30")
    assert "deleted 30 sessions; back with: agno sessions restore --last" in ran.err
    assert stored(agno) == {}
    agno("sessions", "restore", "--last")
    assert stored(agno) == before


def test_when_a_session_expires_is_kept_and_no_change_of_it(agno: Agno, tmp_path: Path) -> None:
    with place("there", "redis", tmp_path) as there, there.open() as backend:
        agno.configure(there.settings)
        expires = int(time.time() * 1000) + 3_600_000
        session = sample_session("one", expires_at=expires)
        backend.write([SessionBundle(session, (sample_run("one", expires_at=expires),))])
        assert agno("-b", "there", "sessions", "delete", "one", "--yes").status == 0
        assert agno("-b", "there", "sessions", "restore", "one").status == 0
        (back,) = backend.read(["one"])
        assert back.session.expires_at == expires


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_session_too_large_to_be_held_comes_back(
    agno: Agno, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agnocli.formats.source.HELD_BYTES", 2000)
    with place("there", kind, tmp_path) as there, there.open() as backend:
        agno.configure(there.settings)
        backend.write([bundle("large", runs=40), bundle("small"), bundle("larger", runs=50)])
        before = contents(backend, backend.capabilities)
        assert agno("-b", "there", "sessions", "delete", "--all", "--yes").status == 0
        ran = agno("-b", "there", "sessions", "restore", "--last")
        assert ran.status == 0, ran.err
        assert contents(backend, backend.capabilities) == before
