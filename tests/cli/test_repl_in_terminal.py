"""The prompt in a terminal: the program as a user runs it, and the screen as a user sees it."""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agnocli.messages import data
from agnocli.testing.openai_server import Answer, Error, Gate
from tests.cli.conftest import Agno, Serve, at, said
from tests.cli.repl import CTRL_C, CTRL_D, UP, Open, answer, terminals


@pytest.fixture
def terminal(agno: Agno) -> Iterator[Open]:
    with terminals(agno) as start:
        yield start


def questions(agno: Agno) -> list[str]:
    (session,) = agno.session_ids()
    return [data(run)["input"]["input_content"] for run in agno.runs(session)]


def test_an_answer_is_shown_and_ctrl_d_tells_how_to_resume(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo")
    shown.until_prompt()
    shown.send("hello there\r")
    shown.until('You said: "hello there"')
    shown.until_prompt()
    shown.send(CTRL_D)

    assert shown.ended() == 0
    (session,) = agno.session_ids()
    command = re.search("resume: (.*)", shown.text)
    assert command
    assert shlex.split(command[1]) == ["agno", "chat", "-s", session]
    resumed = agno.process("chat", "-m", "echo", "-s", session, "again")
    assert "held 1 turn" in resumed.out


def test_nothing_said_is_nothing_stored(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo")
    shown.until_prompt()
    shown.send(CTRL_D)

    assert shown.ended() == 0
    assert "resume" not in shown.text
    assert not agno.database.exists()


def test_without_a_model_there_is_no_prompt_but_the_ways_to_get_one(
    agno: Agno, terminal: Open
) -> None:
    shown = terminal()

    assert shown.ended() == 6
    assert "OPENAI_API_KEY" in shown.raw
    assert not any(line.startswith(">") for line in shown.lines)


SPY = """
import sys, threading
from agnocli.cli.app import main
from agnocli.cli.repl.loop import Repl

SLOW = ("openai", "rich", "sqlalchemy", "pydantic", "httpx")
preload = Repl.preload

def told(repl):
    print("before:", [one for one in SLOW if one in sys.modules])
    preload(repl)
    threading.Thread(target=tell, args=threading.enumerate(), daemon=True).start()

def tell(*others):
    for one in others:
        if one is not threading.main_thread():
            one.join()
    print("behind:", [one for one in SLOW if one in sys.modules])

Repl.preload = told
sys.exit(main(sys.argv[1:]))
"""


def test_the_prompt_is_there_before_anything_slow_is_loaded(
    agno: Agno, terminal: Open, serve: Serve
) -> None:
    server = serve(Answer("Hello from afar."))
    agno("chat", "-m", "echo", "-s", "demo", "hello")

    shown = terminal(*at(server), "-s", "demo", program=("-c", SPY))
    shown.until("before: []")
    assert shown.raw.index("> ") < shown.raw.index("before: []")
    shown.until("behind: ['openai'")
    shown.send("hello\r")
    shown.until("Hello from afar.")


def test_thirty_pasted_lines_are_one_message(agno: Agno, terminal: Open) -> None:
    text = "\n".join(f"line {number}" for number in range(1, 31))
    shown = terminal("-m", "echo")
    shown.until_prompt()
    shown.send(f"\x1b[200~{text}\x1b[201~")
    shown.until_input("[pasted 30 lines]")
    shown.send("\r")
    shown.until("this conversation held nothing")
    shown.until_prompt()

    assert questions(agno) == [text]


def test_ctrl_c_stops_an_answer_keeps_it_and_comes_back(
    agno: Agno, terminal: Open, serve: Serve
) -> None:
    gate = Gate()
    server = serve(Answer(chunks=["One two three ", gate, "four."]), Answer("And on."))
    shown = terminal(*at(server))
    shown.until_prompt()
    shown.send("count\r")
    shown.until("One two three")
    shown.send(CTRL_C)
    shown.until("stopped; what was said is kept; /retry asks again")
    shown.until_prompt()
    server.wait_for_hang_up()
    shown.send("go on\r")
    shown.until("And on.")
    shown.until_prompt()
    shown.send(CTRL_D)

    assert shown.ended() == 0
    (session,) = agno.session_ids()
    stopped, further = agno.runs(session)
    assert (stopped.status, answer(stopped)) == ("CANCELLED", "One two three ")
    assert (further.status, answer(further)) == ("COMPLETED", "And on.")


def test_ctrl_c_clears_the_line_and_hints_when_it_is_empty(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo")
    shown.until_prompt()
    shown.send("wrong")
    shown.until_input("wrong")
    shown.send(CTRL_C)
    shown.until_prompt()
    assert "Ctrl-D leaves" not in shown.text
    shown.send(CTRL_C)
    shown.until("Ctrl-D leaves")
    shown.until_prompt()
    shown.send(CTRL_D)

    assert shown.ended() == 0


def test_an_unknown_command_is_not_sent(agno: Agno, terminal: Open, serve: Serve) -> None:
    server = serve()
    shown = terminal(*at(server))
    shown.until_prompt()
    shown.send("/hlep\r")
    shown.until("did you mean /help?")
    shown.until_prompt()

    assert server.requests == []
    assert not agno.database.exists()


def test_undo_puts_the_question_back_into_the_line(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo")
    shown.until_prompt()
    shown.send("hello there\r")
    shown.until_prompt()
    shown.send("/undo\r")
    shown.until("took back the last turn: hello there")
    shown.until_input("hello there")
    (session,) = agno.session_ids()
    assert agno.runs(session) == []
    shown.send("\r")
    shown.until_prompt()

    assert questions(agno) == ["hello there"]


def test_a_model_error_is_shown_and_retry_asks_again(
    agno: Agno, terminal: Open, serve: Serve
) -> None:
    server = serve(Error(401, "no such key"), Answer("Good."))
    shown = terminal(*at(server))
    shown.until_prompt()
    shown.send("hello\r")
    shown.until("no such key")
    shown.until_input("hello")
    shown.send("/retry\r")
    shown.until("Good.")
    shown.until_prompt()

    (session,) = agno.session_ids()
    failed, good = agno.runs(session)
    assert (failed.status, good.status) == ("REGENERATED", "COMPLETED")
    assert data(good)["regenerated_from"] == failed.run_id
    assert said(server.requests[1]) == [("user", "hello")]


def test_a_bad_model_leaves_the_old_one(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo")
    shown.until_prompt()
    shown.send("/model nope:x\r")
    shown.until("unknown model provider 'nope'")
    shown.until_prompt()
    shown.send("hello\r")
    shown.until("I am echo")


def test_what_was_typed_is_remembered_for_the_next_program(agno: Agno, terminal: Open) -> None:
    first = terminal("-m", "echo")
    first.until_prompt()
    first.send("hello there\r")
    first.until("You said")
    first.until_prompt()
    first.send(" a secret\r")
    first.until('You said: " a secret"')
    first.until_prompt()
    first.send(CTRL_D)
    first.ended()

    second = terminal("-m", "echo")
    second.until_prompt()
    second.send(UP)
    second.until_input("hello there")
    file = agno.home / "state" / "agno" / "history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in file.read_text("utf-8")


@pytest.mark.parametrize("columns", [60, 200])
def test_an_answer_is_fitted_to_the_terminal(agno: Agno, terminal: Open, columns: int) -> None:
    shown = terminal("-m", "echo", columns=columns)
    shown.until_prompt()
    shown.send("tell me something\r")
    shown.until("held nothing.")
    shown.until_prompt()

    start = next(number for number, line in enumerate(shown.lines) if line.startswith("I am"))
    end = shown.lines.index("", start)
    assert end - start == (1 if columns == 200 else 2)
    assert " ".join(shown.lines[start:end]) == (
        "I am echo, agnocli's offline test model. "
        'You said: "tell me something". Before that this conversation held nothing.'
    )
    assert any(line.startswith("default · ") for line in shown.lines)


def test_a_terminal_that_grew_is_used_by_the_next_answer(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo", columns=60)
    shown.until_prompt()
    shown.child.setwinsize(24, 200)
    shown.screen.resize(24, 200)
    shown.send("tell me something\r")
    shown.until('I am echo, agnocli\'s offline test model. You said: "tell me something". Before')


def test_what_is_typed_during_an_answer_is_the_next_message(
    agno: Agno, terminal: Open, serve: Serve
) -> None:
    gate = Gate()
    server = serve(Answer(chunks=["One ", gate, "two."]), Answer("Three."))
    shown = terminal(*at(server))
    shown.until_prompt()
    shown.send("first\r")
    shown.until("One")
    shown.send("second\r")
    gate.open()
    shown.until("Three.")
    shown.until_prompt()

    assert questions(agno) == ["first", "second"]
    assert "One two." in shown.lines


def test_what_is_typed_before_the_prompt_is_a_message(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo")
    shown.send("early\r")
    shown.until('You said: "early"')


def test_without_colour_nothing_is_coloured(agno: Agno, terminal: Open) -> None:
    agno.variables["NO_COLOR"] = "1"
    shown = terminal("-m", "echo")
    shown.until_prompt()
    shown.send("**hello**\r")
    shown.until_prompt()
    shown.send("/nothing\r")
    shown.until("error:")
    shown.send(CTRL_D)
    shown.ended()

    codes = {
        code for found in re.findall("\x1b\\[([0-9;]*)m", shown.raw) for code in found.split(";")
    }
    assert not [code for code in codes if code and (30 <= int(code) <= 49 or int(code) >= 90)]


def test_what_steers_a_terminal_never_reaches_it(agno: Agno, terminal: Open, serve: Serve) -> None:
    evil = "a \x1b]52;c;aGk=\x07 b \x1b[2J c \x9b2J d"
    server = serve(Answer(evil), Error(401, evil))
    shown = terminal(*at(server), "--name", evil)
    shown.until_prompt()
    shown.send(f"\x1b[200~{evil}\x1b[201~\r")
    shown.until(" d")
    shown.until_prompt()
    shown.send("/history\r")
    shown.until_prompt()
    shown.send("again\r")
    shown.until("error:")
    shown.send(CTRL_C + CTRL_D)
    shown.ended()

    for bad in ("\x1b]", "\x1b[2J", "\x9b", "\x07"):
        assert bad not in shown.raw


def test_first_words_are_said_and_the_prompt_stays(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo", "-i", "hello there")
    shown.until("> hello there")
    shown.until('You said: "hello there"')
    shown.until_prompt()
    shown.send("/exit\r")

    assert shown.ended() == 0
    assert questions(agno) == ["hello there"]


def test_machine_readable_output_needs_something_to_ask(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo", "-o", "json")

    assert shown.ended() == 2
    assert '"error": "usage"' in shown.raw


def test_an_earlier_turn_is_edited_in_the_line(agno: Agno, terminal: Open) -> None:
    shown = terminal("-m", "echo", "-s", "trip")
    shown.until_prompt()
    for words in ("one", "two"):
        shown.send(f"{words}\r")
        shown.until_prompt()
    shown.send("/edit 1\r")
    shown.until("edit 1> one")
    shown.send(" more\r")
    shown.until('You said: "one more"')
    shown.until_prompt()
    shown.send("/undo\r")
    shown.until_input("one more")
    shown.send("\x03/redo\r")
    shown.until("back again: one more")
    shown.send(CTRL_D)

    assert shown.ended() == 0
    assert "trip, before the edit of turn 1" in agno("sessions", "list").out
    assert [data(run)["input"]["input_content"] for run in agno.runs("trip")] == ["one more"]


def test_files_are_offered_behind_an_at_sign_and_go_along(agno: Agno, terminal: Open) -> None:
    Path("src").mkdir()
    Path("src/main.py").write_text("print(1)\n")
    Path("source.md").write_text("hello\n")
    shown = terminal("-m", "echo")
    shown.until_prompt()
    shown.send("read @s\t")
    shown.until("@source.md")
    shown.until("@src/")
    shown.send("o\t")
    shown.until_input("read @source.md")
    shown.send("\r")
    shown.until("with source.md (text, 6 B)")
    shown.until("tokens")
    shown.until_prompt()
    shown.send(CTRL_D)

    assert shown.ended() == 0
    assert questions(agno) == ['read @source.md\n\n<file name="source.md">\nhello\n\n</file>']


def test_ctrl_c_stops_a_summary_and_the_prompt_comes_back(
    agno: Agno, terminal: Open, serve: Serve
) -> None:
    gate = Gate()
    server = serve(Answer("Hello."), Answer(chunks=['{"summary": "', gate, '"}']), Answer("On."))
    shown = terminal(*at(server))
    shown.until_prompt()
    shown.send("hi\r")
    shown.until_prompt()
    shown.send("/summary refresh\r")
    shown.until("summarizing")
    gate.wait()
    shown.send(CTRL_C)
    shown.until("stopped")
    shown.until_prompt()
    server.wait_for_hang_up()
    shown.send("go on\r")
    shown.until("On.")

    (session,) = agno.session_ids()
    assert agno("sessions", "inspect", session, "-o", "json").json["summary"] is None
