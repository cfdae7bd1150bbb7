"""`kill -9` in the middle of a model call, a tool call, a summary, a team's delegation: the next run goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agnocli.abc import Backend
from agnocli.agent import Agent
from agnocli.db.sqlite import SqliteDb
from agnocli.messages import data
from agnocli.team import Team
from agnocli.testing.openai_server import Answer, Gate, ScriptedServer, Silent, Step, tool_call
from agnocli.testing.scripted_model import ScriptedModel

PROGRAM = Path(__file__).with_name("killed_program.py")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def db(file: Path) -> Iterator[Backend]:
    with SqliteDb(db_file=file) as opened:
        yield opened


def asks(name: str, call_id: str = "call_1", **arguments: object) -> Answer:
    call = tool_call(name, arguments, call_id)
    return Answer("Let me.", tool_calls=[call], finish_reason="tool_calls", usage=(3, 2))


def killed(file: Path, kind: str, until: Callable[[ScriptedServer], None], *steps: Step) -> None:
    """Run the program with a model that answers so, and kill it at that moment."""
    gate = Gate()
    with ScriptedServer([*steps, *([Silent(gate)] if kind != "tool" else [])]) as server:
        command = [sys.executable, str(PROGRAM), str(file), server.base_url, kind]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                until(server)
            finally:
                process.send_signal(signal.SIGKILL)
            assert process.wait(60) == -signal.SIGKILL
        gate.open()


def came(requests: int) -> Callable[[ScriptedServer], None]:
    return lambda server: server.wait_for_requests(requests)


def goes_on(db: Backend, **settings: Any) -> list[str]:
    """What the next run sends of what was before."""
    model = ScriptedModel(["Again."])
    agent = Agent(id="a", model=model, db=db, add_history_to_context=True, **settings)
    assert agent.run("And now?", session_id="s").content == "Again."
    assert agent.get_chat_history("s")
    return [str(one["content"]) for one in model.requests[0].messages[:-1]]


def statuses(db: Backend) -> list[str | None]:
    return [run.status for run in db.runs("s")]


def test_in_a_model_call_after_a_tool(file: Path, db: Backend) -> None:
    killed(file, "model", came(2), asks("note"))
    assert statuses(db) == ["RUNNING"]
    document = data(next(db.runs("s")))
    assert [one["role"] for one in document["messages"]] == ["user", "assistant", "tool"]
    assert document["tools"][0]["result"] == "noted"
    agent = Agent(db=db)
    assert agent.get_session_state("s") == {"noted": True}
    assert goes_on(db) == []
    assert statuses(db) == ["CANCELLED", "COMPLETED"]


def test_in_a_tool_call(file: Path, db: Backend, tmp_path: Path) -> None:
    mark = tmp_path / "begun"

    def begun(server: ScriptedServer) -> None:
        deadline = time.monotonic() + 60
        while not mark.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    killed(file, "tool", begun, asks("hang", mark=str(mark)))
    assert statuses(db) == ["RUNNING"]
    document = data(next(db.runs("s")))
    assert document["messages"][-1]["content"].startswith("Error: interrupted")
    assert document["tools"][0]["tool_args"] == {"mark": str(mark)}
    assert goes_on(db) == []
    assert statuses(db) == ["CANCELLED", "COMPLETED"]
    assert data(next(db.runs("s")))["metadata"] == {"agnocli": {"interrupted": True}}


def test_in_a_summary(file: Path, db: Backend) -> None:
    killed(file, "summary", came(2), Answer("Hello."))
    assert statuses(db) == ["COMPLETED"]
    summaries = ScriptedModel(['{"summary": "S"}'])
    settings = {"enable_session_summaries": True, "session_summary_num_runs": 1}
    assert goes_on(db, summary_model=summaries, **settings) == ["Go", "Hello."]
    assert "User: Go" in str(summaries.requests[0].messages[1]["content"])
    made = Agent(db=db).get_session_summary("s")
    assert made is not None
    assert made.summary == "S"


def test_in_a_teams_delegation(file: Path, db: Backend) -> None:
    killed(file, "team", came(2), asks("delegate_task_to_member", member_id="a", task="Work"))
    assert statuses(db) == ["RUNNING", "RUNNING"]
    leader = ScriptedModel(["Again."])
    team = Team(id="t", model=leader, db=db, members=[Agent(id="a")], add_history_to_context=True)
    assert team.run("And now?", session_id="s").content == "Again."
    assert [one["role"] for one in leader.requests[0].messages] == ["system", "user"]
    assert statuses(db) == ["CANCELLED", "CANCELLED", "COMPLETED"]
