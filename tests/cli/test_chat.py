"""One question, one answer: what is sent, what is printed where, and what is stored."""

from __future__ import annotations

import platform
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.records import SessionBundle
from agnocli.testing.openai_server import Answer, Reply, tool_call
from agnocli.testing.records import EPOCH, document, sample_bundle, sample_run, sample_session
from tests.cli.conftest import Agno, Serve, at, fingerprint, said

KEYS = ["session_id", "run_id", "content", "status", "model", "metrics", "tools"]


def echo(agno: Agno, *arguments: str, stdin: str | bytes = b"") -> Any:
    """The object of an answer by echo."""
    ran = agno("chat", "-m", "echo", "-o", "json", *arguments, stdin=stdin)
    assert ran.status == 0, ran.err
    return ran.json


def data(agno: Agno, session_id: str, number: int = -1) -> Any:
    return codec.decode(agno.runs(session_id)[number].run_data)


# what is said


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (["hello"], "", "hello"),
        ([], "from a pipe\n", "from a pipe"),
        (["sum up"], "line 1\nline 2\n", "sum up\n\nline 1\nline 2"),
        ([], "grüße 😀 \0 nul", "grüße 😀 \0 nul"),
        (["--", "-m"], "", "-m"),
    ],
)
def test_prompt_and_stdin_are_said_together(
    agno: Agno, serve: Serve, arguments: list[str], stdin: str, words: str
) -> None:
    server = serve(Answer("fine"))
    ran = agno("chat", *at(server), "-s", "s", *arguments, stdin=stdin)
    assert (ran.status, ran.out) == (0, "fine\n")
    assert said(server.requests[0]) == [("user", words)]
    assert data(agno, "s")["input"] == {"input_content": words}


def test_files_are_added_with_their_names(agno: Agno, serve: Serve) -> None:
    (agno.home / "notes.txt").write_text("buy milk\n")
    server = serve(Answer("ok"))
    agno("chat", *at(server), "what?", "-f", str(agno.home / "notes.txt"), stdin="and this")
    ((_, words),) = said(server.requests[0])
    assert words == 'what?\n\nand this\n\n<file name="notes.txt">\nbuy milk\n\n</file>'


@pytest.mark.parametrize("stdin", [b"", b"\n \n"])
def test_nothing_to_say_is_an_error_and_stores_nothing(agno: Agno, stdin: bytes) -> None:
    assert agno("chat", "-m", "echo", stdin=stdin).error == (2, "nothing to ask")
    assert fingerprint(agno.home) == {}


# which session


def test_an_unknown_session_is_started_and_that_is_said(agno: Agno) -> None:
    ran = agno("chat", "-m", "echo", "-s", "demo", "hi")
    assert ran.err.startswith("no session 'demo' yet: starting it\n")
    assert "session demo" not in ran.err.splitlines()
    assert agno.session_ids() == ["demo"]


def test_a_stored_session_goes_on(agno: Agno) -> None:
    echo(agno, "-s", "demo", "one")
    ran = agno("chat", "-m", "echo", "-s", "demo", "two")
    assert "starting" not in ran.err
    assert [run.run_index for run in agno.runs("demo")] == [0, 1]
    assert 'held 1 turn; the first began: "one"' in ran.out


@pytest.mark.parametrize("reference", ["Morning tea", "demo-", "@last"])
def test_a_session_can_be_gone_on_with_by_name_prefix_or_last(agno: Agno, reference: str) -> None:
    agno.store(sample_bundle("other", updated_at=EPOCH - 9))
    echo(agno, "-s", "demo-1", "--name", "Morning tea", "one")
    ran = agno("chat", "-m", "echo", "-s", reference, "two")
    assert ran.err.startswith("going on with session demo-1\n")
    assert len(agno.runs("demo-1")) == 2


def test_an_ambiguous_session_is_refused_with_the_candidates(agno: Agno) -> None:
    agno.store(sample_bundle("demo-1"), sample_bundle("demo-2"))
    before = fingerprint(agno.home)
    ran = agno("chat", "-m", "echo", "-s", "demo-", "hi")
    assert ran.error == (4, "'demo-' means more than one session")
    assert ran.hint == "give one of: demo-1, demo-2"
    assert fingerprint(agno.home) == before


def test_continue_takes_the_latest(agno: Agno) -> None:
    agno.store(sample_bundle("old", updated_at=EPOCH), sample_bundle("new", updated_at=EPOCH + 1))
    assert echo(agno, "-c", "hi")["session_id"] == "new"
    assert echo(agno, "-c", "again")["session_id"] == "new"


