"""A person at the prompt, without a terminal and in one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pexpect
import pyte
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from agnocli.cli.chatting import ChatOptions
from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import GlobalOptions
from agnocli.cli.repl.leaving import Leave, farewell
from agnocli.cli.repl.loop import Repl
from agnocli.cli.repl.talk import Talk
from agnocli.messages import data, messages
from agnocli.records import Run
from tests.cli.conftest import PATIENCE, Agno

UP, CTRL_C, CTRL_D, CTRL_J, CTRL_R = "\x1b[A", "\x03", "\x04", "\n", "\x12"
ALT_ENTER, HOME, BACKSPACE = "\x1b\r", "\x1b[H", "\x7f"


def pasted(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


class Quiet(Repl):
    """Loads nothing behind a test's back."""

    def preload(self) -> None:
        pass


class Prompt:
    """A person at the prompt of one program; every call is a program of its own."""

    def __init__(self, agno: Agno, capsys: pytest.CaptureFixture[str]) -> None:
        self.agno, self._capsys = agno, capsys
        self.globals = GlobalOptions()
        self.out = self.err = ""
        self.status: ExitStatus | None = None

    def __call__(self, *lines: str, **options: Any) -> str:
        """Type lines, each with Enter, and leave; gives the session's id."""
        keys = "".join(f"{line}\r" for line in lines) + CTRL_C + CTRL_D
        return self.keys(keys, **options)

    def keys(self, keys: str, **options: Any) -> str:
        app = App(self.globals)
        talk = Talk(app, ChatOptions(**{"model": "echo", **options}))
        with (
            create_pipe_input() as pipe,
            create_app_session(input=pipe, output=DummyOutput()),
        ):
            pipe.send_bytes(keys.encode("utf-8", "surrogateescape"))
            with closing(Quiet(app, talk)) as repl, pytest.raises(Leave) as left:
                repl.run(None)
        farewell(talk)
        app.close()
        self.status = left.value.status
        self.out, self.err = self._capsys.readouterr()
        return talk.session_id


def turns(agno: Agno, session_id: str) -> list[tuple[str | None, str]]:
    """Status and question of each stored run."""
    return [(run.status, data(run)["input"]["input_content"]) for run in agno.runs(session_id)]


def asked(agno: Agno, session_id: str) -> list[str]:
    return [question for _, question in turns(agno, session_id)]


class Terminal:
    """A program on a screen. `raw` is everything it wrote."""

    def __init__(
        self, agno: Agno, command: tuple[str, ...], *, columns: int = 80, rows: int = 24
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.raw = ""
        self.child = pexpect.spawn(
            sys.executable,
            list(command),
            env={**os.environ, **agno.variables},
            dimensions=(rows, columns),
            encoding="utf-8",
            timeout=PATIENCE,
        )

    @property
    def lines(self) -> list[str]:
        """What stands on the screen."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    def send(self, keys: str) -> None:
        self.child.send(keys)

    def until(self, seen: str | Callable[[], bool]) -> None:
        """Until the screen shows that."""
        found = seen if callable(seen) else lambda: seen in self.text
        deadline = time.monotonic() + PATIENCE
        while not found():
            if time.monotonic() > deadline:
                raise AssertionError(f"never seen: {seen}\n{self.text}")
            self._read(0.1)

    def until_prompt(self) -> None:
        """Until the cursor waits on an empty input line."""
        self.until(lambda: self._input_line() == ">" and self.screen.cursor.x == 2)

    def until_input(self, text: str) -> None:
        self.until(lambda: self._input_line() == f"> {text}".rstrip())

    def _input_line(self) -> str:
        return self.lines[self.screen.cursor.y]

    def _read(self, patience: float) -> bool:
        try:
            written = self.child.read_nonblocking(65536, timeout=patience)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += written
        self._stream.feed(written)
        return True

    def ended(self) -> int:
        """Read to the end; the exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._read(0.1):
            assert time.monotonic() < deadline, f"still running:\n{self.text}"
        self.child.close()
        assert self.child.signalstatus is None
        assert "Traceback" not in self.raw
        status: int = self.child.exitstatus
        return status


Open = Callable[..., Terminal]
PROGRAM = ("-m", "agnocli")


@contextmanager
def terminals(agno: Agno) -> Iterator[Open]:
    """Starts `agno chat` with further arguments, in a terminal of a size."""
    with ExitStack() as stack:

        def start(*arguments: str, program: tuple[str, ...] = PROGRAM, **size: int) -> Terminal:
            one = Terminal(agno, (*program, "chat", *arguments), **size)
            stack.callback(one.child.close, force=True)
            return one

        yield start


def answer(run: Run) -> str:
    return next(one.content for one in messages(run) if one.role == "assistant")
