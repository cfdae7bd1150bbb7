"""Models and backends that fail: the status, the hint, and the turn that is kept."""

from __future__ import annotations

import contextlib
import resource
import socket
import sqlite3
from typing import Any

import pytest

from agnocli import codec
from agnocli.cli import chatting
from agnocli.db import sqlite
from agnocli.testing.openai_server import Answer, CutOff, Error
from agnocli.testing.records import sample_bundle
from tests.cli.conftest import Agno, Ran, Serve, at, ended, fingerprint, said

NO_RETRY = {"x-should-retry": "false"}


def kept(agno: Agno, session_id: str) -> tuple[str | None, Any]:
    """Status and data of a session's only run."""
    (run,) = agno.runs(session_id)
    return run.status, codec.decode(run.run_data)


def failed(ran: Ran) -> tuple[int, str, str]:
    """Status, message and hint; what was said before may be on stdout."""
    message, hint = ran.err.splitlines()[-2:]
    return ran.status, message.removeprefix("error: "), hint.removeprefix("hint: ")


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "wants a key"),
        (404, "check the model's name"),
        (429, "wait"),
        (500, "ask again"),
        (400, "does not take this request"),
    ],
)
def test_an_api_error_is_exit_8_and_keeps_the_question(
    agno: Agno, serve: Serve, status: int, hint: str
) -> None:
    server = serve(Error(status, "not today", headers=NO_RETRY))
    ran = agno("chat", *at(server), "-s", "s", "remember this")
    assert ran.error[0] == 8
    assert f"answered {status}: not today" in ran.error[1]
    assert hint in ran.hint
    assert "kept in session s" in ran.hint
    found, data = kept(agno, "s")
    assert found == data["status"] == "ERROR"
    assert data["input"] == {"input_content": "remember this"}
    assert "not today" in data["content"]


def test_after_an_error_the_session_goes_on_without_that_turn(agno: Agno, serve: Serve) -> None:
    server = serve(Answer("1"), Error(500, headers=NO_RETRY), Answer("3"))
    for words in ("one", "two", "three"):
        ran = agno("chat", *at(server), "-s", "s", words)
    assert ran.status == 0
    assert [text for _, text in said(server.requests[2])] == ["one", "1", "three"]


def test_nobody_listening_is_an_error_with_the_address(agno: Agno) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    ran = agno("chat", "-m", f"openai-like:m@{url}", "-s", "s", "hi")
    assert ran.error[0] == 8
    assert url in ran.error[1]
    assert "is the server running" in ran.hint
    assert kept(agno, "s")[0] == "ERROR"


@pytest.mark.parametrize("output", [[], ["-o", "json"], ["-o", "jsonl"]])
def test_an_answer_that_breaks_off_is_kept_as_far_as_it_came(
    agno: Agno, serve: Serve, output: list[str]
) -> None:
    server = serve(CutOff(["The answer ", "is fo"]))
    ran = agno("chat", *at(server), "-s", "s", "hi", *output)
    assert ran.status == 8
    assert "Traceback" not in ran.err
    status, data = kept(agno, "s")
    assert (status, data["content"]) == ("ERROR", "The answer is fo")
    if not output:
        assert ran.out == "The answer is fo\n"
        assert "broke off" in failed(ran)[1]
        return
    last = codec.decode(ran.lines[-1]) if output[1] == "jsonl" else ran.json
    assert (last["status"], last["content"]) == ("ERROR", "The answer is fo")
    error = codec.decode(ran.err.splitlines()[-1])
    assert list(error) == ["error", "code", "message", "hint"]
    assert (error["error"], error["code"]) == ("model", 8)


def test_a_key_reaches_neither_errors_nor_tracebacks(agno: Agno, serve: Serve) -> None:
    agno.variables["OPENAI_LIKE_API_KEY"] = "sk-very-secret"
    server = serve(Error(401, "wrong key: sk-very-secret", headers=NO_RETRY))
    ran = agno("chat", *at(server), "-s", "s", "hi", "--debug")
    assert ran.status == 8
    assert "Traceback" in ran.err
    assert "sk-very-secret" not in ran.err
    assert "sk-very-secret" not in str(kept(agno, "s"))
    assert server.headers[0]["authorization"] == "Bearer sk-very-secret"


