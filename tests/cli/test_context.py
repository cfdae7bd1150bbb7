"""`sessions context`: what the next request would send."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agnocli import codec
from agnocli.records import SessionBundle
from agnocli.testing.openai_server import Answer
from agnocli.testing.records import sample_run, sample_session
from tests.cli.conftest import Agno, Serve, at, fingerprint

TOOL = '''
def add_item(item: str, run_context=None) -> str:
    """Put something on the list.

    Args:
        item: What to buy.
    """
    return "done"
'''


@pytest.fixture
def configured(agno: Agno) -> Agno:
    """An agent with all that goes into a request, and a team with it."""
    agno.configure(
        """
        default_agent = "shop"
        [agents.shop]
        instructions = "You sell {what}."
        tools = ["shelf:add_item"]
        session_state = { what = "tea" }
        add_session_state_to_context = true
        enable_session_summaries = true
        session_summary_num_runs = 50
        num_history_runs = 2
        temperature = 0.5
        [agents.clerk]
        role = "knows prices"
        [teams.desk]
        members = ["clerk"]
        """
    )
    (agno.config.parent / "shelf.py").write_text(TOOL)
    return agno


def history(session_id: str = "tea") -> SessionBundle:
    hidden = [
        sample_run(session_id, 1, status="ERROR"),
        sample_run(session_id, 2, parent_run_id=f"{session_id}.run-3"),
    ]
    runs = [sample_run(session_id, 0), *hidden, *(sample_run(session_id, n) for n in range(3, 6))]
    summary = codec.encode({"summary": "They talked about tea."})
    return SessionBundle(sample_session(session_id, summary=summary), runs)


@pytest.mark.parametrize("who", [(), ("--team", "desk"), ("--history", "1"), ("--system", "Hi.")])
def test_it_is_exactly_what_the_next_chat_sends(
    configured: Agno, serve: Serve, who: tuple[str, ...]
) -> None:
    server = serve(Answer("Here."))
    model = at(server)
    configured.store(history())
    before = fingerprint(configured.home)

    found = configured("sessions", "context", "tea", "More?", *who, *model, "-o", "json").json
    assert fingerprint(configured.home) == before
    assert server.requests == []

    assert configured("chat", "More?", "-s", "tea", *who, *model).status == 0
    (sent,) = server.requests
    assert found["messages"] == sent["messages"]
    assert found["tools"] == sent["tools"]
    body = {"messages": found["messages"], "tools": found["tools"], "model": found["model"]}
    assert {**body, **found["options"]} == sent


def test_without_a_prompt_it_is_what_goes_before_one(configured: Agno) -> None:
    configured.store(history())

    found = configured("sessions", "context", "tea", "-m", "echo", "-o", "json").json

    assert [one["role"] for one in found["messages"]] == [
        "system",
        *("user", "assistant") * 2,
    ]
    assert found["sources"] == ["system", *["tea.run-4"] * 2, *["tea.run-5"] * 2]
    assert "You sell tea." in found["messages"][0]["content"]
    assert "They talked about tea." in found["messages"][0]["content"]


def test_what_is_left_out_is_told_with_the_reason(configured: Agno) -> None:
    configured.store(history())

    found = configured("sessions", "context", "tea", "-m", "echo", "-o", "json").json

    assert {one["reason"]: one["runs"] for one in found["left_out"]} == {
        "failed": 1,
        "a member's part of a turn": 1,
        "older than the last 2 turns": 2,
    }
    off = configured("sessions", "context", "tea", "-m", "echo", "--history", "0", "-o", "json")
    assert {"reason": "past turns are not sent: history is off", "runs": 4} in off.json["left_out"]


def test_turns_too_long_to_send_are_told_apart_from_old_ones(agno: Agno) -> None:
    agno.configure(
        'default_agent = "assistant"\n[agents.assistant]\n'
        "num_history_runs = 4\nmax_history_tokens = 40\n"
    )
    agno.store(history())

    left_out = agno("sessions", "context", "tea", "-m", "echo", "-o", "json").json["left_out"]

    assert {"reason": "too long: past turns may have 40 tokens", "runs": 2} in left_out


def test_tokens_are_estimated_for_each_message_and_in_all(configured: Agno) -> None:
    configured.store(history())

    tokens = configured("sessions", "context", "tea", "-m", "echo", "-o", "json").json["tokens"]

    assert len(tokens["messages"]) == 5
    assert tokens["tools"] > 20
    assert tokens["estimated"] == sum(tokens["messages"]) + tokens["tools"]


def test_people_read_it_message_by_message(configured: Agno) -> None:
    configured.store(history())

    ran = configured("sessions", "context", "tea", "Next?", "-m", "echo", "--short")

    assert [line.split()[:3] for line in ran.lines[1:6]] == [
        ["user", "turn", "5"],
        ["assistant", "turn", "5"],
        ["user", "turn", "6"],
        ["assistant", "turn", "6"],
        ["user", "next", "~9"],
    ]
    assert ran.lines[6].split()[:2] == ["tools", "1"]
    assert ran.lines[6].endswith("add_item")
    assert ran.lines[-3:] == [
        "      1 run left out: failed",
        "      1 run left out: a member's part of a turn",
        "      2 runs left out: older than the last 2 turns",
    ]
    assert "session is of 'assistant', and this is as 'shop' asks" in ran.err
    whole = configured("sessions", "context", "tea", "-m", "echo").out
    assert "<session_state>\n" in whole


def test_what_is_stored_cannot_steer_the_terminal(agno: Agno) -> None:
    evil = msgspec.structs.replace(sample_run("tea", 0), run_data=_said("\x1b]0;owned\x07"))
    agno.store(SessionBundle(sample_session("tea"), [evil]))

    assert "\x1b]" not in agno("sessions", "context", "tea", "-m", "echo").out


def _said(text: str) -> Any:
    return codec.encode({"run_id": "tea.run-0", "messages": [{"role": "user", "content": text}]})


def test_it_needs_no_model_and_says_so(agno: Agno) -> None:
    agno.store(history())

    ran = agno("sessions", "context", "tea", "-o", "json")

    assert ran.status == 0
    assert "no model is configured" in ran.err
    assert len(ran.json["messages"]) == 8


def test_an_unknown_session_has_no_context(agno: Agno) -> None:
    agno.store(history())

    assert agno("sessions", "context", "coffee", "-m", "echo").error == (3, "no session 'coffee'")


@pytest.mark.parametrize(
    "flags", [("--agent", "shop", "--team", "desk"), ("--model", ""), ("--user", " ")]
)
def test_flags_that_chat_refuses_are_refused(configured: Agno, flags: tuple[str, ...]) -> None:
    configured.store(history())
    assert configured("sessions", "context", "tea", *flags).error[0] == 2
