"""What the real agno spent is what we count, to the token."""

from __future__ import annotations

from typing import Any

import pytest

from agnocli.testing.openai_server import Answer, tool_call
from tests.interop.conftest import Serve
from tests.interop.sides import Ours, RealAgno


def counted(ours: Ours, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ours.json("sessions", "stats", *arguments)
    return found


DELEGATE = tool_call("delegate_task_to_member", {"member_id": "writer", "task": "Write a haiku"})
TEAM = (
    Answer(tool_calls=[DELEGATE], finish_reason="tool_calls", usage=(1000, 100)),
    Answer("Old pond", usage=(200, 20)),
    Answer("The writer wrote it", usage=(3000, 300)),
)


@pytest.mark.parametrize("store_member_responses", [False, True])
def test_a_teams_tokens_are_counted_once(
    agno: RealAgno, ours: Ours, serve: Serve, store_member_responses: bool
) -> None:
    server = serve(*TEAM)
    where = ("kinds.team", str(ours.file), server.base_url, "t1")
    agno(*where, "A haiku, please", store_member_responses=store_member_responses)
    runs = ours.inspect("t1")["runs"]
    assert [run["metrics"]["total_tokens"] for run in runs] == [220, 4400]
    assert bool(runs[1]["member_responses"]) is store_member_responses
    (total,) = counted(ours)
    assert (total["input_tokens"], total["output_tokens"], total["tokens"]) == (4200, 420, 4620)
    by_agent = counted(ours, "--by", "agent")
    assert {one["agent"]: one["tokens"] for one in by_agent} == {"writer": 220, None: 4400}


def test_history_that_is_sent_and_stored_again_is_not_counted_again(
    agno: RealAgno, ours: Ours, serve: Serve
) -> None:
    server = serve(Answer("One", usage=(10, 1)), Answer("Two", usage=(20, 2)))
    where = ("kinds.team", str(ours.file), server.base_url, "t1")
    agno(*where, "First")
    agno(*where, "Second", add_history_to_context=True, store_history_messages=True)
    said = ours.inspect("t1")["runs"][1]["messages"]
    assert any(message["from_history"] for message in said)
    (total,) = counted(ours)
    assert (total["tokens"], total["messages"]) == (33, 4)


def test_a_workflows_tokens_are_counted_once(agno: RealAgno, ours: Ours, serve: Serve) -> None:
    server = serve(Answer("Facts", usage=(10, 1)), Answer("An article", usage=(200, 20)))
    agno("kinds.workflow", str(ours.file), server.base_url, "w1", "Write on tea")
    (total,) = counted(ours)
    assert (total["runs"], total["tokens"]) == (1, 231)
