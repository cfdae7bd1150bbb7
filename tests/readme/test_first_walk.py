"""The first minutes of somebody who has just installed it, in a shell on a terminal of 80 by 24, in an empty home."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.cli.conftest import clean_environment
from tests.cli.repl import CTRL_C, CTRL_D, Terminal

PROMPT = "here>"


class Shell(Terminal):
    """`run` types a command and gives what the screen shows of it when the shell is back."""

    number = 0

    def run(self, command: str, *answers: str) -> str:
        self.begin(command)
        for answer in answers:
            self.until("[y/N]")
            self.send(f"{answer}\r")
        return self.back()

    def begin(self, command: str) -> None:
        self.number += 1
        self.send(f"clear; {command}; echo end''-{self.number}\r")

    def back(self) -> str:
        self.until(f"end-{self.number}")
        return self.text.partition(f"end-{self.number}")[0]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    (programs / "agno").write_text(f'#!/bin/sh\nexec {sys.executable} -m agnocli "$@"\n')
    (programs / "agno").chmod(0o755)
    clean = dict(clean_environment(home))
    for name in [one for one in clean if one.startswith("XDG_")]:
        del clean[name]
    path = f"{programs}:{clean['PATH']}"
    settings = {**clean, "PATH": path, "PS1": f"{PROMPT} "}
    given = [f"{name}={value}" for name, value in settings.items()]
    command = f'import os; os.chdir({str(home)!r}); os.execvp("env", {["env", "-i", *given, "bash", "--norc", "--noediting"]!r})'
    terminal = Shell(_Nobody(), ("-c", command))  # type: ignore[arg-type]
    terminal.until(PROMPT)
    yield terminal
    terminal.child.close(force=True)


class _Nobody:
    """The shell brings an environment of its own."""

    variables: ClassVar[dict[str, str]] = {}


def test_somebody_new_talks_finds_forks_deletes_restores_and_moves(shell: Shell) -> None:
    shown = shell.run("agno | tail -5; agno 2>&1 | head -4")
    assert "Usage: agno" in shown

    shown = shell.run("agno chat; echo status $?")
    assert "OPENAI_API_KEY" in shown
    assert "-m echo" in shown
    assert "status 6" in shown

    shell.begin("agno chat -m echo")
    shell.until_prompt()
    shell.send("My name is Alice\r")
    shell.until('You said: "My name is Alice"')
    shell.until_prompt()
    shell.send("/nam\r")
    shell.until("did you mean")
    shell.until_prompt()
    shell.send("/rename Alice\r")
    shell.until("is named 'Alice'")
    shell.until_prompt()
    shell.send(CTRL_C)
    shell.until("Ctrl-D")
    shell.until_prompt()
    shell.send(CTRL_D)
    assert "agno chat -s" in shell.back()

    shown = shell.run("agno chat -m echo -s Alice 'And now?'")
    assert "held 1 turn" in shown

    shown = shell.run("agno sessions list")
    assert "Alice" in shown
    assert "echo" not in shown.splitlines()[0]
    shown = shell.run("agno sessions inspect Alice")
    assert "My name is Alice" in shown
    shown = shell.run("agno sessions search 'name is'; echo status $?")
    assert "My name is Alice" in shown
    assert "status 0" in shown
    shown = shell.run("agno sessions fork Alice --at 1 --name Alicia")
    shown = shell.run("agno sessions list")
    assert "Alicia" in shown

    shown = shell.run("agno sessions inspect Alise; echo status $?")
    assert "status 3" in shown
    assert "Alic" in shown
    shown = shell.run("agno sesions list; echo status $?")
    assert "did you mean 'sessions'" in shown
    assert "status 2" in shown

    shown = shell.run("agno sessions delete Alice", "n")
    assert "nothing was deleted" in shown
    shown = shell.run("agno sessions delete Alice", "y")
    assert "agno sessions restore" in shown.replace("\n", "")  # however the terminal wraps it
    shown = shell.run("agno sessions list")
    assert "Alicia" in shown
    assert "Alice " not in shown
    shown = shell.run("agno sessions restore --last; agno sessions list")
    assert "Alice " in shown

    shown = shell.run("agno sessions export Alice --out alice.md; head -3 alice.md")
    assert "# Alice" in shown
    shown = shell.run("agno migrate .local/share/agno/agno.db all.jsonl.gz; echo status $?")
    assert "status 0" in shown
    shown = shell.run("agno migrate all.jsonl.gz sqlite:///copy.db; echo status $?")
    assert "status 0" in shown
    shown = shell.run("agno verify all.jsonl.gz sqlite:///copy.db; echo status $?")
    assert "status 0" in shown
