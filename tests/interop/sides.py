"""The two sides of a meeting: a process of the real agno, and our own command line."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from agnocli import codec
from agnocli.agent.models import open_model, parse_model
from agnocli.agent.runner import Conversation
from agnocli.agent.settings import ChatSettings
from agnocli.db.sqlite import SqliteDb
from agnocli.records import SESSION_DOCUMENTS, Run
from agnocli.run import RunEnded, RunOutput

PROGRAMS = Path(__file__).parent / "programs"


def environment(home: Path) -> dict[str, str]:
    """Nothing of the developer's: no settings, keys or proxies."""
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "AGNO_TELEMETRY": "false",
        "NO_PROXY": "127.0.0.1",
    }


class _Ready:
    """A process with an agno imported, of which programs are forked; it ends with this process."""

    def __init__(self, python: Path, version: str) -> None:
        self._ours, theirs = socket.socketpair()
        ready = "of_agno_1" if version.startswith("1.") else "agents"
        number = str(theirs.fileno())
        with theirs:
            subprocess.run(
                [python, PROGRAMS / "main.py", number, ready],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment(Path(os.devnull)),
                check=True,
                timeout=60,
            )

    def begin(self, home: Path, *files: int) -> int:
        """The process of a program with these files for stdin, stdout and stderr."""
        return self._ask({"home": str(home), "environment": environment(home)}, files)

    def wait_for(self, process: int) -> None:
        self._ask({"wait": process}, ())

    def _ask(self, request: object, files: Sequence[int]) -> int:
        socket.send_fds(self._ours, [codec.line(request).encode()], files)
        answer = self._ours.recv(100)
        assert answer, "the real agno could not be imported"
        return int(answer)

    def __del__(self) -> None:
        self._ours.close()


_ready = cache(_Ready)


class RealAgno:
    """A program that uses agno, running until the block is left. It calls functions of `programs/`.

    `warnings` are what agno and python warned of so far.
    """

    def __init__(self, python: Path, home: Path, version: str) -> None:
        self.version = version
        self.warnings: list[str] = []
        self._errors: IO[str] = (home / f"agno-{os.urandom(4).hex()}.log").open("w+")
        self._ready = _ready(python, version)
        calls, calling = os.pipe()
        answers, answering = os.pipe()
        self._process = self._ready.begin(home, calls, answering, self._errors.fileno())
        os.close(calls)
        os.close(answering)
        self._calls, self._answers = os.fdopen(calling, "wb", 0), os.fdopen(answers)

    def __call__(self, function: str, *arguments: object, **named: object) -> Any:
        """Call `module.function` there. AssertionError with its traceback when it fails."""
        self.ask(function, *arguments, **named)
        return self.answer()

    def ask(self, function: str, *arguments: object, **named: object) -> None:
        """Start a call whose `answer` is taken later."""
        request = {"function": function, "arguments": arguments, "named": named}
        self._calls.write(codec.line(request).encode() + b"\n")

    def answer(self) -> Any:
        line = self._answers.readline()
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"the program of the real agno failed:\n{self._errors.read()}")
        reply = codec.decode(line)
        self.warnings += reply["warnings"]
        return reply["result"]

    def close(self) -> None:
        """End the program, as at the end of its input."""
        if not self._errors.closed:
            self._calls.close()
            self._answers.read()
            self._answers.close()
            self._ready.wait_for(self._process)
            self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            os.kill(self._process, signal.SIGKILL)
        self.close()


class Ours:
    """`python -m agnocli` on one SQLite file, as somebody with an empty home folder."""

    def __init__(self, file: Path, home: Path) -> None:
        self.file, self._home = file, home
        self.environment = environment(home)

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """Standard output. The exit status is checked."""
        return self.run(*arguments, status=status).stdout

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "agnocli", "-b", f"sqlite:///{self.file}", *arguments]

    def run(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self._home,
            env=self.environment,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        return codec.decode(self(*arguments, "-o", "json"))

    def chat(
        self, session_id: str, prompt: str, *, at: str, arguments: tuple[str, ...] = ()
    ) -> str:
        """One turn with the scripted server at this URL; the answer."""
        answer = self("chat", *asking(at), "-s", session_id, *arguments, prompt)
        return answer.removesuffix("\n")

    def inspect(self, session_id: str) -> Any:
        return self.json("sessions", "inspect", session_id)

    def list(self) -> dict[str, Any]:
        """Rows by session id."""
        return {row["session_id"]: row for row in self.json("sessions", "list", "--all")}


def asking(url: str) -> tuple[str, str]:
    """Which model our command line is to use."""
    return "-m", f"openai-like:test-model@{url}"


class Talk:
    """Our conversations on one SQLite file, in this process."""

    def __init__(self, file: Path) -> None:
        self._backend = SqliteDb(db_file=file)

    def conversation(self, session_id: str, at: str, **settings: Any) -> Conversation:
        model = open_model(parse_model(f"openai-like:test-model@{at}", environ={}), max_retries=0)
        return Conversation(self._backend, session_id, ChatSettings(model=model, **settings))

    def __call__(self, session_id: str, prompt: str, *, at: str, **settings: Any) -> RunOutput:
        """One turn with the scripted server at this URL."""
        *_, ended = self.conversation(session_id, at, **settings).ask(prompt)
        assert isinstance(ended, RunEnded)
        return ended.output

    def runs(self, session_id: str) -> Iterator[Run]:
        return self._backend.runs(session_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._backend.close()


def rows(file: Path, sql: str, *bound: object) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql, bound)]


def run_rows(file: Path, session_id: str) -> list[dict[str, Any]]:
    """In the order that readers take them in."""
    order = "ORDER BY run_index, created_at, run_id"
    return rows(file, f"SELECT * FROM agno_runs WHERE session_id = ? {order}", session_id)


def said(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Role and text of the messages of a request to a model."""
    return [(one["role"], one["content"]) for one in request["messages"]]


def documents(row: Mapping[str, Any]) -> dict[str, Any]:
    """A session's row with its JSON columns decoded."""
    return {
        name: codec.decode(value) if name in SESSION_DOCUMENTS and value is not None else value
        for name, value in row.items()
    }


def folder(file: Path) -> Mapping[str, str]:
    """What lies beside a file and in it, to the byte."""
    found = file.parent.glob(f"{file.name}*")
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in found}