def test_continue_takes_the_users_own_latest(agno: Agno) -> None:
    agno.store(
        sample_bundle("hers", updated_at=EPOCH),
        sample_bundle("his", updated_at=EPOCH + 1, user_id="bob"),
    )
    assert echo(agno, "-c", "hi", "-u", "alice")["session_id"] == "hers"
    ran = agno("chat", "-m", "echo", "-c", "hi", "-u", "carol")
    assert ran.error == (3, "no session '@last'")
    assert "'carol'" in ran.hint


@pytest.mark.parametrize("arguments", [["-c"], ["-s", "@last"]])
def test_without_a_session_there_is_no_latest(agno: Agno, arguments: list[str]) -> None:
    assert agno("chat", "-m", "echo", "hi", *arguments).error[0] == 3
    assert not agno.database.exists()


def test_session_and_continue_exclude_each_other(agno: Agno) -> None:
    ran = agno("chat", "-m", "echo", "-s", "x", "-c", "hi")
    assert (ran.status, ran.out) == (2, "")
    assert not agno.database.exists()


def test_a_generated_id_is_said_on_stderr_and_can_be_given_again(agno: Agno) -> None:
    ran = agno("chat", "-m", "echo", "hi")
    (line,) = [one for one in ran.err.splitlines() if one.startswith("session ")]
    session_id = line.removeprefix("session ")
    assert agno.session_ids() == [session_id]
    assert echo(agno, "-s", session_id, "again")["session_id"] == session_id


# whose session


@pytest.mark.parametrize("owner", ["bob", None])
def test_another_users_session_is_refused_and_nothing_is_written(
    agno: Agno, serve: Serve, owner: str | None
) -> None:
    agno.store(sample_bundle("his", user_id=owner))
    before = fingerprint(agno.home)
    server = serve()
    ran = agno(
        *["chat", *at(server), "-s", "his", "-u", "alice", "hi"],
        *["--name", "Mine", "--state", "x=1"],
    )
    assert ran.error[0] == 5
    assert fingerprint(agno.home) == before
    assert server.requests == []


def test_a_user_owns_the_session_and_its_runs(agno: Agno) -> None:
    echo(agno, "-s", "mine", "-u", "alice", "hi")
    assert agno.rows("SELECT user_id FROM agno_sessions") == [("alice",)]
    assert agno.rows("SELECT user_id FROM agno_runs") == [("alice",)]
    assert echo(agno, "-s", "mine", "-u", "alice", "again")["status"] == "COMPLETED"


# what is sent


def test_the_system_prompt_goes_first_and_only_once(agno: Agno, serve: Serve) -> None:
    server = serve(Answer("1"), Answer("2"))
    for words in ("one", "two"):
        agno("chat", *at(server), "-s", "s", "--system", "be brief", words)
    assert said(server.requests[1]) == [
        ("system", "be brief"),
        ("user", "one"),
        ("assistant", "1"),
        ("user", "two"),
    ]


@pytest.mark.parametrize(
    ("history", "expected"), [("0", []), ("1", [2]), ("2", [1, 2]), ("99", [0, 1, 2])]
)
def test_history_says_how_many_turns_go_along(
    agno: Agno, serve: Serve, history: str, expected: list[int]
) -> None:
    agno.store(sample_bundle("s", runs=3))
    server = serve(Answer("ok"))
    agno("chat", *at(server), "-s", "s", "--history", history, "now")
    past = [(f"question {n}", f"answer {n}") for n in expected]
    assert [text for _, text in said(server.requests[0])] == [*sum(past, ()), "now"]


def test_five_turns_go_along_unless_said_otherwise(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("s", runs=9))
    server = serve(Answer("ok"))
    agno("chat", *at(server), "-s", "s", "now")
    assert said(server.requests[0])[0] == ("user", "question 4")
    assert len(server.requests[0]["messages"]) == 11


@pytest.mark.parametrize("status", ["ERROR", "CANCELLED", "PAUSED", "REGENERATED", "RUNNING"])
def test_a_turn_that_did_not_end_well_is_not_sent_again(
    agno: Agno, serve: Serve, status: str
) -> None:
    runs = [sample_run("s", 0), sample_run("s", 1, status=status), sample_run("s", 2)]
    agno.store(SessionBundle(sample_session("s"), runs))
    server = serve(Answer("ok"))
    agno("chat", *at(server), "-s", "s", "now")
    words = [text for _, text in said(server.requests[0])]
    assert words == ["question 0", "answer 0", "question 2", "answer 2", "now"]


