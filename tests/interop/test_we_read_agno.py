"""What the real agno wrote is listed and inspected without a loss, and without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.run import RunStatus
from agnocli.testing.openai_server import Answer, Error, tool_call
from tests.interop.agno_env import FIRST_THREE, NEWEST
from tests.interop.conftest import Serve, Start
from tests.interop.sides import Ours, RealAgno, Talk, documents, folder, rows, run_rows, said


def stored_form(file: Path, session_id: str) -> dict[str, Any]:
    """The session dict as the stored columns have it."""
    (row,) = rows(file, "SELECT * FROM agno_sessions WHERE session_id = ?", session_id)
    runs = [codec.decode(run["run_data"]) for run in run_rows(file, session_id)]
    once = documents(row)
    return {**{name: _twice(value) for name, value in once.items()}, "runs": runs} | {
        name: row[name] for name in ("session_id", "agent_id", "team_id", "workflow_id", "user_id")
    }


def _twice(value: object) -> object:
    """Agno 3.0 encodes a session's columns twice, as agno 2 did."""
    return (
        codec.decode(value) if isinstance(value, str) and value.startswith(("{", "null")) else value
    )


def whole(ours: Ours, session_id: str) -> dict[str, Any]:
    """The session as JSON, which equals what is stored."""
    found: dict[str, Any] = ours.inspect(session_id)
    assert found == stored_form(ours.file, session_id)
    return found


def assert_all_on_the_page(ours: Ours, session_id: str) -> None:
    """Every message and tool is in the readable form."""
    page = ours("sessions", "inspect", session_id, "--tools", *ROLES)
    for text in texts(ours.inspect(session_id)["runs"]):
        for line in text.splitlines():
            assert line in page


def texts(runs: list[Any]) -> Iterator[str]:
    """All that was said, thought, called and returned."""
    for run in runs:
        for message in run.get("messages", ()):
            yield from (message.get("content", ""), message.get("reasoning_content", ""))
            yield from (call["function"]["name"] for call in message.get("tool_calls", ()))
        for tool in run.get("tools", ()):
            yield from (tool["tool_name"], tool["result"])
        yield from texts(run.get("step_executor_runs", []))


ROLES = [part for role in ("system", "user", "assistant", "tool") for part in ("--role", role)]


@pytest.mark.parametrize("release", [NEWEST, FIRST_THREE], ids=lambda release: release.version)
def test_runs_of_every_status_are_all_there(start: Start, ours: Ours, release: Any) -> None:
    with start(release) as agno:
        statuses = agno("kinds.statuses", str(ours.file), "s1")
    assert statuses == [status.value for status in RunStatus]
    found = whole(ours, "s1")
    assert_all_on_the_page(ours, "s1")
    assert [run["status"] for run in found["runs"]] == statuses
    row = ours.list()["s1"]
    assert (row["runs"], row["agent_id"], row["type"]) == (len(statuses), "helper", "agent")
    listed = ours.json("sessions", "list", "--status", statuses[-1])
    assert [one["session_id"] for one in listed] == ["s1"]
    page = ours("sessions", "inspect", "s1")
    for status in statuses:
        assert f"question of {status}" in page
        assert f"answer of {status}" in page


def test_of_its_statuses_only_the_finished_and_the_pending_go_to_a_model(
    agno: RealAgno, talk: Talk, ours: Ours, serve: Serve
) -> None:
    agno("kinds.statuses", str(ours.file), "s1")
    server = serve(Answer("Hello"))
    talk("s1", "Hi", at=server.base_url, history_runs=None)
    sent = [words for role, words in said(server.requests[0]) if role == "user"]
    assert sent == ["question of PENDING", "question of COMPLETED", "Hi"]
    # the one difference: agno would send what a dead process left RUNNING
    its = [words for role, words in agno("stored.history", str(ours.file), "s1") if role == "user"]
    assert its == ["question of PENDING", "question of RUNNING", "question of COMPLETED", "Hi"]


def test_everything_that_can_lie_in_a_session_is_shown(start: Start, ours: Ours) -> None:
    with start(NEWEST) as agno:
        agno("kinds.everything", str(ours.file), "s1")
    found = whole(ours, "s1")
    assert_all_on_the_page(ours, "s1")
    (run,) = found["runs"]
    assert found["session_data"]["session_state"] == {
        "items": ["milk", {"n": 2**70}],
        "empty": None,
    }
    assert found["summary"]["topics"] == ["tea"]
    assert found["metadata"] == {"tier": "gold", "tags": ["home"]}
    assert run["images"][0]["content"] == "iVBORw0KGgoA/w=="
    assert run["messages"][1]["images"][0]["content"] == run["images"][0]["content"]
    assert run["reasoning_steps"][0]["reasoning"] == "out of the window"
    page = ours("sessions", "inspect", "s1", "--state")
    for text in (
        "Everything ☕",
        "They spoke of tea.",
        "milk",
        "first I look",
        "Let me see.",
        "Köln",
        "5 °C",
        "no clock",
    ):
        assert text in page
    row = ours.list()["s1"]
    assert (row["name"], row["user_id"], row["runs"]) == ("Everything ☕", "alice", 1)
    assert [one["session_id"] for one in ours.json("sessions", "list", "--tag", "home")] == ["s1"]


HAIKU = tool_call("delegate_task_to_member", {"member_id": "writer", "task": "Write a haiku"})
TEAM_WORK = (
    Answer("", tool_calls=[HAIKU], finish_reason="tool_calls"),
    Answer("An old silent pond"),
    Answer("The writer wrote it"),
)


