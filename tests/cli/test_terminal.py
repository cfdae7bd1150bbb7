"""What a person sees: the same commands on a terminal."""

from __future__ import annotations

import os
import re
import sys

import pexpect
import pyte
import pytest

from agnocli.testing.records import sample_bundle
from tests.cli.conftest import PATIENCE, Agno, fingerprint

ID = "6f1c2c1e-0000-4000-8000-00000000000"


def seen(agno: Agno, *arguments: str, columns: int = 80) -> tuple[int, str, list[str]]:
    """Exit status, all that was sent to the terminal, and the lines that it then shows."""
    child = pexpect.spawn(
        sys.executable,
        ["-m", "agnocli", *arguments],
        # without it a COLUMNS goes along that readline set behind Python's back
        env={**os.environ},
        dimensions=(50, columns),
        encoding="utf-8",
        timeout=PATIENCE,
    )
    child.expect(pexpect.EOF)
    child.close()
    screen = pyte.Screen(columns, 50)
    pyte.Stream(screen).feed(child.before)
    return child.exitstatus, child.before, [line.rstrip() for line in screen.display]


@pytest.fixture
def stored(agno: Agno) -> Agno:
    names = (
        "A rather long name of a session about tea",
        "Grüße 😀 日本語 wide",
        "x\x1b[2J\x1b]52;c;aGk=\x07",
    )
    agno.store(*(sample_bundle(f"{ID}{n}", name=name) for n, name in enumerate(names)))
    return agno


@pytest.mark.parametrize("columns", [60, 200])
def test_a_listing_fits_the_terminal(stored: Agno, columns: int) -> None:
    status, sent, lines = seen(stored, "sessions", "list", columns=columns)
    assert status == 0
    rows = [line for line in lines if line]
    assert len(rows) == 4
    assert rows[0].split()[:2] == ["ID", "TITLE"]
    assert ("AGENT" in rows[0]) == (columns == 200)
    assert "\x1b[2J" not in sent and "\x1b]" not in sent


def test_no_color_means_no_escapes_at_all(stored: Agno, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in seen(stored, "sessions", "list")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    for line in (["sessions", "list"], ["sessions", "inspect", "@last"], ["sessions", "nonsense"]):
        assert "\x1b" not in seen(stored, *line)[1]


def test_an_empty_store_says_how_to_begin(agno: Agno) -> None:
    agno("backends", "init")
    assert "no sessions yet; start with: agno chat" in seen(agno, "sessions", "list")[1]


def test_an_answer_on_a_terminal_is_rendered_and_wrapped(agno: Agno) -> None:
    words = "*well* " + " ".join(f"word{n}" for n in range(40)) + " \x1b[2J"
    status, sent, lines = seen(agno, "chat", "-m", "echo", "-q", "--no-input", words, columns=60)
    assert status == 0
    assert "\x1b[2J" not in sent
    shown = " ".join(line for line in lines if line)
    assert all(f"word{n}" in shown for n in range(40))
    assert not re.search(r"wor$", shown.split("word39")[0])
    assert max(len(line) for line in lines) <= 60


def test_without_model_or_prompt_the_ways_to_a_model_are_told(agno: Agno) -> None:
    status, sent, _ = seen(agno, "chat", columns=200)
    assert status == 6
    for way in ("OPENAI_API_KEY", "ollama:", "-m echo"):
        assert way in sent
    assert "Traceback" not in sent
    assert fingerprint(agno.home) == {}


def test_no_input_never_opens_the_prompt(agno: Agno) -> None:
    status, sent, _ = seen(agno, "chat", "-m", "echo", "--no-input")
    assert status == 2
    assert "nothing to ask" in sent
