from __future__ import annotations

import io
import threading

import pytest

from agnocli import codec
from agnocli.cli.render.notes import Waiting, error, note, warn
from agnocli.errors import AgnoCLIError, ConfigError


class Terminal(io.StringIO):
    """Says it is a terminal, and when something was drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.drawn.set()
        return super().write(text)


FAILURE = ConfigError("no\x1b[2J such\nbackend", hint="agno backends list")


def test_an_error_is_one_line_and_a_hint() -> None:
    stream = io.StringIO()
    error(FAILURE, name="config", code=6, stream=stream)
    assert stream.getvalue() == "error: no␛[2J such backend\nhint: agno backends list\n"


def test_an_error_without_a_hint_has_no_second_line() -> None:
    stream = io.StringIO()
    error(AgnoCLIError("broken"), name="config", code=6, stream=stream)
    assert stream.getvalue() == "error: broken\n"


def test_an_error_as_json_is_one_object_with_exact_values() -> None:
    stream = io.StringIO()
    error(FAILURE, name="config", code=6, as_json=True, stream=stream)
    assert codec.decode(stream.getvalue()) == {
        "error": "config",
        "code": 6,
        "message": FAILURE.message,
        "hint": FAILURE.hint,
    }
    assert "\x1b" not in stream.getvalue() and stream.getvalue().count("\n") == 1


def test_colour_is_for_terminals_and_respects_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, pipe = Terminal(), io.StringIO()
    note("hello", stream=terminal)
    warn("careful", stream=terminal)
    note("hello", stream=pipe)
    assert terminal.getvalue() == "\x1b[2mhello\x1b[0m\n\x1b[33mwarning: \x1b[0mcareful\n"
    assert pipe.getvalue() == "hello\n"
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    note("hello", stream=plain)
    assert plain.getvalue() == "hello\n"


def test_notes_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    note("one")
    warn("two")
    assert capsys.readouterr() == ("", "one\nwarning: two\n")


def test_waiting_says_nothing_into_a_pipe() -> None:
    stream = io.StringIO()
    with Waiting(stream) as waiting:
        waiting.stop()
    assert stream.getvalue() == ""


def test_waiting_erases_itself_before_anything_else_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(Waiting, "STEP", 0.001)
    stream = Terminal()
    with Waiting(stream, label="wait") as waiting:
        assert stream.drawn.wait(60)
        waiting.stop()
        before = stream.getvalue()
        waiting.stop()
        assert stream.getvalue() == before
    assert stream.getvalue().endswith("\r      \r")
    assert "wait" in before and "\x1b" not in before and "\n" not in before