# no model


def test_without_a_model_the_ways_to_one_are_told(agno: Agno) -> None:
    ran = agno("chat", "hi")
    assert ran.error == (6, "no model is configured")
    for way in ("OPENAI_API_KEY", "-m", "ollama:", "openai-like:", "echo", "agno models list"):
        assert way in ran.hint
    assert fingerprint(agno.home) == {}


def test_with_openais_key_alone_its_small_model_is_asked(agno: Agno, serve: Serve) -> None:
    server = serve(Answer("hello"))
    agno.variables |= {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": server.base_url}
    assert agno("chat", "hi").out == "hello\n"
    assert server.requests[0]["model"] == "gpt-4o-mini"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["-m", "opnai:gpt-4o"], "unknown model provider 'opnai'", "did you mean openai?"),
        (["-m", "gpt-4o"], "model 'gpt-4o' names no provider", "openai:gpt-4o"),
        (["-m", "groq:x"], "groq needs a key, GROQ_API_KEY is not set", "export GROQ_API_KEY"),
        (["-m", "openai-like:x"], "openai-like needs the address of a server", "--base-url"),
        (["-m", "echo", "-a", "nobody"], "no agent 'nobody'", "there is none yet"),
        (["-m", "echo", "-b", "nowhere"], "no backend 'nowhere' (flag --backend)", "known: "),
    ],
)
def test_what_is_not_configured_is_exit_6_and_nothing_is_written(
    agno: Agno, arguments: list[str], message: str, hint: str
) -> None:
    ran = agno("chat", "hi", *arguments)
    assert ran.error == (6, message)
    assert hint in ran.hint
    assert fingerprint(agno.home) == {}


def test_a_team_that_is_not_configured_is_an_error(agno: Agno) -> None:
    assert agno("chat", "-m", "echo", "--team", "desk", "hi").error == (6, "no team 'desk'")


def test_an_agent_and_a_team_cannot_both_answer(agno: Agno) -> None:
    assert agno("chat", "-m", "echo", "--team", "desk", "-a", "x", "hi").error[0] == 2


# the agent of the configuration


def agent(agno: Agno, serve: Serve, *more: str, steps: int = 1) -> Any:
    server = serve(*[Answer("ok")] * steps)
    lines = ['default_agent = "a"', "[agents.a]", *more]
    agno.configure("\n".join(lines).replace("URL", server.base_url))
    return server


def test_an_agents_own_key_and_address_reach_its_model(agno: Agno, serve: Serve) -> None:
    model, key = 'model = "openai:m"', 'api_key = "${env:MINE}"'
    server = agent(agno, serve, model, 'base_url = "URL"', key, 'instructions = "brief"')
    agno.variables |= {"MINE": "sk-mine", "OPENAI_API_KEY": "sk-other"}
    assert agno("chat", "hi").status == 0
    assert server.headers[0]["authorization"] == "Bearer sk-mine"
    assert server.requests[0]["model"] == "m"
    assert said(server.requests[0])[0][1] == "brief"


@pytest.mark.parametrize("provider", ["llama-cpp", "lmstudio", "groq", "cohere"])
def test_an_agents_key_is_enough_for_any_provider(agno: Agno, serve: Serve, provider: str) -> None:
    server = agent(agno, serve, f'model = "{provider}:m@URL"', 'api_key = "k-1"')
    assert agno("chat", "hi").status == 0
    assert server.headers[0]["authorization"] == "Bearer k-1"


def test_an_agents_key_and_address_go_to_no_other_model(agno: Agno, serve: Serve) -> None:
    other = serve(Answer("other"))
    agent(agno, serve, 'model = "openai:m"', 'base_url = "URL"', 'api_key = "sk-mine"', steps=0)
    ran = agno("chat", *at(other), "hi")
    assert ran.out == "other\n"
    assert "sk-mine" not in other.headers[0]["authorization"]
    assert agno("chat", "-m", "echo", "hi").status == 0
    assert agno("chat", "-m", "groq:x", "hi").error[0] == 6


