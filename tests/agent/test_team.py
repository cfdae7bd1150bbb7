"""Teams: who is asked, what is stored of it, what comes of the members' changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.abc import Backend, ChatRequest
from agnocli.agent import Agent
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import BackendError, ModelError, UsageError
from agnocli.messages import data
from agnocli.records import Run
from agnocli.run import RunContent, RunContext, RunEnded
from agnocli.team import Team
from agnocli.team.team import Team as TheSameTeam
from agnocli.testing.scripted_model import ScriptedModel

from .test_tools import asks, call, results, stopping

DELEGATE = "delegate_task_to_member"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Backend]:
    with SqliteDb(db_file=tmp_path / "a.db") as opened:
        yield opened


def gives(member: str, task: str = "write", call_id: str = "call_1") -> dict[str, Any]:
    return call(DELEGATE, call_id, member_id=member, task=task)


def desk(db: Backend | None, leader: ScriptedModel, *members: Agent, **settings: Any) -> Team:
    return Team(name="Help Desk", model=leader, members=members, db=db, **settings)


def contents(request: ChatRequest) -> list[tuple[object, object]]:
    return [(one["role"], one["content"]) for one in request.messages]


def test_both_places_hold_one_class() -> None:
    assert Team is TheSameTeam


def test_the_leader_hands_out_a_task_and_writes_the_answer(db: Backend) -> None:
    leader = ScriptedModel(asks(gives("writer", "Write it")), ["Here it is."])
    writer = ScriptedModel(["A text."])
    team = desk(db, leader, Agent(name="Writer", role="writes", model=writer))
    output = team.run("Please", session_id="s")
    assert output.content == "Here it is."
    assert results(leader) == ["A text."]
    assert contents(writer.requests[0]) == [
        ("system", "<your_role>\nwrites\n</your_role>"),
        ("user", "Write it"),
    ]
    system = str(leader.requests[0].messages[0]["content"])
    assert '<member id="writer" name="Writer">\nRole: writes\n</member>' in system


def test_runs_are_stored_as_agno_stores_them(db: Backend) -> None:
    leader = ScriptedModel(asks(gives("writer")), ["Done."])
    desk(db, leader, Agent(name="Writer", model=ScriptedModel(["Text."]))).run(
        "Please", session_id="s", user_id="u"
    )
    session = db.get("s")
    assert (session.session_type, session.team_id, session.agent_id) == ("team", "help-desk", None)
    assert codec.members(session.team_data) == {
        "name": "Help Desk",
        "team_id": "help-desk",
        "model": {"name": "ScriptedModel", "id": "scripted", "provider": "Tests"},
    }
    assert session.agent_data is None
    team, member = db.runs("s")
    assert (team.run_type, team.team_id, team.agent_id, team.parent_run_id) == (
        "team", "help-desk", None, None,
    )  # fmt: skip
    assert (member.run_type, member.agent_id, member.team_id) == ("agent", "writer", None)
    assert (member.parent_run_id, member.user_id, member.status) == (team.run_id, "u", "COMPLETED")
    assert (data(team)["team_name"], data(team)["member_responses"]) == ("Help Desk", [])
    assert data(team)["tools"][0]["child_run_id"] == member.run_id
    assert data(member)["parent_run_id"] == team.run_id
    metrics = codec.members(session.session_data)["session_metrics"]
    assert metrics["total_tokens"] == 15


def test_a_routed_request_is_answered_by_its_member(db: Backend) -> None:
    leader = ScriptedModel(asks(gives("reader"), gives("writer", call_id="c2")))
    reader = Agent(name="Reader", model=ScriptedModel(["I ", "read."]))
    team = desk(db, leader, reader, Agent(name="Writer", model=ScriptedModel()), mode="route")
    events = list(team.run("Please", session_id="s", stream=True))
    said = "".join(one.content for one in events if isinstance(one, RunContent))
    assert said == "I read."
    assert isinstance(events[-1], RunEnded)
    assert events[-1].content == "I read."
    run = next(db.runs("s"))
    assert [one["role"] for one in data(run)["messages"]] == [
        "system", "user", "assistant", "tool", "tool",
    ]  # fmt: skip
    answered, refused = data(run)["messages"][3:]
    assert (answered["content"], answered["stop_after_tool_call"]) == ("I read.", True)
    assert refused["tool_call_error"] is True


def test_a_route_that_leads_nowhere_is_tried_again(db: Backend) -> None:
    leader = ScriptedModel(asks(gives("nobody")), asks(gives("writer", call_id="c2")))
    writer = Agent(name="Writer", model=ScriptedModel(["Text."]))
    output = desk(db, leader, writer, mode="route").run("Please", session_id="s")
    assert output.content == "Text."
    assert [one["tool_call_error"] for one in output.tools] == [True, False]


def test_a_broadcast_reaches_all_at_once_and_its_answers_come_together(db: Backend) -> None:
    meeting = threading.Barrier(2, timeout=60)
    members = [
        Agent(name=name, model=ScriptedModel([meeting.wait, f"{name} agrees"])) for name in "AB"
    ]
    leader = ScriptedModel(asks(call("delegate_task_to_members", task="vote")), ["Agreed."])
    output = desk(db, leader, *members, mode="broadcast").run("Vote", session_id="s")
    assert output.content == "Agreed."
    assert results(leader) == ["a: A agrees\n\nb: B agrees"]
    assert {run.agent_id for run in db.runs("s")} == {None, "a", "b"}


def test_a_members_words_are_told_with_its_name(db: Backend) -> None:
    leader = ScriptedModel(asks(gives("writer")), ["Done."])
    team = desk(db, leader, Agent(name="Writer", model=ScriptedModel(["Text."])))
    events = list(team.run("Please", session_id="s", stream=True))
    said = [one for one in events if isinstance(one, RunContent)]
    assert said == [RunContent("Text.", member="writer"), RunContent("Done.")]


def test_members_without_a_model_or_a_database_have_the_teams(db: Backend) -> None:
    shared = ScriptedModel(asks(gives("writer")), ["Text."], ["Done."])
    desk(db, shared, Agent(name="Writer")).run("Please", session_id="s")
    assert [run.status for run in db.runs("s")] == ["COMPLETED", "COMPLETED"]


def test_members_go_on_working_alone(db: Backend, tmp_path: Path) -> None:
    with SqliteDb(tmp_path / "own.db") as own:
        writer = Agent(name="Writer", model=ScriptedModel(["Text."], ["Alone."]), db=own)
        desk(db, ScriptedModel(asks(gives("writer")), ["Done."]), writer).run("Go", session_id="s")
        assert writer.run("And you?", session_id="mine").content == "Alone."
        assert [run.status for run in own.runs("mine")] == ["COMPLETED"]


def test_the_teams_next_turn_sees_its_own_turns_only(db: Backend) -> None:
    leader = ScriptedModel(asks(gives("writer")), ["Done."], ["Again."])
    team = desk(
        db,
        leader,
        Agent(name="Writer", model=ScriptedModel(["Text."])),
        add_history_to_context=True,
    )
    team.run("one", session_id="s")
    team.run("two", session_id="s")
    assert [role for role, _ in contents(leader.requests[2])] == [
        "system", "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip


def test_a_member_remembers_what_it_said_in_this_session_if_it_is_to(db: Backend) -> None:
    writer = ScriptedModel(["One."], ["Two."])
    leader = ScriptedModel(
        asks(gives("writer", "first")), ["Done."], asks(gives("writer", "second")), ["Done."]
    )
    team = desk(db, leader, Agent(name="Writer", model=writer, add_history_to_context=True))
    team.run("one", session_id="s")
    team.run("two", session_id="s")
    assert contents(writer.requests[1]) == [
        ("user", "first"),
        ("assistant", "One."),
        ("user", "second"),
    ]


def change(run_context: RunContext, name: str) -> str:
    state = run_context.session_state
    state.pop("old", None)
    state.setdefault("items", []).append(name)
    return "changed"


@pytest.mark.parametrize("mode", ["coordinate", "broadcast"])
def test_what_members_change_of_the_state_comes_together(db: Backend, mode: Any) -> None:
    members = [
        Agent(
            name=name, model=ScriptedModel(asks(call("change", name=name)), ["ok"]), tools=[change]
        )
        for name in "ab"
    ]
    if mode == "broadcast":
        asked = [call("delegate_task_to_members", task="go")]
    else:
        asked = [gives("a", call_id="c1"), gives("b", call_id="c2")]
    team = desk(
        db,
        ScriptedModel(asks(*asked), ["Done."]),
        *members,
        mode=mode,
        session_state={"old": 1, "kept": 2},
    )
    team.run("Go", session_id="s")
    assert team.get_session_state() == {"kept": 2, "items": ["a", "b"]}


def test_a_member_that_fails_is_reported_to_the_leader(db: Backend) -> None:
    leader = ScriptedModel(asks(gives("writer")), ["Sorry."])
    team = desk(db, leader, Agent(name="Writer", model=ScriptedModel([ModelError("gone")])))
    assert team.run("Please", session_id="s").content == "Sorry."
    assert results(leader) == ["Error: writer failed: gone"]
    assert [run.status for run in db.runs("s")] == ["COMPLETED", "ERROR"]


@pytest.mark.parametrize("mode", ["coordinate", "broadcast"])
def test_a_backend_that_fails_under_a_member_fails_the_run(
    db: Backend, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    append_run = db.append_run

    def full(run: Run) -> Run:
        if run.parent_run_id is not None:
            raise BackendError("the disk is full")
        return append_run(run)

    monkeypatch.setattr(db, "append_run", full)
    asked = gives("a") if mode == "coordinate" else call("delegate_task_to_members", task="x")
    team = desk(db, ScriptedModel(asks(asked)), Agent(name="A", model=ScriptedModel()), mode=mode)
    with pytest.raises(BackendError, match="full"):
        team.run("Go", session_id="s")
    assert [run.status for run in db.runs("s")] == ["ERROR"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (call(DELEGATE, member_id="nobody", task="x"), "no member 'nobody'; there are: writer"),
        (call(DELEGATE, member_id="writer"), "the task is missing"),
    ],
)
def test_a_task_for_nobody_is_reported_to_the_leader(
    db: Backend, asked: dict[str, Any], message: str
) -> None:
    leader = ScriptedModel(asks(asked), ["Sorry."])
    desk(db, leader, Agent(name="Writer", model=ScriptedModel())).run("Go", session_id="s")
    assert message in results(leader)[0]


def test_a_team_can_be_a_member(db: Backend) -> None:
    inner = Team(
        name="Inner",
        model=ScriptedModel(asks(gives("writer")), ["Inner done."]),
        members=[Agent(name="Writer", model=ScriptedModel(["Text."]))],
    )
    leader = ScriptedModel(asks(gives("inner")), ["Done."])
    outer = Team(name="Outer", model=leader, members=[inner], db=db)
    outer.run("Go", session_id="s")
    assert results(leader) == ["Inner done."]
    top, middle, low = db.runs("s")
    assert (middle.run_type, middle.parent_run_id) == ("team", top.run_id)
    assert (low.run_type, low.parent_run_id) == ("agent", middle.run_id)


def test_stopping_a_team_stops_the_member_at_work(db: Backend) -> None:
    speaking, go_on = threading.Event(), threading.Event()
    member = ScriptedModel(["half", speaking.set, lambda: go_on.wait(60), "more"])
    team = desk(db, ScriptedModel(asks(gives("writer"))), Agent(name="Writer", model=member))
    talk = team.conversation("s")
    stopper = stopping(talk, speaking)
    *_, ended = talk.ask("Go")
    stopper.join(60)
    go_on.set()
    assert isinstance(ended, RunEnded)
    assert ended.output.status == "CANCELLED"
    assert [run.status for run in db.runs("s")] == ["CANCELLED", "CANCELLED"]


@pytest.mark.parametrize(
    ("members", "message"),
    [([], "no members"), ([Agent(name="A"), Agent(name="a")], "one id")],
)
def test_a_team_that_cannot_work_is_refused(
    db: Backend, members: list[Agent], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Team(model=ScriptedModel(), members=members, db=db).run("Go", session_id="s")
