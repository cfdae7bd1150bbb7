from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.cli.app import main
from agnocli.db.sqlite import SqliteDb
from agnocli.records import Run, SessionBundle
from agnocli.testing.openai_server import ScriptedServer, Step
from agnocli.testing.records import EPOCH, sample_bundle

PATIENCE = 60
"""Seconds after which a program that still runs is an error."""


@dataclass(frozen=True)
class Ran:
    """What a program left: its status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return codec.decode(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def error(self) -> tuple[int, str]:
        """Status and message; one line of error, one of what to do next, nothing on stdout."""
        message, hint = self.err.splitlines()[-2:]
        assert self.out == ""
        assert message.startswith("error: "), self.err
        assert hint.startswith("hint: "), self.err
        assert "Traceback" not in self.err
        return self.status, message.removeprefix("error: ")

    @property
    def hint(self) -> str:
        return self.err.splitlines()[-1].removeprefix("hint: ")


@dataclass
class Agno:
    """The program in a home of its own. Called, it runs in this process, which is quick; `process` is the real thing."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.home / "data" / "agno" / "agno.db"

    @property
    def config(self) -> Path:
        return self.home / "config" / "agno" / "config.toml"

    def configure(self, text: str) -> None:
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(text, encoding="utf-8")

    def store(self, *bundles: SessionBundle) -> None:
        with SqliteDb(self.database) as backend:
            backend.write(bundles)

    def runs(self, session_id: str) -> list[Run]:
        with SqliteDb(self.database) as backend:
            return list(backend.runs(session_id))

    def session_ids(self) -> list[str]:
        with SqliteDb(self.database) as backend:
            return [bundle.session.session_id for _, bundle in backend.scan()]

    def rows(self, sql: str, *bound: object) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql, bound).fetchall()

    def __call__(self, *arguments: str, stdin: str | bytes = b"") -> Ran:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
            for name, value in self.variables.items():
                patch.setenv(name, value)
            status = main(arguments)
        return Ran(status, _written(out), _written(err))

    def popen(
        self, *arguments: str, bound_by_permissions: bool = False, **options: Any
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "agnocli", *arguments]
        if bound_by_permissions and os.geteuid() == 0:
            command = [sys.executable, "-S", "-c", _LIKE_OTHERS, *command]
        settings: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": {**os.environ, **self.variables},
            **options,
        }
        return subprocess.Popen(command, **settings)

    def process(self, *arguments: str, stdin: bytes | None = None, **options: Any) -> Ran:
        if stdin is not None:
            options["stdin"] = subprocess.PIPE
        with self.popen(*arguments, **options) as process:
            return ended(process, stdin)


_LIKE_OTHERS = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
        sys.exit(f"cannot drop capability {capability}: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes permissions bind root as well, from the next program on."""


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def ended(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Ran:
    """Wait for the end of a process, bounded."""
    try:
        out, err = process.communicate(stdin, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Ran(process.returncode, (out or b"").decode(), (err or b"").decode())


def clean_environment(home: Path) -> Mapping[str, str]:
    """Nothing of the developer's own: no keys, no proxies, no configuration."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    folders = {f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("config", "data", "state")}
    return {
        **kept,
        **folders,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "PAGER": "cat",
    }


@pytest.fixture
def agno(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agno:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    wanted = clean_environment(home)
    for name in set(os.environ) - set(wanted):
        if not name.startswith(("PYTEST", "COV", "PYTHONPATH", "LD_", "TMP")):
            monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(here)
    return Agno(home)


def bundle(session_id: str, *, at: int = 0, runs: int = 1, **columns: Any) -> SessionBundle:
    """A session that changed `at` seconds after all began."""
    return sample_bundle(session_id, runs, updated_at=EPOCH + at, **columns)


@pytest.fixture
def three(agno: Agno) -> Agno:
    agno.store(
        bundle("aaaa-1", at=10, name="Tea"),
        bundle("bbbb-1", at=30, name="Coffee", user_id="bob", runs=3),
        bundle("cccc-1", at=20, name="Cocoa", agent_id="writer"),
    )
    return agno


Serve = Callable[..., ScriptedServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A scripted server for the steps given, checked at the end of the test."""
    with contextlib.ExitStack() as stack:

        def start(*steps: Step) -> ScriptedServer:
            return stack.enter_context(ScriptedServer(steps))

        yield start


def at(server: ScriptedServer) -> tuple[str, str]:
    """The flag for a model there."""
    return "-m", f"openai-like:m@{server.base_url}"


def said(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Role and text of each message of a request."""
    return [(one["role"], one["content"]) for one in request["messages"]]


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below a folder, by content, but what Python keeps of modules that it has compiled."""
    found = (one for one in folder.rglob("*") if one.is_file() and "__pycache__" not in one.parts)
    files: Sequence[Path] = sorted(found)
    return {
        str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files
    }
