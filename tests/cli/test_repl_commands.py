"""What begins with a slash."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import BackendUnavailableError
from agnocli.messages import data
from agnocli.testing.openai_server import Answer, Error
from tests.cli.conftest import Agno, Serve, at, said
from tests.cli.repl import (
    CTRL_D,
    HOME,
    Prompt,
    asked,
    turns,
)


@pytest.fixture
def prompt(agno: Agno, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(agno, capsys)


def test_new_starts_another_session_with_a_name(prompt: Prompt, agno: Agno) -> None:
    second = prompt("one", "/new Lisbon", "two")

    assert len(agno.session_ids()) == 2
    assert asked(agno, second) == ["two"]
    with SqliteDb(agno.database) as backend:
        assert codec.members(backend.get(second).session_data)["session_name"] == "Lisbon"
    assert "conversation held nothing" in prompt.out.split("two")[-1]


def test_switch_goes_on_with_another_session(prompt: Prompt, agno: Agno) -> None:
    first = prompt("one", name="Lisbon")

    prompt("two", "/switch Lisbon", "three")

    assert asked(agno, first) == ["one", "three"]
    assert "Lisbon · 1 run so far" in prompt.err
    assert f"resume: agno chat -s {first}" in prompt.err


def test_switching_renames_nothing_and_changes_no_state(prompt: Prompt, agno: Agno) -> None:
    first = prompt("one", name="Lisbon")

    prompt("two", f"/switch {first}", name="Porto", state={"items": [1]})

    with SqliteDb(agno.database) as backend:
        stored = codec.members(backend.get(first).session_data)
    assert (stored["session_name"], stored["session_state"]) == ("Lisbon", {})


def test_switching_to_no_session_stays_with_this_one(prompt: Prompt, agno: Agno) -> None:
    first = prompt("one", name="Lisbon")

    second = prompt("two", "/switch Lisbun", "three")

    assert "did you mean 'Lisbon'?" in prompt.err
    assert asked(agno, second) == ["two", "three"]
    assert asked(agno, first) == ["one"]


def test_switching_to_an_ambiguous_name_tells_the_sessions(prompt: Prompt, agno: Agno) -> None:
    one, two = prompt("one", name="Lisbon"), prompt("two", name="Lisbon")

    here = prompt("three", "/switch Lisbon", "four")

    assert one in prompt.err
    assert two in prompt.err
    assert asked(agno, here) == ["three", "four"]


def test_switching_to_a_session_of_another_user_is_refused(prompt: Prompt, agno: Agno) -> None:
    first = prompt("one", user="alice", session="hers")

    second = prompt("two", f"/switch {first}", "three", user="bob")

    assert "belongs to user 'alice'" in prompt.err
    assert asked(agno, first) == ["one"]
    assert asked(agno, second) == ["two", "three"]


def test_sessions_lists_those_that_match(prompt: Prompt) -> None:
    prompt("one", name="Lisbon")
    prompt("two", name="Porto")

    prompt("/sessions")
    assert "Lisbon" in prompt.out
    assert "Porto" in prompt.out

    prompt("/sessions port")
    assert "Lisbon" not in prompt.out
    assert "Porto" in prompt.out

    prompt("/sessions nowhere")
    assert "no session matches" in prompt.err


def test_rename_names_a_stored_session(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "/rename A trip to Lisbon")

    with SqliteDb(agno.database) as backend:
        data = codec.members(backend.get(session).session_data)
    assert data["session_name"] == "A trip to Lisbon"


def test_a_name_given_before_the_first_turn_is_stored_with_it(prompt: Prompt, agno: Agno) -> None:
    session = prompt("/rename Lisbon", "one")

    with SqliteDb(agno.database) as backend:
        assert codec.members(backend.get(session).session_data)["session_name"] == "Lisbon"


def test_history_shows_the_last_turns(prompt: Prompt) -> None:
    session = prompt("first question", "second question", "third question")

    prompt("/history 2", session=session)

    assert "first question" not in prompt.out.partition("second question")[0]
    assert prompt.out.count("user:") == 2


def test_tokens_are_those_the_provider_counted(prompt: Prompt, serve: Serve) -> None:
    server = serve(Answer("one", usage=(1200, 3)), Answer("two", usage=(5, 7)), Answer("three"))

    prompt("a", "b", "/tokens", model=at(server)[1])
    assert prompt.out.splitlines()[-2:] == [
        "last turn  5 in, 7 out, 12 together",
        "session    1,205 in, 10 out, 1,215 together",
    ]

    prompt("a", "/tokens", model=at(server)[1])
    assert prompt.out.splitlines()[-2:] == [
        "last turn  unknown: the provider did not count",
        "session    unknown: the provider did not count",
    ]


def test_the_model_is_another_from_the_next_turn_on(prompt: Prompt, serve: Serve) -> None:
    server = serve(Answer("Hello from afar."))

    prompt("one", f"/model {at(server)[1]}", "two", "/model")

    assert "Hello from afar." in prompt.out
    assert f"openai-like:m@{server.base_url}" in prompt.out
    assert said(server.requests[0])[0] == ("user", "one")


@pytest.mark.parametrize("bad", ["nope:x", "openai:gpt-4o-mini", "llama"])
def test_a_bad_model_is_an_error_and_the_old_one_stays(
    prompt: Prompt, agno: Agno, bad: str
) -> None:
    session = prompt(f"/model {bad}", "hello")

    assert "error:" in prompt.err
    assert turns(agno, session) == [("COMPLETED", "hello")]


def test_the_address_of_the_first_model_is_not_that_of_the_next(prompt: Prompt) -> None:
    prompt("/model echo", "hello", model="m", base_url="http://127.0.0.1:9/v1")

    assert "I am echo" in prompt.out


def test_a_system_prompt_is_set_shown_and_removed(prompt: Prompt, serve: Serve) -> None:
    server = serve(Answer("one"), Answer("two"))

    prompt("/system Be brief.", "a", "/system", "/system -", "b", model=at(server)[1])

    assert said(server.requests[0])[0] == ("system", "Be brief.")
    assert [role for role, _ in said(server.requests[1])] == ["user", "assistant", "user"]
    assert "Be brief.\n" in prompt.out


def test_retry_asks_again_and_hides_the_old_answer(
    prompt: Prompt, agno: Agno, serve: Serve
) -> None:
    server = serve(Answer("First."), Answer("Second."), Answer("Third."))

    session = prompt("hello", "/retry", "/retry", model=at(server)[1])

    assert [said(one) for one in server.requests] == [[("user", "hello")]] * 3
    first, second, third = agno.runs(session)
    assert [run.status for run in (first, second, third)] == [
        "REGENERATED",
        "REGENERATED",
        "COMPLETED",
    ]
    assert [data(run)["status"] for run in (first, second)] == ["REGENERATED"] * 2
    assert data(second)["regenerated_from"] == first.run_id
    assert data(third)["regenerated_from"] == second.run_id


def test_a_good_answer_stays_when_the_retry_fails(prompt: Prompt, agno: Agno, serve: Serve) -> None:
    server = serve(Answer("First."), Error(401, "no such key"), Answer("And on."), Answer("Again."))

    session = prompt("hello", "/retry", "go on", model=at(server)[1])

    assert [run.status for run in agno.runs(session)] == ["COMPLETED", "ERROR", "COMPLETED"]
    assert said(server.requests[2]) == [
        ("user", "hello"),
        ("assistant", "First."),
        ("user", "go on"),
    ]
    prompt("/retry", session=session, model=at(server)[1])
    assert said(server.requests[3]) == said(server.requests[2])


def test_a_retry_after_a_failed_retry_leaves_out_every_older_answer(
    prompt: Prompt, agno: Agno, serve: Serve
) -> None:
    server = serve(Answer("First."), Error(401, "no such key"), Answer("Third."))

    session = prompt("hello", "/retry", "/retry", model=at(server)[1])

    assert said(server.requests[2]) == [("user", "hello")]
    assert [run.status for run in agno.runs(session)] == [
        "REGENERATED",
        "REGENERATED",
        "COMPLETED",
    ]


@pytest.mark.parametrize("line", ["/retry", "/undo", "/tokens"])
def test_there_must_be_a_turn_to_work_on(prompt: Prompt, agno: Agno, line: str) -> None:
    prompt(line)

    assert "nothing has been said in this session yet" in prompt.err
    assert not agno.database.exists()


def test_undo_deletes_the_last_turn_and_puts_its_question_back(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "two", "/undo", "")

    assert "took back the last turn: two" in prompt.err
    assert asked(agno, session) == ["one", "two"]
    assert [run.run_index for run in agno.runs(session)] == [0, 1]
    assert prompt.out.count('You said: "two"') == 2


def test_typing_replaces_what_was_put_back(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "two", "/undo", "three", "/undo", "/tokens")

    assert asked(agno, session) == ["one"]


def test_what_was_put_back_can_be_edited(prompt: Prompt, agno: Agno) -> None:
    session = prompt.keys(f"one\r/undo\r{HOME}not \r{CTRL_D}")

    assert asked(agno, session) == ["not one"]


def test_a_text_with_a_slash_is_put_back_as_one(prompt: Prompt, agno: Agno) -> None:
    session = prompt("//etc/hosts", "/undo", "", "/undo", "//etc")

    assert asked(agno, session) == ["/etc"]
    assert "no command" not in prompt.err


def test_undo_takes_the_replaced_answers_of_a_turn_with_it(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "two", "/retry", "/undo")

    assert "took back the last turn (2 runs): two" in prompt.err
    assert turns(agno, session) == [("COMPLETED", "one")]


def test_undo_takes_the_members_of_a_turn_with_it(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "two")
    with SqliteDb(agno.database) as backend:
        *_, last = backend.runs(session)
        for number, parent in enumerate([last.run_id, "member-0"]):
            backend.append_run(
                msgspec.structs.replace(last, run_id=f"member-{number}", parent_run_id=parent)
            )

    prompt("/undo", session=session)

    assert asked(agno, session) == ["one"]


def test_a_turn_that_another_program_writes_is_left_alone(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one")
    with SqliteDb(agno.database) as backend:
        (run,) = backend.runs(session)
        owner = {"host": "elsewhere", "pid": 1, "started": None}
        changes = {"status": "RUNNING", "metadata": {"agnocli": {"owner": owner}}}
        document = codec.patch(run.run_data, changes)
        backend.put_run(msgspec.structs.replace(run, status="RUNNING", run_data=document))

    prompt("/undo", "/retry", session=session)

    assert prompt.err.count("is being answered by another program") == 2
    assert turns(agno, session) == [("RUNNING", "one")]


def test_a_model_error_keeps_the_question_and_puts_it_back(
    prompt: Prompt, agno: Agno, serve: Serve
) -> None:
    server = serve(Error(401, "no such key"), Answer("Good."))

    session = prompt("hello", "", model=at(server)[1])

    assert "no such key" in prompt.err
    assert "hint:" in prompt.err
    assert turns(agno, session) == [("ERROR", "hello"), ("COMPLETED", "hello")]


def test_a_failing_write_is_said_and_the_prompt_comes_back(
    prompt: Prompt, agno: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, fails = SqliteDb.append_run, iter([True])

    def append_run(self: SqliteDb, run: Any) -> Any:
        if next(fails, False):
            raise BackendUnavailableError("the disk is full", hint="free some space")
        return append(self, run)

    monkeypatch.setattr(SqliteDb, "append_run", append_run)
    session = prompt("one", "two", "")

    assert "error: the disk is full\nhint: free some space" in prompt.err
    assert asked(agno, session) == ["one", "two"]
