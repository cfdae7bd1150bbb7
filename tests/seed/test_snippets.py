"""The seed's programs, on every backend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from agnocli.abc import Backend
from agnocli.agent import Agent
from agnocli.db.mongo import MongoDb
from agnocli.db.mysql import MySQLDb
from agnocli.db.postgres import PostgresDb
from agnocli.db.redis import RedisDb
from agnocli.db.sqlite import SqliteDb
from agnocli.messages import data
from agnocli.run import RunContext
from agnocli.team.team import Team
from agnocli.testing.openai_server import Answer, tool_call
from tests.harness import mongo, mysql, postgres, redis

from .conftest import Serve


def said(request: Mapping[str, Any]) -> list[str]:
    return [one["content"] for one in request["messages"] if one["role"] in ("user", "assistant")]


# quick start, core storage parameters, session management


def test_the_same_session_id_is_one_continuous_conversation(
    db: Backend, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(Answer("Hello Alice!"), Answer("Alice."))
    agent = Agent(
        name="Persistent Agent",
        model="openai:gpt-4o",
        db=db,
        add_history_to_context=True,
        num_history_runs=5,
    )
    agent.print_response("My name is Alice", session_id="session-1", stream=True)
    agent.print_response("What's my name?", session_id="session-1", stream=True)
    assert capsys.readouterr().out == "Hello Alice!\nAlice.\n"
    assert said(server.requests[1]) == ["My name is Alice", "Hello Alice!", "What's my name?"]
    assert [run.status for run in db.runs("session-1")] == ["COMPLETED", "COMPLETED"]


def test_another_session_id_is_another_conversation(db: Backend, serve: Serve) -> None:
    server = serve(*(Answer(f"answer {n}") for n in range(3)))
    agent = Agent(
        model="openai:gpt-4o",
        db=db,  # Storage backend
        add_history_to_context=True,  # Include past messages in context
        num_history_runs=5,  # Number of prior runs to include
    )
    agent.print_response("Hello!", session_id="thread-42", stream=True)
    agent.print_response("What did I just say?", session_id="thread-42", stream=True)
    agent.print_response("Hello!", session_id="thread-99", stream=True)
    assert said(server.requests[1]) == ["Hello!", "answer 0", "What did I just say?"]
    assert said(server.requests[2]) == ["Hello!"]


# session state


def add_item(run_context: RunContext, item: str) -> str:
    """Add an item to the shopping list."""
    items = run_context.session_state.get("items", [])
    items.append(item)
    run_context.session_state["items"] = items
    return f"Added {item}"


def test_the_agent_reads_and_updates_session_state(db: Backend, serve: Serve) -> None:
    asks = Answer(
        "", tool_calls=[tool_call("add_item", {"item": "milk ☕"})], finish_reason="tool_calls"
    )
    server = serve(asks, Answer("Done."), Answer("Milk."))
    agent = Agent(
        model="openai:gpt-4o",
        tools=[add_item],
        session_state={"items": []},
        add_session_state_to_context=True,
        db=db,
    )
    agent.print_response("Add milk", session_id="shop", stream=True)
    agent.print_response("What is on it?", session_id="shop", stream=True)
    assert agent.get_session_state("shop") == {"items": ["milk ☕"]}
    (tool,) = server.requests[0]["tools"]
    assert tool["function"]["description"] == "Add an item to the shopping list."
    assert list(tool["function"]["parameters"]["properties"]) == ["item"]
    assert '{"items": []}' in server.requests[0]["messages"][0]["content"]
    assert '{"items": ["milk ☕"]}' in server.requests[2]["messages"][0]["content"]
    run = next(db.runs("shop"))
    assert data(run)["tools"][0]["result"] == "Added milk ☕"


# session summaries


def test_older_messages_are_summarized_after_five_runs(db: Backend, serve: Serve) -> None:
    turns = [Answer(f"answer {n}") for n in range(5)]
    summary = Answer('{"summary": "Alice counted to five.", "topics": ["counting"]}')
    server = serve(*turns, summary, Answer("six"))
    agent = Agent(
        model="openai:gpt-4o",
        db=db,
        add_history_to_context=True,
        num_history_runs=3,
        enable_session_summaries=True,  # Summarize older messages
        session_summary_num_runs=5,  # Summarize after 5 runs
    )
    for number in range(6):
        agent.run(f"question {number}", session_id="long")
    made = agent.get_session_summary("long")
    assert made is not None
    assert (made.summary, made.topics) == ("Alice counted to five.", ("counting",))
    assert "question 0" in server.requests[5]["messages"][1]["content"]
    last = server.requests[6]["messages"]
    assert "Alice counted to five." in last[0]["content"]
    assert [one["content"] for one in last if one["role"] == "user"] == [
        f"question {number}" for number in (2, 3, 4, 5)
    ]


# shared storage for teams


def test_all_members_of_a_team_share_one_database(db: Backend, serve: Serve) -> None:
    given = {"member_id": "agent-1", "task": "say hello"}
    asks = Answer(
        "", tool_calls=[tool_call("delegate_task_to_member", given)], finish_reason="tool_calls"
    )
    serve(asks, Answer("Hello from 1"), Answer("They say hello."), Answer("Alone."))
    agent1 = Agent(name="Agent 1", model="openai:gpt-4o", db=db)
    agent2 = Agent(name="Agent 2", model="openai:gpt-4o", db=db)
    team = Team(
        name="My Team",
        model="openai:gpt-4o",
        members=[agent1, agent2],
        db=db,
        add_history_to_context=True,
    )
    assert team.run("Greet me", session_id="team-1").content == "They say hello."
    assert [run.agent_id or run.team_id for run in db.runs("team-1")] == ["my-team", "agent-1"]
    agent2.print_response("And you?", session_id="alone", stream=True)
    assert [run.status for run in db.runs("alone")] == ["COMPLETED"]


# the backends' own parameters


def talks(db: Backend, serve: Serve) -> None:
    serve(Answer("Hello Alice!"))
    with db:
        Agent(model="openai:gpt-4o", db=db).run("I am Alice", session_id="session-1")
        assert [run.status for run in db.runs("session-1")] == ["COMPLETED"]


def test_sqlite_as_in_the_seed(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    talks(SqliteDb(db_file="tmp/agents.db"), serve)
    assert (tmp_path / "tmp" / "agents.db").is_file()


def test_postgresql_as_in_the_seed(serve: Serve, tmp_path: Path) -> None:
    harness = postgres.Harness(tmp_path)
    url = harness.url.replace("postgresql://", "postgresql+psycopg://")
    talks(PostgresDb(db_url=url, table_name="agent_sessions", db_schema=harness.schema), serve)
    found = harness.execute(f'SELECT run_type FROM "{harness.schema}".agent_sessions_runs')
    assert found == [("agent",)]
    harness.close()


def test_mysql_as_in_the_seed(serve: Serve, tmp_path: Path) -> None:
    harness = mysql.Harness(tmp_path)
    url = harness.url.replace("mysql://", "mysql+pymysql://")
    talks(MySQLDb(db_url=url, table_name="agent_sessions", db_schema=harness.schema), serve)
    found = harness.execute(f"SELECT run_type FROM {harness.schema}.agent_sessions_runs")
    assert found == [("agent",)]
    harness.close()


def test_redis_as_in_the_seed(serve: Serve, tmp_path: Path) -> None:
    harness = redis.Harness(tmp_path)
    harness.prefix = f"agno-{uuid4().hex[:8]}"
    parts = urlsplit(harness.url)
    assert parts.hostname is not None
    assert parts.port is not None
    db = RedisDb(prefix=f"{harness.prefix}:", host=parts.hostname, port=parts.port, db=0)
    talks(db, serve)
    stored = harness.keys()
    assert f"{harness.prefix}:sessions:session-1".encode() in stored
    harness.close()


def test_mongodb_as_in_the_seed(serve: Serve, tmp_path: Path) -> None:
    harness = mongo.Harness(tmp_path)
    talks(MongoDb(db_url=harness.url, db_name=harness.database, collection_name="sessions"), serve)
    with harness.client() as client:
        assert client[harness.database]["sessions_runs"].count_documents({}) == 1
    harness.close()
