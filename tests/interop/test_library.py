"""Agents and teams with tools, state and summaries: ours and the real agno's go on in each other's sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agnocli.abc import Backend
from agnocli.agent import Agent
from agnocli.agent.models import open_model, parse_model
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import ModelError
from agnocli.run import RunContext
from agnocli.sessions.fork import fork
from agnocli.team import Team
from agnocli.testing.openai_server import Answer, Error, ScriptedServer, tool_call
from tests.harness import postgres
from tests.interop.conftest import Serve
from tests.interop.sides import RealAgno

HISTORY: dict[str, Any] = {"add_history_to_context": True, "num_history_runs": 20}


class Place:
    """A database that both sides open, each in its own way."""

    def __init__(self, kind: str, ours: Backend, agnos: dict[str, str]) -> None:
        self.db, self.agnos = ours, (kind, agnos)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        file = tmp_path / "data" / "agno.db"
        with SqliteDb(db_file=file) as db:
            yield Place("sqlite", db, {"file": str(file)})
        return
    harness = postgres.Harness(tmp_path)
    # not as our user: the connections of its pool are no leak of ours
    url = re.sub(r"^[a-z+]+://", "postgresql+psycopg://", harness.server)
    with harness.open() as db:
        yield Place("postgres", db, {"url": url, "schema": harness.schema})
    harness.close()


def add_item(run_context: RunContext, item: str) -> str:
    """Add an item to the list."""
    run_context.session_state.setdefault("items", []).append(item)
    return f"added {item}"


def model_at(server: ScriptedServer) -> Any:
    spec = parse_model(f"openai-like:test-model@{server.base_url}", environ={})
    return open_model(spec, max_retries=0)


def shop(place: Place, server: ScriptedServer, **settings: Any) -> Agent:
    return Agent(
        id="shop",
        name="Shop",
        model=model_at(server),
        db=place.db,
        tools=[add_item],
        **HISTORY | settings,
    )


def desk(place: Place, server: ScriptedServer, **settings: Any) -> Team:
    writer = Agent(id="writer", name="Writer", model=model_at(server), tools=[add_item])
    return Team(
        id="desk",
        name="Desk",
        model=model_at(server),
        db=place.db,
        members=[writer],
        **HISTORY | settings,
    )


def asks(name: str, call_id: str, **arguments: object) -> Answer:
    call = tool_call(name, arguments, call_id)
    return Answer("", tool_calls=[call], finish_reason="tool_calls", usage=(3, 2))


def gives(call_id: str) -> Answer:
    return asks("delegate_task_to_member", call_id, member_id="writer", task="Write")


def roles(request: Any) -> list[str]:
    return [
        one["role"] for one in request["messages"] if one["role"] not in ("system", "developer")
    ]


SUMMARY = Answer('{"summary": "Alice buys tea.", "topics": ["tea"]}')
TURN = ["user", "assistant", "tool", "assistant"]


def test_what_our_agent_stores_is_agnos_objects_and_goes_on_there_and_back(
    agno: RealAgno, place: Place, serve: Serve
) -> None:
    server = serve(
        asks("add_item", "call_1", item="tea ☕"),
        Answer("Done."),
        SUMMARY,
        asks("add_item", "call_2", item="milk"),
        Answer("Both."),
        Answer("Tea and milk."),
    )
    ours = {"enable_session_summaries": True, "session_summary_num_runs": 1}
    agent = shop(place, server, session_state={"items": [], "n": {"deep": [None, 1.5]}}, **ours)
    agent.run("Buy tea", session_id="s")

    found = agno("library.loaded", *place.agnos, "s")
    assert found["class"] == "AgentSession"
    (run,) = found["runs"]
    assert (run["class"], run["status"], run["content"]) == ("RunOutput", "COMPLETED", "Done.")
    assert run["messages"] == [f"Message {role}" for role in TURN]
    assert run["tools"] == [["ToolExecution", "add_item", {"item": "tea ☕"}, "added tea ☕"]]
    assert found["state"] == {"items": ["tea ☕"], "n": {"deep": [None, 1.5]}}
    assert found["summary"] == ["SessionSummary", "Alice buys tea."]
    assert [role for role, _ in found["history"]] == TURN

    options = {"tools": ["add_item"], "add_session_summary_to_context": True, **HISTORY}
    said = agno("library.run", *place.agnos, server.base_url, "s", "And milk", **options)
    assert said[:2] == ["COMPLETED", "Both."]
    assert said[2]["items"] == ["tea ☕", "milk"]
    assert roles(server.requests[3]) == [*TURN, "user"]
    assert "Alice buys tea." in server.requests[3]["messages"][0]["content"]

    again = shop(place, server)
    assert again.run("What is on it?", session_id="s").content == "Tea and milk."
    assert roles(server.requests[5]) == [*TURN, *TURN, "user"]
    assert again.get_session_state("s")["items"] == ["tea ☕", "milk"]
    assert [one.run_index for one in place.db.runs("s")] == [0, 1, 2]
    assert agno.warnings == []


def test_what_agnos_agent_stores_goes_on_with_us(
    agno: RealAgno, place: Place, serve: Serve
) -> None:
    server = serve(
        asks("add_item", "call_1", item="tea"),
        Answer("Done."),
        SUMMARY,
        asks("add_item", "call_2", item="milk"),
        Answer("Both."),
    )
    options = {"tools": ["add_item"], "summaries": True, "session_state": {"items": [], "old": 1}}
    agno("library.run", *place.agnos, server.base_url, "s", "Buy tea", **options)
    agent = shop(place, server, session_state={"new": 2}, add_session_summary_to_context=True)
    made = agent.get_session_summary("s")
    assert made is not None
    assert (made.summary, made.topics) == ("Alice buys tea.", ("tea",))
    assert agent.run("And milk", session_id="s").content == "Both."
    assert roles(server.requests[3]) == [*TURN, "user"]
    assert "Alice buys tea." in server.requests[3]["messages"][0]["content"]
    assert agent.get_session_state("s") == {"items": ["tea", "milk"], "old": 1, "new": 2}
    found = agno("library.loaded", *place.agnos, "s")
    assert found["state"] == {"items": ["tea", "milk"], "old": 1, "new": 2}
    assert [run["tools"][0][3] for run in found["runs"]] == ["added tea", "added milk"]


def test_what_our_team_stores_is_agnos_objects_and_goes_on_there_and_back(
    agno: RealAgno, place: Place, serve: Serve
) -> None:
    server = serve(
        gives("call_1"),
        asks("add_item", "call_2", item="tea"),
        Answer("Written."),
        Answer("Here it is."),
        gives("call_3"),
        asks("add_item", "call_4", item="milk"),
        Answer("Written again."),
        Answer("There."),
        Answer("All of it."),
    )
    desk(place, server, session_state={"items": []}).run("Please", session_id="s")
    found = agno("library.loaded", *place.agnos, "s", "team")
    assert found["class"] == "TeamSession"
    assert found["state"] == {"items": ["tea"]}
    told = {run["class"]: run for run in found["runs"]}
    assert told["TeamRunOutput"]["content"] == "Here it is."
    assert told["TeamRunOutput"]["tools"][0][1] == "delegate_task_to_member"
    assert (told["RunOutput"]["content"], told["RunOutput"]["parent"]) == ("Written.", True)

    said = agno("library.team", *place.agnos, server.base_url, "s", "Again", **HISTORY)
    assert said == ["COMPLETED", "There.", {"items": ["tea", "milk"]}]
    assert roles(server.requests[4]) == [*TURN, "user"]

    ours = desk(place, server)
    assert ours.run("All?", session_id="s").content == "All of it."
    assert roles(server.requests[8]) == [*TURN, *TURN, "user"]
    assert ours.get_session_state("s") == {"items": ["tea", "milk"]}
    runs = list(place.db.runs("s"))
    assert sorted(run.run_index or 0 for run in runs) == [0, 1, 2, 3, 4]
    assert agno.warnings == []


def test_agno_goes_on_in_a_fork_of_its_own_teams_session(
    agno: RealAgno, place: Place, serve: Serve
) -> None:
    server = serve(
        gives("call_1"),
        asks("add_item", "call_2", item="tea"),
        Answer("Written."),
        Answer("Here it is."),
        Answer("Anything else?"),
        Answer("Another way."),
    )
    options = {**HISTORY, "session_state": {"items": []}}
    agno("library.team", *place.agnos, server.base_url, "s", "Please", **options)
    agno("library.team", *place.agnos, server.base_url, "s", "No", **options)
    before = list(place.db.runs("s"))
    assert len(before) == 3

    new = fork(place.db, "s", before[1].run_index + 1)  # type: ignore[operator]
    found = agno("library.loaded", *place.agnos, new, "team")
    assert [(run["class"], run["parent"]) for run in found["runs"]] == [
        ("RunOutput", True),
        ("TeamRunOutput", False),
    ]
    assert found["state"] == {"items": ["tea"]}
    said = agno("library.team", *place.agnos, server.base_url, new, "Otherwise", **HISTORY)
    assert said == ["COMPLETED", "Another way.", {"items": ["tea"]}]
    assert roles(server.requests[5]) == [*TURN, "user"]
    assert list(place.db.runs("s")) == before
    assert agno.warnings == []


def test_what_failed_or_was_refused_is_readable_to_agno(
    agno: RealAgno, place: Place, serve: Serve
) -> None:
    server = serve(
        asks("nothing", "call_1", x=1),
        Error(400, "no"),
        asks("add_item", "call_2", item=7),
        Answer("Sorry."),
        Answer("Fine."),
    )
    agent = shop(place, server)
    with pytest.raises(ModelError):
        agent.run("one", session_id="s")
    agent.run("two", session_id="s")
    found = agno("library.loaded", *place.agnos, "s")
    assert [run["status"] for run in found["runs"]] == ["ERROR", "COMPLETED"]
    assert [role for role, _ in found["history"]] == TURN
    said = agno("library.run", *place.agnos, server.base_url, "s", "three", **HISTORY)
    assert said[:2] == ["COMPLETED", "Fine."]
    assert roles(server.requests[4]) == [*TURN, "user"]


def test_a_turn_in_the_middle_of_a_call_is_readable_to_agno(
    agno: RealAgno, place: Place, serve: Serve
) -> None:
    seen: list[Any] = []

    def look() -> str:
        seen.append(agno("library.loaded", *place.agnos, "s"))
        return "looked"

    server = serve(asks("look", "call_1"), Answer("Done."))
    agent = shop(place, server)
    agent.tools = [look]
    agent.run("Look", session_id="s")
    (found,) = seen
    (run,) = found["runs"]
    assert run["status"] == "RUNNING"
    assert run["messages"] == ["Message user", "Message assistant", "Message tool"]
    assert run["tools"] == [["ToolExecution", "look", {}, None]]
    assert [role for role, _ in found["history"]] == ["user", "assistant", "tool"]
