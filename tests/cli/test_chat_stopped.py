"""Answers that are stopped from outside: signals, a killed process, a reader that leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from agnocli import codec
from agnocli.records import Run
from agnocli.testing.openai_server import Answer, Gate, ScriptedServer, Silent
from tests.cli.conftest import PATIENCE, Agno, Serve, at, ended, said


def until(agno: Agno, wanted: Callable[[Run, Any], bool]) -> None:
    """Look into the database until the last run of `s` is so."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        run = agno.runs("s")[-1]
        if wanted(run, codec.decode(run.run_data)):
            return
        time.sleep(0.02)
    raise AssertionError(f"the run stayed as {run}")


def talking(agno: Agno, serve: Serve, *more: str) -> tuple[subprocess.Popen[bytes], ScriptedServer]:
    """A chat that has said `one two` and waits for the rest of its answer."""
    gate = Gate()
    server = serve(Answer(chunks=["one ", "two", gate, " three"]), Answer("later"))
    process = agno.popen("chat", *at(server), "-s", "s", "count", *more)
    gate.wait()
    until(agno, lambda run, data: data.get("content") == "one two" and run.status == "RUNNING")
    return process, server


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_stopped_answer_is_kept_as_far_as_it_came(
    agno: Agno, serve: Serve, number: int, status: int
) -> None:
    process, server = talking(agno, serve)
    process.send_signal(number)
    ran = ended(process)
    assert (ran.status, ran.out) == (status, "one two\n")
    assert ran.err.splitlines()[-1] == "stopped; what was said is kept"
    server.wait_for_hang_up()
    (run,) = agno.runs("s")
    data = codec.decode(run.run_data)
    assert (run.status, data["status"], data["content"]) == ("CANCELLED", "CANCELLED", "one two")
    agno("chat", *at(server), "-s", "s", "again")
    assert said(server.requests[1]) == [("user", "again")]


def test_a_stopped_answer_ends_json_with_its_object(agno: Agno, serve: Serve) -> None:
    process, server = talking(agno, serve, "-o", "jsonl")
    process.send_signal(signal.SIGINT)
    ran = ended(process)
    last = codec.decode(ran.lines[-1])
    assert (ran.status, last["status"], last["content"]) == (130, "CANCELLED", "one two")
    agno("chat", *at(server), "-s", "s", "again")


def test_a_killed_chat_is_found_again(agno: Agno, serve: Serve) -> None:
    process, server = talking(agno, serve)
    process.kill()
    assert ended(process).status == -signal.SIGKILL
    (run,) = agno.runs("s")
    assert run.status == "RUNNING"
    listed = agno("sessions", "list", "-o", "json", "--status", "running").json
    assert [row["session_id"] for row in listed] == ["s"]
    ran = agno("chat", *at(server), "-s", "s", "again")
    assert "the last answer was interrupted; what was said of it is kept" in ran.err
    assert said(server.requests[1]) == [("user", "again")]
    first, second = agno.runs("s")
    assert (first.status, codec.decode(first.run_data)["content"]) == ("CANCELLED", "one two")
    assert second.status == "COMPLETED"
    assert agno.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_neighbour_at_work_is_left_alone(agno: Agno, serve: Serve) -> None:
    process, server = talking(agno, serve)
    ran = agno("chat", *at(server), "-s", "s", "meanwhile")
    assert "another program is, or was, answering in this session" in ran.err
    assert said(server.requests[1]) == [("user", "meanwhile")]
    assert [run.status for run in agno.runs("s")] == ["RUNNING", "COMPLETED"]
    process.send_signal(signal.SIGINT)
    ended(process)
    assert [run.status for run in agno.runs("s")] == ["CANCELLED", "COMPLETED"]


def test_a_silent_server_can_be_left(agno: Agno, serve: Serve) -> None:
    step = Silent()
    process = agno.popen("chat", *at(serve(step)), "-s", "s", "hello?")
    step.gate.wait()
    assert agno.runs("s")[0].status == "RUNNING"
    process.send_signal(signal.SIGINT)
    ran = ended(process)
    assert (ran.status, ran.out) == (130, "")
    (run,) = agno.runs("s")
    assert run.status == "CANCELLED"
    assert codec.decode(run.run_data)["input"] == {"input_content": "hello?"}


def test_a_signal_while_the_question_is_being_stored_is_not_lost(
    agno: Agno, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agnocli.db.sqlite import SqliteDb

    write = SqliteDb.write

    def interrupted(self: SqliteDb, *arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return write(self, *arguments)

    monkeypatch.setattr(SqliteDb, "write", interrupted)
    ran = agno("chat", "-m", "echo:slow=20000", "-s", "s", "hi")
    assert ran.status == 130
    assert agno.runs("s")[0].status == "CANCELLED"


def test_a_reader_that_leaves_ends_the_answer_and_what_was_said_is_kept(agno: Agno) -> None:
    words = " ".join(f"word{n}" for n in range(60))
    with agno.popen("chat", "-m", "echo:slow=30", "-s", "s", words) as process:
        assert process.stdout and process.stderr
        assert process.stdout.read(4) == b"I am"
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
        assert b"Traceback" not in process.stderr.read()
    (run,) = agno.runs("s")
    assert run.status == "CANCELLED"
    assert codec.decode(run.run_data)["content"].startswith("I am echo")
