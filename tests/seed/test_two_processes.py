"""Two processes run agents in one session at the same time: no run, no state key, no item, no token is lost."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

import pytest

from agnocli import codec
from agnocli.abc import Backend, ModelFinished
from agnocli.agent import Agent
from agnocli.run import RunContext
from agnocli.testing.openai_server import tool_call
from agnocli.testing.scripted_model import ScriptedModel

TURNS = 4


def add_item(run_context: RunContext, item: str) -> str:
    """Add an item."""
    run_context.session_state.setdefault("items", []).append(item)
    run_context.session_state[item] = True
    return f"Added {item}"


def work(opener: Callable[[], Backend], name: str, start: Any) -> None:
    scripts: list[list[Any]] = []
    for number in range(TURNS):
        call = tool_call("add_item", {"item": f"{name}{number}"})
        scripts += [
            [ModelFinished(reason="tool_calls", total_tokens=5, tool_calls=(call,))],
            ["ok"],
        ]
    with opener() as db:
        agent = Agent(
            model=ScriptedModel(*scripts), db=db, tools=[add_item], add_history_to_context=True
        )
        start.wait(60)
        for _ in range(TURNS):
            agent.run("buy", session_id="s")


@pytest.mark.parametrize(
    "harness", ["sqlite", "postgres", "mysql", "redis", "mongo"], indirect=True
)
def test_two_processes_in_one_session_lose_nothing(harness: Any) -> None:
    with harness.open() as db:
        db.setup()
    spawning = multiprocessing.get_context("spawn")
    start = spawning.Barrier(2)
    processes = [
        spawning.Process(target=work, args=(harness.opener(), name, start)) for name in "ab"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0, 0]
    with harness.open() as db:
        runs, session = list(db.runs("s")), codec.members(db.get("s").session_data)
    expected = sorted(f"{name}{number}" for name in "ab" for number in range(TURNS))
    assert [run.run_index for run in runs] == list(range(2 * TURNS))
    assert {run.status for run in runs} == {"COMPLETED"}
    state = session["session_state"]
    assert sorted(state.pop("items")) == expected == sorted(state)
    # each turn asks twice, for the call and for the answer
    assert session["session_metrics"]["total_tokens"] == 2 * TURNS * 10