def test_a_team_and_its_members_are_shown_and_go_on_with_us(
    start: Start, ours: Ours, talk: Talk, serve: Serve
) -> None:
    server = serve(*TEAM_WORK, Answer("So it did"))
    with start(NEWEST) as agno:
        agno("kinds.team", str(ours.file), server.base_url, "t1", "A haiku, please")
    found = whole(ours, "t1")
    assert_all_on_the_page(ours, "t1")
    member, team = found["runs"]
    assert (member["agent_id"], member["parent_run_id"]) == ("writer", team["run_id"])
    row = ours.list()["t1"]
    assert (row["type"], row["team_id"], row["agent_id"], row["runs"]) == ("team", "desk", None, 2)
    page = ours("sessions", "inspect", "t1", "--tools")
    assert page.index("A haiku, please") < page.index("Write a haiku")
    talk("t1", "Did it?", at=server.base_url)
    words = [one["content"] for one in server.requests[3]["messages"]]
    assert words[0] == "A haiku, please"
    assert words[-2:] == ["The writer wrote it", "Did it?"]
    assert [run["run_index"] for run in run_rows(ours.file, "t1")] == [0, 1, 2]


def test_a_team_goes_on_after_us(agno: RealAgno, ours: Ours, talk: Talk, serve: Serve) -> None:
    server = serve(*TEAM_WORK, Answer("It did"), Answer("It surely did"))
    where = ("kinds.team", str(ours.file), server.base_url, "t1")
    agno(*where, "A haiku, please")
    talk("t1", "Did it?", at=server.base_url)
    agno(*where, "Surely?", add_history_to_context=True)
    last = [(role, words) for role, words in said(server.requests[4]) if role != "system"]
    assert last[0] == ("user", "A haiku, please")
    assert last[-3:] == [("user", "Did it?"), ("assistant", "It did"), ("user", "Surely?")]
    loaded = agno("stored.session", str(ours.file), "t1", session_type="team")
    assert loaded["class"] == "TeamSession"
    assert [run["run_id"] for run in loaded["runs"]] == [
        run["run_id"] for run in ours.inspect("t1")["runs"]
    ]
    assert [row["run_index"] for row in run_rows(ours.file, "t1")] == [0, 1, 2, 3]


@pytest.fixture
def article(start: Start, ours: Ours, serve: Serve) -> Ours:
    """A workflow of two steps has run as w1."""
    server = serve(Answer("Facts about tea"), Answer("An article on tea"))
    with start(NEWEST) as agno:
        agno("kinds.workflow", str(ours.file), server.base_url, "w1", "Write on tea")
    return ours


def test_a_workflow_is_listed_and_shown_with_what_it_made(article: Ours) -> None:
    (run,) = whole(article, "w1")["runs"]
    assert [step["content"] for step in run["step_results"]] == [
        "Facts about tea",
        "An article on tea",
    ]
    assert len(run["step_executor_runs"]) == 2
    row = article.list()["w1"]
    assert (row["type"], row["workflow_id"], row["agent_id"], row["runs"]) == (
        "workflow",
        "press",
        None,
        1,
    )
    page = article("sessions", "inspect", "w1")
    assert page.index("Write on tea") < page.index("An article on tea")


def test_what_the_steps_of_a_workflow_said_is_shown(article: Ours) -> None:
    assert_all_on_the_page(article, "w1")


def test_a_run_that_failed_in_agno_is_shown_with_its_error(
    start: Start, ours: Ours, talk: Talk, serve: Serve
) -> None:
    weather = tool_call("weather", {"city": "Rome"})
    server = serve(
        Error(400, "your prompt is too long"),
        Answer("", tool_calls=[weather], finish_reason="tool_calls"),
        Answer("I cannot tell"),
        Answer("Well"),
    )
    with start(NEWEST) as agno:
        agno(
            "agents.run",
            str(ours.file),
            server.base_url,
            "s1",
            ["Hi", "Weather?"],
            tools=["weather"],
        )
    found = whole(ours, "s1")
    assert_all_on_the_page(ours, "s1")
    assert [run["status"] for run in found["runs"]] == ["ERROR", "COMPLETED"]
    page = ours("sessions", "inspect", "s1", "--tools")
    assert "your prompt is too long" in page
    assert "no weather in Rome" in page
    talk("s1", "Go on", at=server.base_url)
    assert [role for role, _ in said(server.requests[3])] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]


def test_reading_leaves_its_file_as_it_was_to_the_byte(start: Start, ours: Ours) -> None:
    with start(NEWEST) as agno:
        agno("kinds.everything", str(ours.file), "s1")
        agno("kinds.statuses", str(ours.file), "s2")
    before = folder(ours.file)
    assert list(before) == [ours.file.name]
    for command in ("list", "list --all -o json", "inspect s1", "inspect s2 -o json"):
        ours("sessions", *command.split())
        assert folder(ours.file) == before, command


def test_reading_beside_a_running_agno_sees_all_it_wrote_and_changes_nothing(
    agno: RealAgno, ours: Ours, serve: Serve
) -> None:
    server = serve(Answer("Hello"))
    agno("agents.run", str(ours.file), server.base_url, "s1", ["Hi"])
    before = folder(ours.file)
    assert ours.inspect("s1")["runs"][0]["content"] == "Hello"
    assert ours.list()["s1"]["runs"] == 1
    after = folder(ours.file)
    locks = f"{ours.file.name}-shm"  # where readers note that they are there
    assert {**after, locks: ""} == {**before, locks: ""}
