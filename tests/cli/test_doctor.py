"""`agno doctor`."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.agent.owner import this_process
from agnocli.cli.examination import owner_of
from agnocli.records import SessionBundle
from agnocli.testing.records import EPOCH, sample_bundle, sample_run, sample_session
from tests.cli.conftest import Agno, bundle, fingerprint
from tests.transfer.places import KINDS, place

KEY = "ghp_" + "a1B2" * 9


HANGS = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""
"""A server that takes connections and never says a word."""


def found(agno: Agno, *arguments: str, status: int = 0) -> dict[str, list[str]]:
    """What is worth a warning or worse, by check, with what to do about it.

    That tests keep their files in a folder for temporary files is none of theirs.
    """
    ran = agno("doctor", "-o", "json", *arguments)
    assert ran.status == status, ran.err
    told: dict[str, list[str]] = {}
    for row in ran.json:
        if row["status"] != "ok" and "temporary files" not in row["detail"]:
            assert row["fix"], row
            told.setdefault(row["check"], []).append(row["detail"])
    return told


@pytest.fixture
def agno(agno: Agno) -> Agno:
    agno.variables["OPENAI_API_KEY"] = "sk-for-tests"
    return agno


def test_on_a_fresh_machine_it_finds_nothing_wrong_and_makes_nothing(agno: Agno) -> None:
    assert found(agno) == {}
    assert fingerprint(agno.home) == {}


def test_without_a_model_it_says_how_to_get_one(agno: Agno) -> None:
    del agno.variables["OPENAI_API_KEY"]
    assert found(agno) == {"model": ["no model is configured"]}
    agno.configure("[agents.a]\nmodel = 'groq:x'\n")
    told = found(agno)
    assert told["configuration"] == ["agents.a: groq needs a key, GROQ_API_KEY is not set"]


def test_it_tells_versions_and_counts(agno: Agno) -> None:
    agno.store(sample_bundle("one", runs=3))
    lines = agno("doctor").lines
    checks = {line.split("\t")[0]: line for line in lines}
    assert {"agnocli", "python", "typer", "openai", "psycopg", "agno", "terminal"} <= set(checks)
    assert "layout v3, 1 sessions, 3 runs" in agno("doctor").out
    assert "agno" not in {name.partition(".")[0] for name in sys.modules}


def test_the_seeds_mistakes_are_found_in_the_configuration(agno: Agno) -> None:
    agno.configure(
        "[agents.a]\nmodel = 'echo'\nnum_history_runs = 99\n"
        f"session_state = {{ token = '{KEY}' }}\n"
        "[agents.b]\nmodel = 'echo'\nadd_history_to_context = false\n"
        "[teams.t]\nmodel = 'echo'\nmembers = ['a']\nnum_history_runs = 98\n"
    )
    agno.variables["APP_ENV"] = "production"
    told = found(agno)
    first, second = told["agent a"], told["agent b"]
    assert any("SQLite" in line for line in first)
    assert any("num_history_runs=99" in line for line in first)
    assert any("token looks like a secret" in line for line in first)
    assert any("not sent to the model" in line for line in second)
    assert any("num_history_runs=98" in line for line in told["team t"])
    assert KEY not in str(told)


def test_secrets_in_stored_state_are_found_and_not_shown(agno: Agno) -> None:
    session, runs = bundle("leaky")
    state = codec.encode({"session_state": {"account": {"api_key": KEY}}})
    agno.store(SessionBundle(replace(session, session_data=state), runs))
    told = found(agno)
    assert told == {"backend default": ["session leaky: state account.api_key looks like a secret"]}
    assert "agno sessions state get leaky account, then" in agno("doctor").out


def test_a_configuration_that_cannot_be_read_does_not_stop_the_rest(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    agno.configure("[backends\n")
    told = found(agno, status=1)
    assert "not valid TOML" in told["configuration"][0]
    assert "1 sessions" in agno("doctor").out


def test_a_file_that_everybody_can_read_is_told(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    assert found(agno) == {}
    agno.database.chmod(0o644)
    (line,) = found(agno)["backend default"]
    assert "can be read by every user" in line


def test_sessions_of_one_run_each_look_like_a_program_that_names_none(agno: Agno) -> None:
    agno.store(*(bundle(f"s-{n}", at=n) for n in range(19)))
    assert found(agno) == {}
    agno.store(bundle("s-19"))
    (line,) = found(agno)["backend default"]
    assert line.startswith("20 of the 20 latest sessions")


def running(name: str, owner: dict[str, object] | None, at: int) -> SessionBundle:
    sample = sample_run(name, status="RUNNING", created_at=at, updated_at=at)
    metadata = {"agnocli": {"owner": owner}} if owner else {}
    data = {**codec.decode(sample.run_data), "status": "RUNNING", "metadata": metadata}
    return SessionBundle(sample_session(name), [replace(sample, run_data=codec.encode(data))])


def test_turns_that_will_not_end_are_told_and_living_ones_are_not(agno: Agno) -> None:
    now, here = int(time.time()), this_process()
    agno.store(
        running("gone", {**here, "started": "0"}, now),
        running("at-work", here, EPOCH),
        running("elsewhere", {**here, "host": "other"}, now),
        running("old", None, EPOCH),
    )
    told = found(agno)["backend default"]
    assert [line.partition(":")[0] for line in sorted(told)] == ["session gone", "session old"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_backend_tells_what_it_holds(agno: Agno, kind: str, tmp_path: Path) -> None:
    with place("stored", kind, tmp_path) as stored:
        agno.configure(f'default_backend = "stored"\n{stored.settings}read_only = true\n')
        with stored.open() as backend:
            backend.write([running("old", None, EPOCH)])
        rows = agno("doctor", "-o", "json").json
    (first, *more) = [row for row in rows if row["check"] == "backend stored"]
    assert first["status"] == "ok"
    assert "read-only, layout v3, 1 sessions, 1 runs" in first["detail"]
    assert "session old: 1 turns are RUNNING" in str(more)


def test_a_server_that_is_down_or_silent_stops_nothing(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    command = [sys.executable, "-c", HANGS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        agno.configure(
            "[backends.silent]\ntype = 'postgres'\n"
            f"db_url = 'postgresql://u@127.0.0.1:{port}/db?connect_timeout=50'\n"
            "[backends.down]\ntype = 'redis'\ndb_url = 'redis://127.0.0.1:1/0'\n"
            "[backends.unknown]\ntype = 'paper'\n"
        )
        began = time.monotonic()
        ran = agno.process("doctor", "-o", "json", "--timeout", "1.5")
        took = time.monotonic() - began
        server.communicate()
    told = {row["check"]: row for row in ran.json if row["check"].startswith("backend")}
    assert {
        name: row["status"] for name, row in told.items() if "temporary" not in row["detail"]
    } | {"backend default": "ok"} == {
        "backend default": "ok",
        "backend silent": "error",
        "backend down": "error",
        "backend unknown": "error",
    }
    assert told["backend silent"]["detail"] == "no answer within 1.5 s"
    assert "1 sessions" in ran.out
    assert ran.status == 1
    assert took < 10


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("#!{python}\nfrom agnocli.__main__ import main\n", "ok", "another environment"),
        ("#!/a/agnocli/bin/python\nfrom agnoctl.main import app\n", "warning", "Agno's own"),
        ("#!/bin/sh\necho hello\n", "warning", "another program"),
    ],
)
def test_it_tells_whose_agno_a_shell_runs(
    tmp_path: Path, text: str, status: str, said: str
) -> None:
    script = tmp_path / "agno"
    script.write_text(text.replace("{python}", sys.executable))
    finding = owner_of(str(script))
    assert finding.status == status
    assert said in finding.detail
    assert (finding.fix is None) == (status == "ok")
    assert status == "ok" or "agnocli" in str(finding.fix)


def test_an_agno_that_agnoctl_took_along_is_missed() -> None:
    finding = owner_of(None, "/usr/bin/agnocli")
    assert (finding.status, owner_of(None).status) == ("warning", "ok")
    assert "agnoctl" in finding.detail


def test_on_a_terminal_each_finding_has_its_fix_below(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    agno.database.chmod(0o644)
    control, terminal = pty.openpty()
    command = [sys.executable, "-m", "agnocli", "doctor"]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        for _ in range(500):
            if b" warnings" in shown:
                break
            shown += os.read(control, 10_000)
        process.wait(60)
    os.close(control)
    text = re.sub("\x1b\\[[0-9;]*m", "", shown.decode())
    assert "! backend default:" in text
    assert f"  → chmod 600 {agno.database}"[:40] in text
    assert "✓ agnocli:" in text
