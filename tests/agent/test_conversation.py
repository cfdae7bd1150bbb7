"""The conversation loop: what is stored, when, and what is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.abc import Backend, ChatRequest, ModelEvent, ModelFinished
from agnocli.agent import runner
from agnocli.agent.owner import this_process
from agnocli.agent.runner import Conversation
from agnocli.agent.settings import ChatSettings
from agnocli.db.memory import MemoryDb
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import BackendError, ModelError, RunNotFoundError, SessionConflictError
from agnocli.messages import data
from agnocli.records import Run, Session, SessionBundle
from agnocli.run import RunContent, RunEnded, RunStarted
from agnocli.testing.openai_server import Error
from agnocli.testing.scripted_model import ScriptedModel

from .conftest import Serve, model_at


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with MemoryDb() if request.param == "memory" else SqliteDb(tmp_path / "a.db") as opened:
        yield opened


def talk(backend: Backend, model: ScriptedModel, **settings: Any) -> Conversation:
    return Conversation(backend, "s1", ChatSettings(model=model, **settings))


def said(conversation: Conversation, words: str, **options: Any) -> RunEnded:
    *_, last = conversation.ask(words, **options)
    assert isinstance(last, RunEnded)
    return last


def stored(backend: Backend, session_id: str = "s1") -> list[Run]:
    return list(backend.runs(session_id))


def contents(messages: Any) -> list[tuple[str, str]]:
    return [(one["role"], one["content"]) for one in messages]


def test_the_question_is_stored_before_the_model_is_called(backend: Backend) -> None:
    seen: list[Run] = []
    model = ScriptedModel([lambda: seen.extend(stored(backend)), "Hello"])
    said(talk(backend, model), "Hi")
    assert [run.status for run in seen] == ["RUNNING"]
    assert contents(data(seen[0])["messages"]) == [("user", "Hi")]


def test_partial_text_is_stored_while_the_model_is_still_speaking(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "FLUSH_SECONDS", 0.01)
    flushed, go_on = threading.Event(), threading.Event()
    put_run = backend.put_run

    def watched(run: Run) -> None:
        put_run(run)
        flushed.set()

    monkeypatch.setattr(backend, "put_run", watched)
    conversation = talk(backend, ScriptedModel(["Once upon", lambda: go_on.wait(60), " a time"]))
    partial: list[str] = []

    def look() -> None:
        if flushed.wait(60):
            partial.append(data(stored(backend)[0])["messages"][-1]["content"])
        go_on.set()

    watcher = threading.Thread(target=look)
    watcher.start()
    ended = said(conversation, "Tell")
    watcher.join(60)
    assert partial == ["Once upon"]
    assert ended.output.content == "Once upon a time"


def test_a_finished_turn_is_stored_as_agno_stores_one(backend: Backend) -> None:
    said(
        talk(backend, ScriptedModel(["Hello ", "Alice"]), system="Be brief.", user_id="u1"),
        "I am Alice",
    )
    (run,) = stored(backend)
    document = data(run)
    assert (run.status, run.run_index, run.user_id) == ("COMPLETED", 0, "u1")
    assert list(document) == [
        "run_id", "agent_id", "agent_name", "session_id", "user_id", "content", "content_type", "model",
        "model_provider", "session_state", "created_at", "status", "metrics", "messages", "tools", "input",
    ]  # fmt: skip
    assert contents(document["messages"]) == [
        ("system", "Be brief."),
        ("user", "I am Alice"),
        ("assistant", "Hello Alice"),
    ]
    assert document["input"] == {"input_content": "I am Alice"}


def test_past_turns_go_along_and_system_messages_of_theirs_do_not(backend: Backend) -> None:
    model = ScriptedModel(["one"], ["two"], ["three"])
    conversation = talk(backend, model, system="S")
    for words in ("a", "b", "c"):
        said(conversation, words)
    assert contents(model.requests[2].messages) == [
        ("system", "S"),
        ("user", "a"),
        ("assistant", "one"),
        ("user", "b"),
        ("assistant", "two"),
        ("user", "c"),
    ]


@pytest.mark.parametrize(("runs", "expected"), [(0, ["c"]), (1, ["b", "two", "c"])])
def test_history_is_as_long_as_asked(backend: Backend, runs: int, expected: list[str]) -> None:
    model = ScriptedModel(["one"], ["two"], ["three"])
    for words in ("a", "b", "c"):
        said(talk(backend, model, history_runs=runs), words)
    assert [one["content"] for one in model.requests[2].messages] == expected


def test_a_failed_turn_is_kept_with_its_partial_text_and_not_sent_again(backend: Backend) -> None:
    model = ScriptedModel(["half", ModelError("gone")], ["fine"])
    conversation = talk(backend, model)
    ended = said(conversation, "a")
    assert ended.error is not None
    assert (ended.output.status, ended.output.content) == ("ERROR", "half")
    (run,) = stored(backend)
    assert run.status == "ERROR"
    assert contents(data(run)["messages"]) == [("user", "a"), ("assistant", "half")]
    said(conversation, "b")
    assert contents(model.requests[1].messages) == [("user", "b")]


def test_a_failure_before_the_first_word_leaves_its_message_as_content(backend: Backend) -> None:
    said(talk(backend, ScriptedModel([ModelError("no such model")])), "a")
    assert data(stored(backend)[0])["content"] == "no such model"


def test_stopping_keeps_what_was_said(backend: Backend) -> None:
    stopped = threading.Event()
    conversation = talk(backend, ScriptedModel(["half", lambda: stopped.wait(60), " more"]))
    for event in conversation.ask("a"):
        if isinstance(event, RunContent):
            conversation.stop()
        if isinstance(event, RunEnded):
            ended = event
    stopped.set()
    assert (ended.output.status, ended.output.content) == ("CANCELLED", "half")
    (run,) = stored(backend)
    assert (run.status, data(run)["cancellation_stage"]) == ("CANCELLED", "EXECUTING")
    assert contents(data(run)["messages"]) == [("user", "a"), ("assistant", "half")]


def test_stopping_does_not_wait_out_the_pause_before_a_retry(
    backend: Backend, serve: Serve
) -> None:
    server = serve(Error(503, "busy", headers={"retry-after": "50"}))
    conversation = Conversation(backend, "s1", ChatSettings(model=model_at(server)))

    def stop() -> None:
        server.wait_for_requests(1)
        conversation.stop()

    threading.Thread(target=stop).start()
    started = time.monotonic()
    assert said(conversation, "a").output.status == "CANCELLED"
    assert time.monotonic() - started < 40


def test_an_answer_that_nobody_listens_to_any_more_is_stored_as_stopped(backend: Backend) -> None:
    events = talk(backend, ScriptedModel(["half", " more"])).ask("a")
    assert isinstance(next(events), RunStarted)
    assert next(events) == RunContent("half")
    events.close()
    (run,) = stored(backend)
    assert run.status == "CANCELLED"
    assert data(run)["messages"][-1]["content"] == "half"


def test_an_answer_cut_at_the_limit_is_marked(backend: Backend) -> None:
    ended = said(talk(backend, ScriptedModel(["long", ModelFinished(reason="length")])), "a")
    assert ended.output.finish_reason == "length"
    assert data(stored(backend)[0])["metadata"] == {"agnocli": {"finish_reason": "length"}}


def test_a_failing_write_reaches_the_caller_and_nothing_pretends_to_be_stored(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: Run) -> None:
        raise BackendError("the disk is full")

    monkeypatch.setattr(backend, "put_run", full)
    with pytest.raises(BackendError, match="full"):
        said(talk(backend, ScriptedModel(["x"])), "a")
    assert [run.status for run in stored(backend)] == ["RUNNING"]


def test_a_session_deleted_meanwhile_is_an_error_and_does_not_come_back(backend: Backend) -> None:
    conversation = talk(backend, ScriptedModel([lambda: backend.delete(["s1"]), "x"]))
    with pytest.raises(RunNotFoundError):
        said(conversation, "a")
    assert conversation.stored() is None


@pytest.mark.parametrize(("owner", "user"), [("alice", "bob"), (None, "bob")])
def test_another_users_session_is_not_written(
    backend: Backend, owner: str | None, user: str
) -> None:
    said(talk(backend, ScriptedModel(["x"]), user_id=owner), "a")
    before = stored(backend)
    with pytest.raises(SessionConflictError):
        said(talk(backend, ScriptedModel(["y"]), user_id=user), "b")
    assert stored(backend) == before


def test_a_workflows_session_is_not_written(backend: Backend) -> None:
    workflow = Session(session_id="s1", session_type="workflow", workflow_id="w", created_at=1)
    backend.write([SessionBundle(workflow, ())])
    with pytest.raises(SessionConflictError, match="workflow"):
        said(talk(backend, ScriptedModel(["y"])), "b")
    assert stored(backend) == []


def test_a_model_that_cannot_even_be_opened_leaves_a_failed_turn(backend: Backend) -> None:
    class Broken(ScriptedModel):
        def stream(self, request: ChatRequest) -> Iterator[ModelEvent]:
            raise ModelError("no client")

    ended = said(talk(backend, Broken()), "a")
    assert ended.output.status == "ERROR"
    assert [run.status for run in stored(backend)] == ["ERROR"]


def test_who_names_no_user_goes_on_as_the_owner(backend: Backend) -> None:
    said(talk(backend, ScriptedModel(["x"]), user_id="alice"), "a")
    said(talk(backend, ScriptedModel(["y"])), "b")
    assert [run.user_id for run in stored(backend)] == ["alice", "alice"]


def test_tokens_of_all_turns_are_counted_into_the_session(backend: Backend) -> None:
    conversation = talk(backend, ScriptedModel(["x"], ["y"]))
    said(conversation, "a")
    said(conversation, "b")
    metrics = codec.members(backend.get("s1").session_data)["session_metrics"]
    assert metrics == {
        "input_tokens": 6,
        "output_tokens": 4,
        "total_tokens": 10,
        "details": {
            "model": [
                {"input_tokens": 6, "output_tokens": 4, "total_tokens": 10, "id": "scripted", "provider": "Tests"}
            ]
        },
    }  # fmt: skip


def test_state_written_by_another_program_during_a_turn_survives_it(backend: Backend) -> None:
    def edit() -> None:
        from agnocli.edit import edit_members

        edit_members(backend, "s1", "session_data", lambda _: {"session_name": "theirs"})

    said(talk(backend, ScriptedModel(["x", edit])), "a")
    document = codec.members(backend.get("s1").session_data)
    assert document["session_name"] == "theirs"
    assert document["session_metrics"]["total_tokens"] == 5


def test_two_beginnings_of_one_session_both_keep_their_turn(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = talk(backend, ScriptedModel(["late"]))
    real = Conversation._create
    beaten: list[bool] = []

    def beaten_to_it(self: Conversation, *arguments: Any) -> bool:
        if self is late and not beaten:
            beaten.append(True)
            said(talk(backend, ScriptedModel(["early"])), "first")
        return real(self, *arguments)

    monkeypatch.setattr(Conversation, "_create", beaten_to_it)
    said(late, "second")
    assert [data(run)["content"] for run in stored(backend)] == ["early", "late"]
    assert [run.run_index for run in stored(backend)] == [0, 1]


def crashed(backend: Backend, owner: dict[str, Any] | None) -> None:
    """A session whose last turn never ended."""
    said(talk(backend, ScriptedModel(["fine"])), "a")
    (run,) = stored(backend)
    metadata = {"agnocli": {"owner": owner}} if owner else None
    document = {
        **data(run), "run_id": "r2", "status": "RUNNING", "metadata": metadata, "content": "half",
        "messages": [{"role": "user", "content": "b"}, {"role": "assistant", "content": "half"}],
    }  # fmt: skip
    backend.append_run(
        Run(
            run_id="r2", session_id="s1", agent_id="assistant", status="RUNNING", created_at=1,
            run_data=codec.encode(document),
        )
    )  # fmt: skip


DEAD = {**this_process(), "pid": 2**22 + 1}
REUSED = {**this_process(), "started": "another"}


@pytest.mark.parametrize("owner", [DEAD, REUSED], ids=["dead", "pid used again"])
def test_a_turn_of_a_dead_process_is_marked_interrupted_and_keeps_its_words(
    backend: Backend, owner: dict[str, Any]
) -> None:
    crashed(backend, owner)
    found = talk(backend, ScriptedModel()).recover()
    assert found.interrupted == ["r2"]
    run = stored(backend)[1]
    assert (run.status, run.run_index) == ("CANCELLED", 1)
    assert data(run)["status"] == "CANCELLED"
    assert data(run)["metadata"] == {"agnocli": {"interrupted": True}}
    assert contents(data(run)["messages"]) == [("user", "b"), ("assistant", "half")]


@pytest.mark.parametrize(
    "owner", [this_process(), {**DEAD, "host": "elsewhere"}, None], ids=["alive", "far", "unknown"]
)
def test_a_turn_that_may_still_be_running_is_left_alone(
    backend: Backend, owner: dict[str, Any] | None
) -> None:
    crashed(backend, owner)
    found = talk(backend, ScriptedModel()).recover()
    assert (found.interrupted, found.running) == ([], ["r2"])
    assert stored(backend)[1].status == "RUNNING"


@pytest.mark.parametrize("owner", [this_process(), DEAD, None])
def test_an_unfinished_turn_never_leaks_into_history(
    backend: Backend, owner: dict[str, Any] | None
) -> None:
    crashed(backend, owner)
    model = ScriptedModel(["ok"])
    said(talk(backend, model), "c")
    assert contents(model.requests[0].messages) == [
        ("user", "a"),
        ("assistant", "fine"),
        ("user", "c"),
    ]


def test_a_retried_turn_says_what_it_replaces(backend: Backend) -> None:
    first = said(talk(backend, ScriptedModel(["x"])), "a")
    said(talk(backend, ScriptedModel(["y"])), "a", replaces=first.output.run_id)
    assert data(stored(backend)[1])["regenerated_from"] == first.output.run_id