def test_no_stream_asks_for_one_piece(agno: Agno, serve: Serve) -> None:
    server = serve(Answer("whole", usage=(3, 4)), Answer("pieces"))
    assert agno("chat", *at(server), "--no-stream", "hi").out == "whole\n"
    assert agno("chat", *at(server), "hi").out == "pieces\n"
    assert [bool(one.get("stream")) for one in server.requests] == [False, True]


def test_an_address_can_be_given_apart(agno: Agno, serve: Serve) -> None:
    server = serve(Answer("there"))
    ran = agno("chat", "-m", "openai-like:m", "--base-url", server.base_url, "hi")
    assert ran.out == "there\n"
    assert server.requests[0]["model"] == "m"


# what is kept


def test_a_name_is_given_to_a_new_session_and_to_a_stored_one(agno: Agno) -> None:
    echo(agno, "-s", "s", "--name", "First", "hi")
    assert agno("sessions", "list", "-o", "json").json[0]["name"] == "First"
    echo(agno, "-s", "s", "--name", "Second", "hi")
    assert agno("sessions", "list", "-o", "json").json[0]["name"] == "Second"


def test_state_is_set_and_merged(agno: Agno) -> None:
    echo(agno, "-s", "s", "--state", 'items=["milk"]', "--state", "n=1180591620717411303424", "hi")
    echo(agno, "-s", "s", "--state", "n=2", "--state", "new=null", "again")
    found = agno("sessions", "inspect", "s", "-o", "json").json["session_data"]["session_state"]
    assert found == {"items": ["milk"], "n": 2, "new": None}


@pytest.mark.parametrize("state", ["items", "=1", "items=[", "name=bob"])
def test_a_state_that_is_no_json_is_an_error(agno: Agno, state: str) -> None:
    ran = agno("chat", "-m", "echo", "--state", state, "hi")
    assert ran.error[0] == 2
    assert not agno.database.exists()


def test_no_save_writes_nothing(agno: Agno) -> None:
    found = echo(agno, "--no-save", "hi")
    assert found["status"] == "COMPLETED"
    assert fingerprint(agno.home) == {}


def test_no_save_goes_on_with_a_stored_session_and_leaves_it_as_it_is(
    agno: Agno, serve: Serve
) -> None:
    agno.store(sample_bundle("s", runs=3, name="Tea"))
    before = fingerprint(agno.home)
    server = serve(Answer("ok"), Answer("ok"))
    for reference in (["-s", "Tea"], ["-c"]):
        ran = agno("chat", *at(server), *reference, "--no-save", "--history", "1", "now")
        assert ran.status == 0
        assert "starting" not in ran.err
        assert fingerprint(agno.home) == before
    for request in server.requests:
        assert [text for _, text in said(request)] == ["question 2", "answer 2", "now"]


def test_no_save_stays_out_of_a_backend_that_is_called_memory(agno: Agno) -> None:
    agno.configure('[backends.memory]\ntype = "sqlite"\ndb_file = "kept.db"\n')
    echo(agno, "--no-save", "hi")
    assert set(fingerprint(agno.home)) == {"config/agno/config.toml"}


def test_a_dry_run_shows_what_would_be_sent(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("s"))
    before = fingerprint(agno.home)
    server = serve()
    found = agno("chat", *at(server), "-s", "s", "--system", "brief", "-n", "-o", "json", "now")
    texts = [one["content"] for one in found.json["messages"]]
    assert texts == ["brief", "question 0", "answer 0", "question 1", "answer 1", "now"]
    assert found.json["session_id"] == "s"
    assert agno("chat", *at(server), "-s", "s", "-n", "now").lines[-1] == "user: now"
    assert fingerprint(agno.home) == before
    assert server.requests == []


# what is printed


def test_the_answer_alone_is_on_stdout(agno: Agno, serve: Serve) -> None:
    server = serve(Answer("# Title\n\n* an *answer*\n\n", usage=(3, 4)))
    ran = agno("chat", *at(server), "--usage", "-v", "hi")
    assert ran.out == "# Title\n\n* an *answer*\n"
    assert "3 input + 4 output tokens" in ran.err
    assert f"configuration: built-in defaults\nbackend default: {agno.database}\n" in ran.err


