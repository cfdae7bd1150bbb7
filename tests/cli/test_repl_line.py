"""The input line: keys, pastes, what is remembered, what Tab offers."""

from __future__ import annotations

import asyncio
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from agnocli import codec
from agnocli.cli.chatting import ChatOptions
from agnocli.cli.context import App
from agnocli.cli.options import GlobalOptions
from agnocli.cli.repl import commands
from agnocli.cli.repl.folds import Folds
from agnocli.cli.repl.line import Line
from agnocli.cli.repl.talk import Talk
from tests.cli.conftest import PATIENCE, Agno
from tests.cli.repl import (
    ALT_ENTER,
    BACKSPACE,
    CTRL_C,
    CTRL_D,
    CTRL_J,
    CTRL_R,
    UP,
    Prompt,
    asked,
    pasted,
)


@pytest.fixture
def prompt(agno: Agno, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(agno, capsys)


def remembered(agno: Agno) -> list[str]:
    lines = (agno.home / "state" / "agno" / "history").read_text("utf-8").splitlines()
    return [codec.decode(line) for line in lines]


def test_a_message_that_is_no_text_is_refused(prompt: Prompt, agno: Agno) -> None:
    prompt("caf\udce9")

    assert "not valid UTF-8" in prompt.err
    assert not agno.database.exists()


@pytest.mark.parametrize("key", [CTRL_J, ALT_ENTER, "\\\r"])
def test_a_message_may_have_several_lines(prompt: Prompt, agno: Agno, key: str) -> None:
    session = prompt(f"one{key}two")

    assert asked(agno, session) == ["one\ntwo"]


def test_two_backslashes_at_the_end_are_text(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one\\\\")

    assert asked(agno, session) == ["one\\\\"]


@pytest.mark.parametrize("lines", [2, 20, 21, 30, 300])
def test_a_paste_is_one_message_with_what_is_typed_around_it(
    prompt: Prompt, agno: Agno, lines: int
) -> None:
    text = "\r".join(f"line {number}" for number in range(lines))

    session = prompt(f"before {pasted(text)} after")

    assert asked(agno, session) == ["before {} after".format(text.replace("\r", "\n"))]


def test_a_folded_paste_is_deleted_as_one_character(prompt: Prompt, agno: Agno) -> None:
    session = prompt(f"a{pasted('x' * 5000)}{BACKSPACE}b")

    assert asked(agno, session) == ["ab"]


def test_two_long_pastes_are_told_apart() -> None:
    folds = Folds()
    one, two = "a\n" * 30, "b\n" * 30

    words = [folds.fold(one), folds.fold(two), folds.fold(one)]

    assert words == ["[pasted 30 lines]", "[pasted 30 lines, 2]", "[pasted 30 lines]"]
    assert folds.unfold(" ".join(words)) == f"{one} {two} {one}"


def test_what_a_long_paste_says_is_not_unfolded_again() -> None:
    folds = Folds()
    inner = folds.fold("a\n" * 30)
    outer = folds.fold(f"{inner}\n" * 40)

    assert folds.unfold(outer) == f"{inner}\n" * 40


def test_ctrl_c_clears_what_is_typed_and_hints_on_an_empty_line(prompt: Prompt, agno: Agno) -> None:
    session = prompt.keys(f"wrong{CTRL_C}right\r{CTRL_C}{CTRL_D}")

    assert asked(agno, session) == ["right"]
    assert prompt.err.count("Ctrl-D leaves") == 1


def test_what_was_typed_is_there_in_the_next_program(prompt: Prompt, agno: Agno) -> None:
    prompt("first\\\rline", "second")

    recalled = prompt.keys(f"{UP}\r{CTRL_D}")
    searched = prompt.keys(f"{CTRL_R}first\r\r{CTRL_D}")

    assert asked(agno, recalled) == ["second"]
    assert asked(agno, searched) == ["first\nline"]


def test_the_history_is_kept_to_its_owner(prompt: Prompt, agno: Agno) -> None:
    prompt("hello")

    folder = agno.home / "state" / "agno"
    assert stat.S_IMODE((folder / "history").stat().st_mode) == 0o600


def test_the_history_holds_no_repetition_and_no_line_that_begins_with_a_blank(
    prompt: Prompt, agno: Agno
) -> None:
    prompt("one", "one", " secret", "two", "one", "/help")

    assert remembered(agno) == ["one", "two", "one", "/help"]


def test_the_history_holds_pastes_whole_but_nothing_huge(prompt: Prompt, agno: Agno) -> None:
    lines = "x\n" * 30

    prompt(f"see {pasted(lines)}", pasted("y" * 30_000))

    assert remembered(agno) == [f"see {lines}"]


def test_a_damaged_history_gives_what_can_be_read(prompt: Prompt, agno: Agno) -> None:
    prompt("one")
    with (agno.home / "state" / "agno" / "history").open("ab") as file:
        file.write(b'"cut of\n\xff\xfe\n[1]\n')

    session = prompt.keys(f"{UP}\r{CTRL_D}")

    assert asked(agno, session) == ["one"]


def test_a_history_that_cannot_be_written_is_said_once(prompt: Prompt, agno: Agno) -> None:
    (agno.home / "state").mkdir()
    (agno.home / "state" / "agno").write_text("in the way")

    session = prompt("one", "two")

    assert prompt.err.count("what is typed is not remembered") == 1
    assert asked(agno, session) == ["one", "two"]


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("/tok\t", ["/tokens"]),
        ("/sess\t", ["/sessions "]),
        ("/sw\tLis\t", ["/switch Lisbon"]),
        ("/model ech\t", ["/model echo"]),
        ("/model groq\t", ["/model groq:"]),
        ("/help und\t", ["/help undo"]),
        ("/s\t", ["/s"]),
        ("/nothing\t", ["/nothing"]),
        ("word\t", ["word"]),
    ],
)
def test_tab_completes_what_is_certain(
    prompt: Prompt, agno: Agno, typed: str, lines: list[str]
) -> None:
    prompt("hello", name="Lisbon")

    prompt(typed)

    assert remembered(agno)[1:] == lines


