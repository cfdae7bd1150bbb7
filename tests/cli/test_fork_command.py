"""`agno sessions fork`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agnocli.db.sqlite import SqliteDb
from tests.cli.conftest import Agno, bundle, fingerprint
from tests.transfer.places import KINDS, place


@pytest.fixture
def long(agno: Agno) -> Agno:
    agno.store(bundle("long", runs=5, name="Long"), bundle("other"))
    return agno


def test_the_new_id_is_all_that_stdout_has(long: Agno) -> None:
    ran = long("sessions", "fork", "Long", "--at", "2")
    (new,) = ran.lines
    assert ran.err == f"2 runs of long copied; go on with: agno chat -s {new}\n"
    assert [run.run_index for run in long.runs(new)] == [0, 1]
    assert len(long.runs("long")) == 5
    titles = {
        row["session_id"]: row["title"] for row in long("sessions", "list", "-o", "json").json
    }
    assert titles[new] == "Long (fork)"
    assert long("sessions", "rename", "Long", "Still one").status == 0


def test_json_tells_where_it_comes_from(long: Agno) -> None:
    ran = long("sessions", "fork", "long", "--name", "Another", "-o", "json")
    assert ran.err == ""
    assert ran.json == {
        "session_id": ran.json["session_id"],
        "backend": str(long.database),
        "runs": 5,
        "forked_from": {
            "backend": str(long.database),
            "session_id": "long",
            "run_id": "long.run-4",
            "run": 5,
        },
        "dry_run": False,
    }
    assert len(long("sessions", "list", "--name", "Another", "-o", "ids").lines) == 1


def test_a_dry_run_writes_nothing(long: Agno) -> None:
    before = fingerprint(long.home)
    ran = long("sessions", "fork", "long", "--at", "1", "-n")
    assert (ran.status, ran.out, ran.err) == (0, "", "1 run of long would be copied\n")
    assert fingerprint(long.home) == before


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["long", "--at", "6"], 3),
        (["nobody"], 3),
        (["long", "--at", "-1"], 2),
        (["long", "--name", ""], 2),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(long: Agno, arguments: list[str], status: int) -> None:
    before = fingerprint(long.home)
    assert long("sessions", "fork", *arguments).error[0] == status
    assert fingerprint(long.home) == before


def test_a_conversation_goes_on_in_its_copy(agno: Agno) -> None:
    agno("chat", "-m", "echo", "-s", "tea", "first")
    agno("chat", "-m", "echo", "-s", "tea", "second")
    (new,) = agno("sessions", "fork", "tea", "--at", "1").lines
    answer = agno("chat", "-m", "echo", "-s", new, "third").out
    assert 'held 1 turn; the first began: "first"' in answer
    assert len(agno.runs("tea")) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_into_another_backend(long: Agno, kind: str, tmp_path: Path) -> None:
    with place("there", kind, tmp_path) as there:
        long.configure(there.settings)
        (new,) = long("sessions", "fork", "long", "--at", "3", "--to", "there").lines
        with there.open() as backend:
            assert [run.run_index for run in backend.runs(new)] == [0, 1, 2]
        assert "long" in long("-b", "there", "sessions", "inspect", new, "--raw").out
        (back,) = long("-b", "there", "sessions", "fork", new, "--to", "sqlite").lines
        assert len(long.runs(back)) == 3


KILLED = """
import os, signal, sys
from agnocli.cli.app import main

from agnocli.sessions.renaming import Renaming
left = int(sys.argv.pop(1))
real = Renaming.run
def run(self, run, index):
    if index == left:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, run, index)
Renaming.run = run
main(sys.argv[1:])
"""


@pytest.mark.parametrize("run", [0, 3])
def test_killed_half_way_it_leaves_no_session(long: Agno, run: int) -> None:
    import subprocess

    command = [sys.executable, "-c", KILLED, str(run), "sessions", "fork", "long"]
    assert subprocess.run(command, check=False).returncode == -9
    assert sorted(long.session_ids()) == ["long", "other"]
    with SqliteDb(long.database) as backend:
        assert backend.inspect().runs == 6
