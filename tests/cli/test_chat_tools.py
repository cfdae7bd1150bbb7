"""`agno chat` with tools of the user's own configuration, and with teams."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.testing.openai_server import Answer, ScriptedServer, tool_call
from tests.cli.conftest import Agno, Serve
from tests.cli.repl import CTRL_C, CTRL_D, Open, terminals

TOOLS = '''
from agnocli.run import RunContext

def add_item(run_context: RunContext, item: str) -> str:
    """Add an item to the shopping list."""
    run_context.session_state.setdefault("items", []).append(item)
    return f"Added {item}"
'''
AGENT = """
default_agent = "shop"
[agents.shop]
model = "openai-like:m@URL"
tools = ["our_shop_tools:add_item"]
"""
TEAM = """
[agents.writer]
role = "writes"
[agents.shop]
model = "openai-like:own@URL"
tools = ["our_shop_tools:add_item"]
[teams.desk]
members = ["writer", "shop"]
model = "openai-like:leader@URL"
instructions = "Ask the writer last."
"""


def asks(name: str = "add_item", **arguments: object) -> Answer:
    call = tool_call(name, arguments or {"item": "milk"})
    return Answer("", tool_calls=[call], finish_reason="tool_calls")


@pytest.fixture
def configured(agno: Agno, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A configuration with a module of tools beside it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "our_shop_tools", raising=False)

    def configure(text: str, server: ScriptedServer) -> None:
        agno.configure(text.replace("URL", server.base_url))
        (agno.config.parent / "our_shop_tools.py").write_text(TOOLS)

    return configure


def results(server: ScriptedServer, request: int = 1) -> list[str]:
    return [one["content"] for one in server.requests[request]["messages"] if one["role"] == "tool"]


def state(agno: Agno, session_id: str) -> Any:
    with SqliteDb(agno.database, read_only=True) as db:
        return codec.members(db.get(session_id).session_data)["session_state"]


def test_without_a_terminal_nothing_is_run_unless_it_is_allowed(
    agno: Agno, serve: Serve, configured: Any
) -> None:
    server = serve(asks(), Answer("Sorry."))
    configured(AGENT, server)
    ran = agno("chat", "-s", "s", "buy milk")
    assert ran.out == "Sorry.\n"
    assert "--approve auto runs them" in ran.err
    assert results(server) == ["Error: the user did not allow this call; nothing was run."]
    assert state(agno, "s") == {}


def test_each_call_is_one_line_with_time_and_outcome(
    agno: Agno, serve: Serve, configured: Any
) -> None:
    server = serve(asks(), Answer("Done."))
    configured(AGENT, server)
    ran = agno("chat", "-s", "s", "--approve", "auto", "buy milk")
    assert (ran.out, ran.status) == ("Done.\n", 0)
    (line,) = [one for one in ran.err.splitlines() if "add_item" in one]
    assert line.startswith('tool: add_item(item="milk") · 0.')
    assert line.endswith(" s · Added milk")
    assert state(agno, "s") == {"items": ["milk"]}


def test_jsonl_tells_of_each_call(agno: Agno, serve: Serve, configured: Any) -> None:
    configured(AGENT, serve(asks(), Answer("Done.")))
    ran = agno("chat", "-s", "s", "--approve", "auto", "-o", "jsonl", "buy milk")
    events = [codec.decode(line) for line in ran.lines]
    assert [one.get("event") for one in events[:-1]] == [
        "RunStarted",
        "ToolCallStarted",
        "ToolCallCompleted",
        "RunContent",
    ]
    assert (events[2]["result"], events[2]["arguments"]) == ("Added milk", {"item": "milk"})
    assert events[-1]["tools"][0]["result"] == "Added milk"


def test_more_calls_than_allowed_are_not_made(agno: Agno, serve: Serve, configured: Any) -> None:
    server = serve(asks(), Answer("Done."))
    configured(AGENT, server)
    agno("chat", "-s", "s", "--approve", "auto", "--max-tool-calls", "1", "buy milk")
    assert server.requests[1]["tool_choice"] == "none"


def test_a_file_that_others_may_change_names_no_tools(agno: Agno, configured: Any) -> None:
    with ScriptedServer([]) as server:
        configured(AGENT, server)
        agno.config.chmod(0o666)
        status, message = agno("chat", "hi").error
    assert status == 6
    assert "anybody may change it" in message


def test_asking_needs_somebody_to_ask(agno: Agno, configured: Any) -> None:
    with ScriptedServer([]) as server:
        configured(AGENT, server)
        assert agno("chat", "--approve", "ask", "hi").error[0] == 2


def test_a_dry_run_shows_what_would_be_sent_and_runs_nothing(agno: Agno, configured: Any) -> None:
    with ScriptedServer([]) as server:
        configured(AGENT, server)
        assert agno("chat", "-n", "hi").out == "user: hi\n"


def test_a_configured_team_answers(agno: Agno, serve: Serve, configured: Any) -> None:
    given = {"member_id": "writer", "task": "write"}
    server = serve(asks("delegate_task_to_member", **given), Answer("Text."), Answer("Here."))
    configured(TEAM, server)
    ran = agno("chat", "--team", "desk", "-s", "s", "please")
    assert (ran.out, ran.status) == ("Here.\n", 0)
    assert [one["model"] for one in server.requests] == ["leader", "leader", "leader"]
    system = server.requests[0]["messages"][0]["content"]
    assert system.startswith("Ask the writer last.\n\n<team>")
    assert "Role: writes" in system
    team, member = agno.runs("s")
    assert (team.team_id, member.agent_id, member.parent_run_id) == ("desk", "writer", team.run_id)
    assert agno("sessions", "list", "--team", "desk", "-o", "ids").out == "s\n"


def test_members_use_their_own_models_and_tools(agno: Agno, serve: Serve, configured: Any) -> None:
    given = {"member_id": "shop", "task": "buy"}
    server = serve(
        asks("delegate_task_to_member", **given), asks(), Answer("Bought."), Answer("Done.")
    )
    configured(TEAM, server)
    ran = agno("chat", "--team", "desk", "-s", "s", "--approve", "auto", "please")
    assert ran.out == "Done.\n"
    assert [one["model"] for one in server.requests] == ["leader", "own", "own", "leader"]
    assert state(agno, "s") == {"items": ["milk"]}
    assert "Added milk" in ran.err


def test_a_team_is_led_with_the_flags(agno: Agno, serve: Serve, configured: Any) -> None:
    server = serve(Answer("Hi."))
    configured(TEAM, server)
    model = f"openai-like:flag@{server.base_url}"
    agno("chat", "--team", "desk", "-s", "s", "-m", model, "--system", "Be brief.", "hi")
    assert server.requests[0]["model"] == "flag"
    assert server.requests[0]["messages"][0]["content"].startswith("Be brief.\n\n<team>")


@pytest.fixture
def terminal(agno: Agno) -> Iterator[Open]:
    with terminals(agno) as start:
        yield start


@pytest.mark.parametrize(
    ("typed", "outcome"),
    [("y\r", "Added milk"), ("\r", "Error: the user did not allow this call; nothing was run.")],
    ids=["yes", "no"],
)
def test_on_a_terminal_the_user_is_asked(
    agno: Agno, serve: Serve, configured: Any, terminal: Open, typed: str, outcome: str
) -> None:
    server = serve(asks(), Answer("Done."))
    configured(AGENT, server)
    shown = terminal("-s", "s")
    shown.until_prompt()
    shown.send("buy milk\r")
    shown.until('Run add_item(item="milk")')
    shown.send(typed)
    shown.until("Done.")
    shown.until_prompt()
    shown.send(CTRL_D)
    assert shown.ended() == 0
    assert results(server) == [outcome]


def test_ctrl_c_at_the_question_stops_the_turn(
    agno: Agno, serve: Serve, configured: Any, terminal: Open
) -> None:
    configured(AGENT, serve(asks()))
    shown = terminal("-s", "s")
    shown.until_prompt()
    shown.send("buy milk\r")
    shown.until('Run add_item(item="milk")')
    shown.send(CTRL_C)
    shown.until("stopped")
    shown.until_prompt()
    shown.send(CTRL_D)
    assert shown.ended() == 0
    assert [run.status for run in agno.runs("s")] == ["CANCELLED"]