def test_several_completions_are_taken_in_turn(prompt: Prompt, agno: Agno) -> None:
    talk = Talk(App(GlobalOptions()), ChatOptions(model="echo"))

    found = [text for text, _, _ in commands.candidates(talk, "/se")]
    assert found == ["/sessions ", "/search "]

    found = [text for text, _, _ in commands.candidates(talk, "/s")]
    assert {"/switch ", "/system ", "/show ", "/state ", "/summary "} < set(found)


def test_a_line_that_ends_while_another_thread_has_it_drawn_anew_is_left_alone(
    agno: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.BaseEventLoop
    schedule = loop.call_soon_threadsafe
    shown, asked_for, ended = threading.Event(), threading.Event(), threading.Event()

    def held_up(self: asyncio.BaseEventLoop, *args: Any, **options: Any) -> asyncio.Handle:
        if threading.current_thread() is not threading.main_thread():
            asked_for.set()
            assert ended.wait(PATIENCE)
        return schedule(self, *args, **options)

    monkeypatch.setattr(loop, "call_soon_threadsafe", held_up)
    with (
        create_pipe_input() as pipe,
        create_app_session(input=pipe, output=DummyOutput()),
        ThreadPoolExecutor() as others,
    ):

        def send() -> None:
            assert asked_for.wait(PATIENCE)
            pipe.send_text("one\r")

        def draw() -> None:
            assert shown.wait(PATIENCE)
            line.redraw()

        line = Line(
            App(GlobalOptions()),
            prompt=str,
            status=str,
            candidates=lambda _: iter(()),
            ready=shown.set,
        )
        drawing = others.submit(draw)
        sending = others.submit(send)
        try:
            assert line.read() == "one"
        finally:
            ended.set()
        sending.result()
        drawing.result()
