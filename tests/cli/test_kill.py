"""`kill -9` in the middle of an answer. AGNOCLI_TEST_KILLS sets how often (default 6)."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from agnocli.db.sqlite import SqliteDb
from agnocli.messages import messages
from agnocli.testing.openai_server import Answer, ScriptedServer

KILLS = int(os.environ.get("AGNOCLI_TEST_KILLS", "6"))
PACE = 0.01
WORDS = [f"word{number} " for number in range(400)]
ONE_SECOND = round(1 / PACE)


def environment(home: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI")}
    return {**kept, "HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}


def chat(home: Path, *arguments: str) -> list[str]:
    file = f"sqlite:///{home / 'a.db'}"
    return [sys.executable, "-m", "agnocli", "chat", "-b", file, "-s", "demo", *arguments]


@pytest.mark.timeout(60 + KILLS * 20)
def test_whatever_the_moment_of_a_kill_the_question_and_all_but_a_second_of_the_answer_are_kept(
    tmp_path: Path,
) -> None:
    moments = random.Random(7)
    for turn in range(KILLS):
        question = f"Question {turn}"
        with ScriptedServer([Answer(chunks=WORDS, delay=PACE)]) as server:
            model = f"openai-like:slow@{server.base_url}"
            shown = kill_after(tmp_path, model, question, moments.randrange(1, 3000))
        with SqliteDb(tmp_path / "a.db", read_only=True) as backend:
            (run,) = backend.runs("demo", last=1)
            said = {one.role: one.content for one in messages(run)}
        assert run.status == "RUNNING"
        assert said["user"] == question
        kept = said.get("assistant", "")
        assert len(shown.split()) - len(kept.split()) <= ONE_SECOND
        integrity(tmp_path / "a.db")
        goes_on(tmp_path, turn)


def kill_after(home: Path, model: str, question: str, characters: int) -> str:
    """Start a slow answer, read so much of it, kill; gives all that was shown."""
    process = subprocess.Popen(
        chat(home, "-m", model, question),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=environment(home),
    )  # fmt: skip
    assert process.stdout is not None
    shown = process.stdout.read(characters)
    process.send_signal(signal.SIGKILL)
    shown += process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == -signal.SIGKILL
    return shown.decode()


def integrity(path: Path) -> None:
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def goes_on(home: Path, turn: int) -> None:
    done = subprocess.run(
        chat(home, "-m", "echo", "--history", "1000", "And now?"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(home), timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "interrupted" in done.stderr
    before = f"held {turn} turn" if turn else "held nothing"  # only the answers to "And now?"
    assert before in done.stdout