def test_quiet_leaves_the_answer(agno: Agno) -> None:
    ran = agno("chat", "-m", "echo", "-q", "hi")
    assert ran.err == ""
    assert ran.out.startswith("I am echo")


def test_usage_says_when_nobody_counted(agno: Agno, serve: Serve) -> None:
    assert "tokens unknown" in agno("chat", *at(serve(Answer("x"))), "--usage", "hi").err


@pytest.mark.parametrize("text", ["\x1b]52;c;aGk=\x07 \x1b[2J", "a\r\nb\n\n", "", "no end"])
def test_raw_is_the_answers_characters_and_otherwise_escapes_are_shown(
    agno: Agno, serve: Serve, text: str
) -> None:
    server = serve(Answer(text), Answer(text))
    raw = agno("chat", *at(server), "--raw", "hi").out
    assert raw == (text if text.endswith("\n") or not text else text + "\n")
    assert "\x1b" not in agno("chat", *at(server), "hi").out


def test_json_is_exactly_the_promised_object(agno: Agno, serve: Serve) -> None:
    call = tool_call("add", {"x": 2**70})
    asked = Answer("hi 😀", usage=(3, 4), tool_calls=[call], finish_reason="tool_calls")
    server = serve(asked, Answer(""))
    ran = agno("chat", *at(server), "-s", "s", "-o", "json", "hi")
    found = ran.json
    assert list(found) == KEYS
    assert (found["session_id"], found["content"], found["model"]) == ("s", "hi 😀", "m")
    assert found["status"] == "COMPLETED"
    assert found["metrics"]["input_tokens"] == 3
    assert found["metrics"]["total_tokens"] == 7
    assert (found["tools"][0]["tool_name"], found["tools"][0]["tool_args"]) == ("add", {"x": 2**70})
    assert found["tools"][0]["tool_call_error"] is True
    assert agno.runs("s")[0].run_id == found["run_id"]


def test_jsonl_ends_with_that_object(agno: Agno, serve: Serve) -> None:
    server = serve(Answer(chunks=["one ", "two\n"], reasoning="hm"))
    ran = agno("chat", *at(server), "-s", "s", "-o", "jsonl", "hi")
    events = [codec.decode(line) for line in ran.lines]
    assert [one.get("event") for one in events[:-1]] == [
        "RunStarted",
        "ReasoningContentDelta",
        "RunContent",
        "RunContent",
    ]
    assert list(events[-1]) == KEYS
    assert (
        "".join(one["content"] for one in events if one.get("event") == "RunContent")
        == (events[-1]["content"])
    )
    assert events[0]["run_id"] == events[-1]["run_id"]


def test_an_answer_that_was_cut_is_marked(agno: Agno, serve: Serve) -> None:
    server = serve(Answer("half an ans", finish_reason="length"))
    ran = agno("chat", *at(server), "-s", "s", "hi")
    assert ran.out == "half an ans\n"
    assert "cut off at the model's length limit" in ran.err
    assert "length" in str(data(agno, "s")["metadata"])


def test_the_question_is_stored_before_the_model_is_asked(agno: Agno, serve: Serve) -> None:
    def look(request: dict[str, Any]) -> Answer:
        (run,) = agno.runs("s")
        assert run.status == "RUNNING"
        assert data(agno, "s")["input"] == {"input_content": "are you there?"}
        assert said(request)[-1] == ("user", "are you there?")
        return Answer("yes")

    agno("chat", *at(serve(Reply(look))), "-s", "s", "are you there?")
    assert [run.status for run in agno.runs("s")] == ["COMPLETED"]


def test_a_killed_turn_is_marked_at_the_next_start_and_not_sent(agno: Agno, serve: Serve) -> None:
    gone = {"host": platform.node(), "pid": 2**22 + 1, "started": "1"}
    run = sample_run("s", 1, status="RUNNING")
    left = codec.decode(run.run_data) | {"metadata": {"agnocli": {"owner": gone}}}
    runs = [sample_run("s", 0), replace(run, run_data=document(left))]
    agno.store(SessionBundle(sample_session("s"), runs))
    server = serve(Answer("ok"))
    ran = agno("chat", *at(server), "-s", "s", "now")
    assert "the last answer was interrupted; what was said of it is kept" in ran.err
    assert [text for _, text in said(server.requests[0])] == ["question 0", "answer 0", "now"]
    assert [run.status for run in agno.runs("s")] == ["COMPLETED", "CANCELLED", "COMPLETED"]
    assert data(agno, "s", 1)["content"] == "answer 1"
