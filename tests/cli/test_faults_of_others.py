"""What goes wrong in programs like this one. Each is a fault that one of them has; here it must not come back."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from agnocli.messages import data
from agnocli.testing.openai_server import Answer, Error
from tests.cli.conftest import Agno, Serve, at, bundle
from tests.cli.repl import CTRL_D, Open, pasted, terminals

LONG = "word " * 60
READING = [
    ("sessions", "list"),
    ("sessions", "inspect", "aaaa-1"),
    ("sessions", "inspect", "nobody"),
    ("sessions", "search", "tea"),
    ("sessions", "context", "aaaa-1"),
    ("sessions", "context", "nobody"),
    ("sessions", "stats"),
    ("sessions", "verify"),
    ("sessions", "export", "aaaa-1", "--format", "markdown"),
    ("sessions", "state", "get", "aaaa-1"),
]


@pytest.fixture
def terminal(agno: Agno) -> Iterator[Open]:
    with terminals(agno) as start:
        yield start


def test_an_unknown_session_is_no_empty_one(three: Agno) -> None:
    ran = three("sessions", "inspect", "aaab-1")
    assert ran.error[0] == 3
    assert "aaaa-1" in ran.err


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_that_reads_asks_no_model_and_opens_no_connection(
    three: Agno, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    opened = []
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: opened.append(arguments))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: opened.append(arguments))
    three.variables["OPENAI_API_KEY"] = "k"
    ran = three(*command)
    assert ran.status == (3 if "nobody" in command else 10 if "verify" in command else 0), ran.err
    assert opened == []


def test_an_answer_into_a_pipe_is_neither_wrapped_nor_padded(agno: Agno, serve: Serve) -> None:
    ran = agno.process("chat", "-q", *at(serve(Answer(LONG.strip()))), "Say much")
    assert ran.out == LONG.strip() + "\n"


def test_two_pasted_lines_are_one_message_and_ctrl_d_is_no_traceback(
    agno: Agno, terminal: Open
) -> None:
    shown = terminal("-m", "echo")
    shown.until_prompt()
    shown.send(pasted("one\ntwo"))
    shown.send("\r")
    shown.until("You said")
    shown.until_prompt()
    shown.send(CTRL_D)
    assert shown.ended() == 0
    (session,) = agno.session_ids()
    assert [data(run)["input"]["input_content"] for run in agno.runs(session)] == ["one\ntwo"]


def test_an_answer_taller_than_the_screen_is_written_once(terminal: Open, serve: Serve) -> None:
    lines = [f"- line {number} of many" for number in range(60)]
    text = "\n".join(lines)
    pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
    shown = terminal(*at(serve(Answer(chunks=pieces))), rows=20)
    shown.until_prompt()
    before = len(shown.raw)
    shown.send("Go\r")
    shown.until("line 59 of many")
    shown.until_prompt()
    written = shown.raw[before:]
    for number in range(60):
        assert len(re.findall(rf"line {number} of many", written)) == 1
    shown.send(CTRL_D)
    assert shown.ended() == 0


def test_conversations_are_kept_where_data_belongs_and_nothing_is_dropped(agno: Agno) -> None:
    for number in range(3):
        assert agno("chat", "-m", "echo", "-s", "s", f"{number}").status == 0
    assert agno.database.is_relative_to(agno.home / "data")
    assert len(agno.runs("s")) == 3


def test_a_question_is_asked_on_stderr_only(three: Agno) -> None:
    ran = three("sessions", "delete", "aaaa-1")
    assert (ran.status, ran.out) == (11, "")


@pytest.mark.parametrize(
    ("name", "found"), [("100%", ["p"]), ("a_b", ["u"]), ("agent", []), ("1*", ["p", "x"])]
)
def test_a_name_is_looked_for_in_names_alone_and_as_it_stands(
    agno: Agno, name: str, found: list[str]
) -> None:
    named = {"p": "100%", "x": "100 x", "u": "a_b", "v": "axb"}
    agno.store(*(bundle(one, name=text, user_id="agent") for one, text in named.items()))
    ran = agno("sessions", "list", "--name", name, "-o", "ids")
    assert sorted(ran.lines) == found


def test_a_failed_answer_keeps_the_question(agno: Agno, serve: Serve) -> None:
    ran = agno("chat", "-s", "s", *at(serve(Error(400, "no"))), "Keep this")
    assert ran.status == 8
    (run,) = agno.runs("s")
    assert data(run)["input"]["input_content"] == "Keep this"
