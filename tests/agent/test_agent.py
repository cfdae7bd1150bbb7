"""Agents as a library's user has them: run, listened to, looked at afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Backend, ModelFinished, ReasoningDelta
from agnocli.agent import Agent, advice
from agnocli.agent.owner import this_process
from agnocli.db.memory import MemoryDb
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import (
    ConfigError,
    ModelError,
    SessionConflictError,
    SessionNotFoundError,
    UsageError,
)
from agnocli.messages import data
from agnocli.run import ReasoningContent, RunContent, RunEnded, RunStarted, RunStatus
from agnocli.testing.scripted_model import ScriptedModel


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Backend]:
    with SqliteDb(db_file=tmp_path / "agents.db") as opened:
        yield opened


def contents(request: Any) -> list[tuple[str, str]]:
    return [(one["role"], one["content"]) for one in request.messages]


def test_one_session_id_is_one_conversation(db: Backend) -> None:
    model = ScriptedModel(["Hello Alice"], ["Alice"])
    agent = Agent(model=model, db=db, add_history_to_context=True, num_history_runs=5)
    agent.run("My name is Alice", session_id="s1")
    output = agent.run("What's my name?", session_id="s1")
    assert (output.content, output.status, output.session_id) == ("Alice", "COMPLETED", "s1")
    assert contents(model.requests[1]) == [
        ("user", "My name is Alice"),
        ("assistant", "Hello Alice"),
        ("user", "What's my name?"),
    ]


def test_without_the_flag_past_turns_are_stored_and_not_sent(db: Backend) -> None:
    model = ScriptedModel(["a"], ["b"])
    agent = Agent(model=model, db=db)
    agent.run("one", session_id="s1")
    agent.run("two", session_id="s1")
    assert contents(model.requests[1]) == [("user", "two")]
    assert len(list(db.runs("s1"))) == 2


def test_without_a_session_id_each_run_is_isolated(db: Backend) -> None:
    model = ScriptedModel(["a"], ["b"])
    agent = Agent(model=model, db=db, add_history_to_context=True)
    first, second = agent.run("one"), agent.run("two")
    assert first.session_id != second.session_id
    assert contents(model.requests[1]) == [("user", "two")]


def test_an_agents_own_session_id_is_used_when_a_run_names_none(db: Backend) -> None:
    agent = Agent(model=ScriptedModel(["a"]), db=db, session_id="mine")
    assert agent.run("one").session_id == "mine"


def test_without_a_database_a_session_lives_as_long_as_its_agent() -> None:
    model = ScriptedModel(["a"], ["b"])
    agent = Agent(model=model, add_history_to_context=True)
    agent.run("one", session_id="s")
    agent.run("two", session_id="s")
    assert [text for _, text in contents(model.requests[1])] == ["one", "a", "two"]
    assert len(agent.get_chat_history()) == 4
    other = Agent(model=ScriptedModel(["c"]))
    other.run("three")
    assert [one.content for one in other.get_chat_history()] == ["three", "c"]
    with pytest.raises(SessionNotFoundError):
        other.get_session_state("s")


def test_a_stream_gives_events_and_ends_with_the_whole(db: Backend) -> None:
    model = ScriptedModel([ReasoningDelta("hm"), "Hel", "lo"])
    first, *events, last = Agent(model=model, db=db).run("hi", session_id="s", stream=True)
    assert isinstance(first, RunStarted)
    assert events == [ReasoningContent("hm"), RunContent("Hel"), RunContent("lo")]
    assert isinstance(last, RunEnded)
    assert (last.event, last.content) == ("RunCompleted", "Hello")
    assert [one.event for one in (first, *events)] == [
        "RunStarted",
        "ReasoningContentDelta",
        "RunContent",
        "RunContent",
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_error_is_raised_after_the_turn_is_stored(db: Backend, stream: bool) -> None:
    agent = Agent(model=ScriptedModel(["half", ModelError("gone", hint="later")]), db=db)
    seen: list[Any] = []
    with pytest.raises(ModelError, match="gone"):
        if stream:
            seen.extend(agent.run("hi", session_id="s", stream=True))
        else:
            agent.run("hi", session_id="s")
    (run,) = db.runs("s")
    assert (run.status, data(run)["content"]) == ("ERROR", "half")


def test_the_last_event_comes_before_the_error(db: Backend) -> None:
    events = Agent(model=ScriptedModel([ModelError("gone")]), db=db).run("hi", stream=True)
    seen = []
    with pytest.raises(ModelError):
        for event in events:
            seen.append(event)
    assert isinstance(seen[-1], RunEnded)
    assert seen[-1].event == "RunError"


def test_what_nobody_foresaw_is_raised_after_the_turn_is_stored(db: Backend) -> None:
    agent = Agent(model=ScriptedModel(["half", ValueError("a mistake")]), db=db)
    with pytest.raises(ValueError, match="a mistake"):
        agent.run("hi", session_id="s")
    (run,) = db.runs("s")
    assert (run.status, data(run)["content"]) == ("ERROR", "half")
    assert data(run)["metadata"] == {"agnocli": {"error": "a mistake"}}


def test_another_users_session_is_refused(db: Backend) -> None:
    agent = Agent(model=ScriptedModel(["a"]), db=db)
    agent.run("hi", session_id="s", user_id="alice")
    with pytest.raises(SessionConflictError):
        agent.run("hi", session_id="s", user_id="bob")


def test_another_users_unfinished_turn_is_left_as_it_is(db: Backend) -> None:
    agent = Agent(model=ScriptedModel(["a"]), db=db)
    agent.run("hi", session_id="s", user_id="alice")
    (run,) = db.runs("s")
    dead = {"owner": {**this_process(), "pid": 2**22 + 1}}
    left = codec.patch(run.run_data, {"status": "RUNNING", "metadata": {"agnocli": dead}})
    db.put_run(replace(run, status="RUNNING", run_data=left))
    with pytest.raises(SessionConflictError):
        agent.run("hi", session_id="s", user_id="bob")
    assert [one.status for one in db.runs("s")] == ["RUNNING"]


def test_an_empty_session_id_is_an_error(db: Backend) -> None:
    with pytest.raises(UsageError):
        Agent(model=ScriptedModel(), db=db).run("hi", session_id="")


def test_an_unknown_setting_is_an_error() -> None:
    with pytest.raises(TypeError, match="colour"):
        Agent(colour="red")  # type: ignore[call-arg]


def test_a_model_that_cannot_be_had_is_an_error_before_anything_is_stored(
    db: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        Agent(model="openai:gpt-4o", db=db).run("hi", session_id="s")
    with pytest.raises(ConfigError, match="no provider"):
        Agent(model="gpt-4o", db=db).run("hi", session_id="s")


def test_the_system_message_is_made_of_what_the_agent_is_told(db: Backend) -> None:
    model = ScriptedModel(["a"])
    agent = Agent(
        model=model,
        db=db,
        description="A shop.",
        role="seller",
        instructions=["Be kind to {name}.", "Keep {{name}} and {unknown}."],
        markdown=True,
        expected_output="One line.",
        session_state={"name": "Alice"},
        add_session_state_to_context=True,
    )
    agent.run("{name} $$ {x}", session_id="s")
    (_, system), (_, user) = contents(model.requests[0])
    assert system == (
        "A shop.\n\n<your_role>\nseller\n</your_role>\n\n"
        "- Be kind to Alice.\n- Keep {name} and {unknown}.\n\n"
        "<additional_information>\n- Use markdown to format your answers.\n</additional_information>\n\n"
        "<expected_output>\nOne line.\n</expected_output>\n\n"
        '<session_state>\n{"name": "Alice"}\n</session_state>'
    )
    assert user == "{name} $$ {x}"


def test_what_was_said_can_be_read_back(db: Backend) -> None:
    agent = Agent(model=ScriptedModel(["A"], [ModelError("x")]), db=db, instructions="Be brief.")
    agent.run("one", session_id="s")
    with pytest.raises(ModelError):
        agent.run("two", session_id="s")
    said = [(one.role, one.content) for one in agent.get_chat_history("s")]
    assert said == [("user", "one"), ("assistant", "A"), ("user", "two")]
    assert [one.content for one in agent.get_chat_history("s", last_n_runs=1)] == ["two"]
    assert agent.get_session_state() == {}
    assert agent.get_session_summary() is None


def test_state_can_be_set_between_runs(db: Backend) -> None:
    agent = Agent(model=ScriptedModel(["A"]), db=db, session_state={"a": 1, "b": 2})
    agent.run("one", session_id="s")
    assert agent.update_session_state({"b": 3, "c": 4}) == {"a": 1, "b": 3, "c": 4}
    assert agent.get_session_state("s") == {"a": 1, "b": 3, "c": 4}


def test_before_a_run_there_is_no_session_to_look_at(db: Backend) -> None:
    with pytest.raises(UsageError, match="which session"):
        Agent(model=ScriptedModel(), db=db).get_session_state()


def test_a_failure_before_the_first_word_is_tried_again_as_often_as_said(db: Backend) -> None:
    busy = ModelError("busy", transient=True)
    agent = Agent(model=ScriptedModel([busy], ["fine"]), db=db, retries=1)
    assert agent.run("hi", session_id="s").content == "fine"
    (run,) = db.runs("s")
    assert [one["role"] for one in data(run)["messages"]] == ["user", "assistant"]
    lasting = Agent(model=ScriptedModel([ModelError("no")]), db=db, retries=3)
    with pytest.raises(ModelError):
        lasting.run("hi", session_id="s")


def test_a_stopped_run_is_stored_when_its_stream_is_left(db: Backend) -> None:
    events = Agent(model=ScriptedModel(["half", " more"]), db=db).run(
        "hi", session_id="s", stream=True
    )
    for event in events:
        if isinstance(event, RunContent):
            break
    events.close()  # type: ignore[attr-defined]
    (run,) = db.runs("s")
    assert (run.status, data(run)["content"]) == ("CANCELLED", "half")


def test_turns_left_out_for_want_of_tokens_are_told_of(db: Backend) -> None:
    model = ScriptedModel(["a" * 400], ["b"], ["c"])
    agent = Agent(model=model, db=db, add_history_to_context=True, max_history_tokens=100)
    agent.run("one", session_id="s")
    agent.run("two", session_id="s")
    output = agent.run("three", session_id="s")
    assert [text for _, text in contents(model.requests[2])] == ["two", "b", "three"]
    assert output.notices == ("1 older turn is left out, being too long to send",)


def test_messages_and_objects_can_be_said_too(db: Backend) -> None:
    model = ScriptedModel(["a"], ["b"])
    agent = Agent(model=model, db=db)
    agent.run(["one", "two"], session_id="s")
    agent.run({"n": 1}, session_id="s")
    assert [contents(one)[-1][1] for one in model.requests] == ["one\ntwo", '{\n  "n": 1\n}']


@pytest.mark.parametrize("stream", [False, True])
def test_a_printed_answer_is_on_stdout_and_a_new_sessions_id_on_stderr(
    db: Backend, capsys: pytest.CaptureFixture[str], stream: bool
) -> None:
    agent = Agent(model=ScriptedModel(["Hello ", "\x1b[31mAlice"], ["ok"]), db=db)
    agent.print_response("hi", stream=stream)
    out, err = capsys.readouterr()
    assert out == "Hello ␛[31mAlice\n"
    assert err == f"session {agent.last_session_id}\n"
    agent.print_response("hi", session_id="s", stream=stream)
    assert capsys.readouterr() == ("ok\n", "")


def test_a_printed_failure_is_raised(db: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent(model=ScriptedModel(["half", ModelError("gone")]), db=db)
    with pytest.raises(ModelError):
        agent.print_response("hi", session_id="s", stream=True)
    assert capsys.readouterr().out == "half\n"


def test_a_cut_answer_says_so_when_it_is_printed(
    db: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = Agent(model=ScriptedModel(["long", ModelFinished(reason="length")]), db=db)
    agent.print_response("hi", session_id="s")
    assert "cut off" in capsys.readouterr().err


# what is said once


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(advice, "_said", set())
    for name in ("AGNO_ENV", "APP_ENV", "ENVIRONMENT", "ENV", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)
    caplog.set_level(logging.WARNING, "agnocli")
    return lambda: [one.getMessage() for one in caplog.records]


def test_a_forgotten_history_flag_is_said_once(db: Backend, logged: Any) -> None:
    for _ in range(2):
        agent = Agent(name="Shop", model=ScriptedModel(["a"], ["b"]), db=db)
        agent.run("hi", session_id="s")
        agent.run("hi", session_id="s")
    (line,) = logged()
    assert line.startswith("agent 'shop': past turns are stored and not sent")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"add_history_to_context": True, "num_history_runs": 21}, "num_history_runs=21"),
        (
            {"add_history_to_context": True, "num_history_runs": 2, "num_history_messages": 3},
            "beside",
        ),
        (
            {
                "add_history_to_context": True,
                "num_history_runs": 3,
                "enable_session_summaries": True,
                "session_summary_num_runs": 5,
            },
            "session_summary_num_runs=4 closes the gap",
        ),
        (
            {
                "add_history_to_context": True,
                "session_state": {"a": {"api_key": "ghp_" + "a1B2" * 9}},
            },
            "session_state.a.api_key looks like a secret",
        ),
    ],
)
def test_what_is_likely_meant_otherwise_is_said(
    db: Backend, settings: dict[str, Any], expected: str
) -> None:
    (line,) = advice.advice(Agent(db=db, **settings), {})
    assert expected in line


def test_a_good_agent_hears_nothing(db: Backend) -> None:
    agent = Agent(db=db, add_history_to_context=True, session_state={"items": ["milk and honey"]})
    assert list(advice.advice(agent, {})) == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({"APP_ENV": "production"}, 1), ({"WEB_CONCURRENCY": "4"}, 1), ({"ENV": "test"}, 0)],
)
def test_sqlite_in_production_is_said(db: Backend, environ: dict[str, str], expected: int) -> None:
    agent = Agent(db=db, add_history_to_context=True)
    assert len(list(advice.advice(agent, environ))) == expected
    with MemoryDb() as memory:
        agent.db = memory
        assert list(advice.advice(agent, environ)) == []


def test_a_missing_session_id_is_said(db: Backend, logged: Any) -> None:
    Agent(model=ScriptedModel(["a"]), db=db, add_history_to_context=True).run("hi")
    (line,) = logged()
    assert "session_id=" in line


def test_the_status_of_an_output_is_agnos_word(db: Backend) -> None:
    output = Agent(model=ScriptedModel(["a"]), db=db).run("hi", session_id="s")
    assert output.status is RunStatus.COMPLETED
