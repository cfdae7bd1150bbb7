"""The real agno loads what we stored, whole, and treats it as its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.run import RunContent
from agnocli.testing.openai_server import Answer, CutOff, Error, Gate, tool_call
from tests.interop.agno_env import FIRST_THREE
from tests.interop.conftest import Serve
from tests.interop.sides import Ours, RealAgno, Talk, asking, documents, rows, run_rows, said

WORDS = [
    'Grüße ☕ "quoted" \\ {braces} $HOME $$ {{x}}',
    "two\nlines\r\nand\ttabs\n\n```py\nx = 1\n```",
    "NUL \x00, escape \x1b[2J, \u2028 separator, 𝒜stral",
    "x" * 100_000,
]


def as_agno_has_it(file: Path, session_id: str) -> list[dict[str, Any]]:
    """Our runs once agno has loaded them: as with its own, no events is an empty list and no tools is nothing."""
    found = [codec.decode(row["run_data"]) for row in run_rows(file, session_id)]
    assert [run.pop("tools") for run in found] == [[]] * len(found)
    return [{"events": [], **run} for run in found]


def test_it_loads_a_session_of_ours_with_every_value_in_it(
    agno_3: RealAgno, talk: Talk, file: Path, serve: Serve
) -> None:
    answers = [f"re: {words}" for words in WORDS]
    server = serve(*(Answer(one, usage=(10, 2), reasoning="hm") for one in answers))
    for words in WORDS:
        talk(
            "s1", words, at=server.base_url, user_id="alice", system="Be brief.", agent_id="helper"
        )
    loaded = agno_3("stored.session", str(file), "s1", user_id="alice")
    runs = loaded.pop("runs")
    assert loaded.pop("class") == "AgentSession"
    (row,) = rows(file, "SELECT * FROM agno_sessions")
    stored = documents(row)
    assert [stored.pop(one) for one in ("session_type", "team_data", "workflow_data")] == [
        "agent",
        None,
        None,
    ]
    assert loaded == stored
    assert loaded["session_data"]["session_metrics"]["total_tokens"] == 12 * len(WORDS)
    assert runs == as_agno_has_it(file, "s1")
    assert [run["status"] for run in runs] == ["COMPLETED"] * len(WORDS)
    assert agno_3("stored.history", str(file), "s1") == [
        [role, text]
        for pair in zip(WORDS, answers, strict=True)
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    assert agno_3.warnings == []


def test_what_the_command_line_stored_is_loaded_the_same(
    agno: RealAgno, ours: Ours, serve: Serve
) -> None:
    server = serve(Answer("Hello Alice", usage=(9, 2)))
    options = (
        "--name",
        "Tea",
        "--state",
        'items=["milk"]',
        "--user",
        "alice",
        "--system",
        "Be kind.",
    )
    assert ours.chat("s1", "I am Alice", at=server.base_url, arguments=options) == "Hello Alice"
    loaded = agno("stored.session", str(ours.file), "s1")
    assert loaded["runs"] == as_agno_has_it(ours.file, "s1")
    assert loaded["session_data"]["session_state"] == {"items": ["milk"]}
    assert loaded["runs"][0]["session_state"] == {"items": ["milk"]}
    assert loaded["runs"][0]["metrics"]["total_tokens"] == 11
    assert agno("agents.session_name", str(ours.file), "s1") == "Tea"
    assert agno.warnings == []


def test_it_finds_each_run_by_its_id(agno: RealAgno, talk: Talk, file: Path, serve: Serve) -> None:
    server = serve(Answer("one"), Answer("two"))
    ids = [talk("s1", words, at=server.base_url).run_id for words in ("a", "b")]
    assert [agno("stored.run", str(file), one)["content"] for one in ids] == ["one", "two"]


def stop_after_first_word(talk: Talk, at: str) -> None:
    conversation = talk.conversation("s1", at)
    for event in conversation.ask("stop me"):
        if isinstance(event, RunContent):
            conversation.stop()


def kill_while_it_speaks(ours: Ours, at: str, gate: Gate) -> None:
    command = ours.command("chat", *asking(at), "-s", "s1", "kill me")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ours.environment,
    )
    try:
        gate.wait()
    finally:
        process.kill()
        process.wait(60)


def test_turns_that_went_wrong_load_but_are_no_history_for_it(
    agno_3: RealAgno, talk: Talk, ours: Ours, serve: Serve
) -> None:
    held, never = Gate(), Gate()
    server = serve(
        Answer("first"),
        Answer(chunks=["half", held, "more"]),
        CutOff(chunks=["broken"]),
        Error(401, "no key"),
        Answer(chunks=["lost", never]),
        Answer("last"),
        Answer("continued"),
    )
    talk("s1", "good", at=server.base_url)
    stop_after_first_word(talk, server.base_url)
    for words in ("broken off", "refused"):
        assert talk("s1", words, at=server.base_url).status == "ERROR"
    kill_while_it_speaks(ours, server.base_url, never)
    assert talk.conversation("s1", server.base_url).recover().interrupted
    talk("s1", "good again", at=server.base_url)
    statuses = ["COMPLETED", "CANCELLED", "ERROR", "ERROR", "CANCELLED", "COMPLETED"]
    loaded = agno_3("stored.session", str(ours.file), "s1")
    assert [run["status"] for run in loaded["runs"]] == statuses
    stored = as_agno_has_it(ours.file, "s1")
    if agno_3.version == FIRST_THREE.version:  # knows no such key yet
        assert [run.pop("cancellation_stage", None) for run in stored].count("EXECUTING") == 2
    assert loaded["runs"] == stored
    assert [row["status"] for row in run_rows(ours.file, "s1")] == statuses
    history = [
        ["user", "good"],
        ["assistant", "first"],
        ["user", "good again"],
        ["assistant", "last"],
    ]
    assert agno_3("stored.history", str(ours.file), "s1") == history
    agno_3(
        "agents.run", str(ours.file), server.base_url, "s1", ["go on"], add_history_to_context=True
    )
    assert said(server.requests[-1]) == [*map(tuple, history), ("user", "go on")]
    assert agno_3.warnings == []


def test_a_tool_call_nobody_answered_does_not_spoil_its_next_prompt(
    agno: RealAgno, talk: Talk, file: Path, serve: Serve
) -> None:
    call = tool_call("weather", {"city": "Rome"})
    asked = Answer("", tool_calls=[call], finish_reason="tool_calls")
    server = serve(asked, Answer("No idea"), Answer("Well"))
    talk("s1", "Weather?", at=server.base_url)
    agno("agents.run", str(file), server.base_url, "s1", ["Well?"], add_history_to_context=True)
    roles = [(one["role"], one.get("tool_call_id")) for one in server.requests[-1]["messages"]]
    assert roles == [
        ("user", None),
        ("assistant", None),
        ("tool", call["id"]),
        ("assistant", None),
        ("user", None),
    ]


def test_a_new_name_is_seen_and_nothing_else_changed(
    agno: RealAgno, talk: Talk, ours: Ours, serve: Serve
) -> None:
    server = serve(Answer("Hello", usage=(1, 1)))
    talk("s1", "Hi", at=server.base_url, user_id="alice")
    before = agno("stored.session", str(ours.file), "s1")
    ours("sessions", "rename", "s1", "Grüße ☕")
    assert agno("agents.session_name", str(ours.file), "s1") == "Grüße ☕"
    after = agno("stored.session", str(ours.file), "s1")
    assert after["session_data"].pop("session_name") == "Grüße ☕"
    assert after.pop("updated_at") >= before.pop("updated_at")
    assert after == before


def test_a_session_of_its_own_is_renamed_without_another_change(
    agno: RealAgno, ours: Ours, serve: Serve
) -> None:
    server = serve(Answer("Hello", usage=(1, 1)))
    state = {"items": ["milk"]}
    agno("agents.run", str(ours.file), server.base_url, "s1", ["Hi"], session_state=state)
    before = agno("stored.session", str(ours.file), "s1")
    ours("sessions", "rename", "s1", "Tea")
    after = agno("stored.session", str(ours.file), "s1")
    assert after["session_data"] == {**before["session_data"], "session_name": "Tea"}
    assert after["runs"] == before["runs"]
    assert agno("agents.session_name", str(ours.file), "s1") == "Tea"


def test_what_was_deleted_cannot_be_loaded(
    agno: RealAgno, talk: Talk, ours: Ours, serve: Serve
) -> None:
    server = serve(Answer("one"), Answer("two"), Answer("three"))
    gone = talk("s1", "delete me", at=server.base_url)
    kept = talk("s2", "keep me", at=server.base_url)
    ours("sessions", "delete", "s1", "--yes")
    assert agno("stored.session", str(ours.file), "s1") is None
    assert agno("stored.run", str(ours.file), gone.run_id) is None
    assert agno("stored.session_ids", str(ours.file)) == ["s2"]
    assert agno("stored.run", str(ours.file), kept.run_id)["content"] == "two"
    agno("agents.run", str(ours.file), server.base_url, "s1", ["Hi"], add_history_to_context=True)
    assert said(server.requests[-1]) == [("user", "Hi")]
    assert [row["run_index"] for row in run_rows(ours.file, "s1")] == [0]


def test_a_users_session_goes_on_for_that_user_and_for_nobody_else(
    agno: RealAgno, ours: Ours, serve: Serve
) -> None:
    server = serve(Answer("Hello Alice"), Answer("Alice"), Answer("Still Alice"))
    ours.chat("s1", "I am Alice", at=server.base_url, arguments=("--user", "alice"))
    agno(
        "agents.run", str(ours.file), server.base_url, "s1", ["Who am I?"], user_id="alice", add_history_to_context=True
    )  # fmt: skip
    assert said(server.requests[1])[:2] == [("user", "I am Alice"), ("assistant", "Hello Alice")]
    assert agno("stored.session", str(ours.file), "s1", user_id="bob") is None
    before = rows(ours.file, "SELECT * FROM agno_sessions, agno_runs")
    refused = ours.run(
        "chat", *asking(server.base_url), "-s", "s1", "--user", "bob", "Hi", status=5
    )
    assert "alice" in refused.stderr
    assert rows(ours.file, "SELECT * FROM agno_sessions, agno_runs") == before
    ours.chat("s1", "Still?", at=server.base_url, arguments=("--user", "alice"))
    assert [row["user_id"] for row in run_rows(ours.file, "s1")] == ["alice"] * 3


@pytest.mark.parametrize("owner", ["alice", None])
def test_a_session_of_its_own_is_not_written_by_another_user(
    agno: RealAgno, ours: Ours, serve: Serve, owner: str | None
) -> None:
    server = serve(Answer("Hello"))
    agno("agents.run", str(ours.file), server.base_url, "s1", ["Hi"], user_id=owner)
    agno.close()
    before = rows(ours.file, "SELECT * FROM agno_sessions, agno_runs")
    ours.run("chat", *asking(server.base_url), "-s", "s1", "--user", "bob", "Hi", status=5)
    assert rows(ours.file, "SELECT * FROM agno_sessions, agno_runs") == before