def test_flag_goes_before_environment_before_file(agno: Agno, serve: Serve) -> None:
    agent(agno, serve, 'model = "openai-like:filed@URL"', steps=0)
    server = serve(Answer("1"), Answer("2"))
    agno.variables |= {"AGNO_MODEL": "openai-like:env", "AGNO_BASE_URL": server.base_url}
    agno("chat", "hi")
    agno.variables["AGNO_BASE_URL"] = "http://127.0.0.1:1/v1"
    agno("chat", "hi", "-m", f"openai-like:flag@{server.base_url}")
    assert [one["model"] for one in server.requests] == ["env", "flag"]
    assert agno("chat", "hi", "-m", "echo").status == 0


def test_an_agents_settings_are_sent(agno: Agno, serve: Serve) -> None:
    more = ["temperature = 0.25", "max_tokens = 9", "num_history_runs = 1", 'user_id = "alice"']
    server = agent(agno, serve, 'model = "openai-like:m@URL"', *more)
    agno.store(sample_bundle("s", runs=3))
    assert agno("chat", "-s", "s", "hi").status == 0
    assert server.requests[0]["temperature"] == 0.25
    assert server.requests[0]["max_tokens"] == 9
    assert [text for _, text in said(server.requests[0])] == ["question 2", "answer 2", "hi"]


@pytest.mark.parametrize("name", ["mypkg_of_nobody:add", "math:no_such", "math"])
def test_a_tool_that_cannot_be_loaded_is_an_error(agno: Agno, name: str) -> None:
    agno.configure(f'default_agent = "a"\n[agents.a]\nmodel = "echo"\ntools = ["{name}"]\n')
    status, message = agno("chat", "hi").error
    assert status == 6
    assert name in message


# a backend that cannot be written


def test_a_read_only_backend_is_not_talked_into(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("s"))
    before = fingerprint(agno.home)
    server = serve()
    url = f"sqlite:///{agno.database}?read_only=true"
    for arguments in (["-s", "s"], ["-s", "new"], []):
        ran = agno("chat", "-b", url, *at(server), "hi", *arguments)
        assert failed(ran)[0] == 12
        assert ran.out == ""
    assert fingerprint(agno.home) == before


def test_a_locked_database_is_exit_7_and_the_model_is_not_asked(
    agno: Agno, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_SECONDS", 0.05)
    agno.store(sample_bundle("s"))
    with contextlib.closing(sqlite3.connect(agno.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ran = agno("chat", *at(serve()), "-s", "s", "hi")
        assert ran.error == (7, f"{agno.database} is locked by another program")
        assert agno("sessions", "list", "-o", "ids").lines == ["s"]
    assert len(agno.runs("s")) == 2


def test_a_database_that_locks_half_way_is_an_error_after_what_was_said(
    agno: Agno, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_SECONDS", 0.05)
    agno.store(sample_bundle("s", runs=0))
    other = sqlite3.connect(agno.database, isolation_level=None, check_same_thread=False)

    class Locking(chatting.RawAnswer):
        def feed(self, delta: str) -> None:
            super().feed(delta)
            if not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")

    monkeypatch.setattr(chatting, "RawAnswer", Locking)
    with contextlib.closing(other):
        ran = agno("chat", *at(serve(Answer("said "))), "-s", "s", "--raw", "hi")
    assert failed(ran)[:2] == (7, f"{agno.database} is locked by another program")
    assert ran.out == "said \n"
    assert kept(agno, "s")[0] == "RUNNING"


def test_a_full_disk_is_an_error_and_what_was_stored_stays(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("s"))
    size = agno.database.stat().st_size

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, size + 8192))

    with agno.popen("chat", "-m", "echo", "-s", "s", "x" * 100_000, preexec_fn=fill) as process:
        ran = ended(process)
    assert ran.error == (1, f"{agno.database}: disk I/O error")
    assert len(agno.runs("s")) == 2
    assert agno.rows("PRAGMA integrity_check") == [("ok",)]
