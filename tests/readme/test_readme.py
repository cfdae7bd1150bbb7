"""What the README says: every command in it runs, and every program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from agnocli.db.sqlite import SqliteDb
from agnocli.testing.openai_server import Answer, ScriptedServer
from agnocli.testing.records import document, sample_bundle
from tests.cli.conftest import PATIENCE, clean_environment
from tests.cli.repl import CTRL_D, Terminal
from tests.transfer.places import Place, place

README = Path(__file__).parents[2] / "README.md"
TWO_COMMANDS = "python3 -m venv"
"""They begin so, and CI runs them as they stand."""
INSTALLS = "pip install"

WITHOUT_A_TERMINAL = {
    "agno sessions delete trip": "agno sessions delete trip --yes",
}
"""What asks somebody, answered."""


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def commands(block: str) -> Iterator[str]:
    for line in block.splitlines():
        command = re.split(r"(?:^|\s{2,})#\s", line)[0].strip()
        if command and not command.startswith((TWO_COMMANDS, INSTALLS)):
            yield command


BLOCKS = [found for block in fenced("sh") if (found := list(commands(block)))]


class Home:
    """A user's: `agno` on the PATH, a configuration with the names the README uses, some sessions."""

    def __init__(self, folder: Path, server: ScriptedServer, places: dict[str, str]) -> None:
        self.folder, self.places = folder, places
        programs = folder / "bin"
        programs.mkdir()
        (programs / "agno").write_text(f'#!/bin/sh\nexec {sys.executable} -m agnocli "$@"\n')
        (programs / "agno").chmod(0o755)
        self.environment = {
            **clean_environment(folder),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": server.base_url,
        }
        (folder / "agno.toml").write_text(CONFIGURATION)
        for name in ("sqlite", "prod"):
            with SqliteDb(folder / f"{name}.db") as backend:
                backend.write(
                    [
                        sample_bundle("trip", 6, name="Trip"),
                        sample_bundle("tea-2026", 2, session_data=document({"session_state": {}})),
                    ]
                )
        (folder / "conversations.json").write_text("[]")
        (folder / "tmp").mkdir()
        with SqliteDb(folder / "tmp" / "agents.db") as backend:
            backend.write([sample_bundle("theirs", 1)])
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)

    def add(self, here: Place) -> None:
        """A configured backend more, with a session in it."""
        with (self.folder / "agno.toml").open("a") as file:
            file.write(here.settings)
        with here.open() as backend:
            backend.setup()
            backend.write([sample_bundle("there", 2)])

    def meant(self, command: str) -> str:
        """The command with the places of this machine."""
        for said, here in self.places.items():
            command = command.replace(said, here)
        return WITHOUT_A_TERMINAL.get(command, command)

    def run(self, command: str) -> None:
        if command == "agno chat":
            self._talk()
            return
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.meant(command)],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def _talk(self) -> None:
        terminal = Terminal(self, ("-m", "agnocli", "chat"))  # type: ignore[arg-type]
        terminal.until_prompt()
        terminal.send(CTRL_D)
        assert terminal.ended() == 0

    @property
    def variables(self) -> dict[str, str]:
        return self.environment


CONFIGURATION = """
default_backend = "sqlite"
[backends.sqlite]
type = "sqlite"
db_file = "sqlite.db"
[backends.postgres]
type = "sqlite"
db_file = "other.db"
[backends.prod]
type = "sqlite"
db_file = "prod.db"
[backends.local]
type = "sqlite"
db_file = "local.db"
[agents.assistant]
model = "openai:gpt-4o-mini"
[agents.writer]
model = "openai:gpt-4o-mini"
[teams.desk]
members = ["assistant", "writer"]
model = "openai:gpt-4o-mini"
"""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Answers as often as it is asked."""
    with ScriptedServer([Answer("Gladly.", repeat=None)]) as server:
        yield server
        if not server.requests:  # it wants to be asked once
            question = b'{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}'
            urlopen(f"{server.base_url}/chat/completions", data=question).close()


SERVERS = {
    "postgresql://me@localhost/agno": "postgres",
    "redis://localhost:6379/0": "redis",
    "mongodb://localhost": "mongo",
}
"""Addresses that the README names, and what answers there."""


@pytest.fixture
def home(
    tmp_path: Path,
    server: ScriptedServer,
    block: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Home]:
    monkeypatch.chdir(tmp_path)
    places = {
        "ollama:llama3.2": f"ollama:llama3.2@{server.base_url}",
        "http://127.0.0.1:8080/v1": server.base_url,
    }
    home = Home(tmp_path, server, places)
    with ExitStack() as stack:
        for address, kind in SERVERS.items():
            if any(address in command for command in block):
                here = stack.enter_context(place(f"on-{kind}", kind, tmp_path))
                places[address] = here.name
                home.add(here)
        yield home


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0])
def test_every_command_runs(home: Home, block: list[str]) -> None:
    for command in block:
        home.run(command)


def test_every_program_runs(
    tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    programs = fenced("python")
    assert programs
    for program in programs:
        exec(compile(program, "README.md", "exec"), {})
    with SqliteDb(tmp_path / "tmp" / "agents.db") as db:
        assert len(list(db.runs("thread-42"))) == 2
