"""What is taller than the screen goes to a pager, on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pexpect
import pytest

from agnocli.cli.paging import pager_command
from agnocli.testing.records import sample_bundle
from tests.cli.conftest import PATIENCE, Agno

TAKES = """
import sys
lines = 0
with open(sys.argv[1], "w") as kept:
    for line in sys.stdin:
        kept.write(line)
        kept.flush()
        lines += 1
        if lines == int(sys.argv[2]):
            break
"""
"""A pager that keeps what it is given, and quits after so many lines."""
ROWS = 40


class Paged:
    def __init__(self, agno: Agno, folder: Path) -> None:
        self._program, self._kept = folder / "takes.py", folder / "kept"
        self._program.write_text(TAKES)

    def command(self, lines: int = 10**9) -> str:
        return f"{sys.executable} '{self._program}' '{self._kept}' {lines}"

    @property
    def lines(self) -> list[str]:
        return self._kept.read_text().splitlines() if self._kept.exists() else []


@pytest.fixture
def paged(agno: Agno, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paged:
    agno.store(*(sample_bundle(f"session-{n:02}", 8) for n in range(ROWS)))
    found = Paged(agno, tmp_path)
    monkeypatch.setenv("AGNO_PAGER", found.command())
    return found


def on_terminal(*arguments: str, lines: int = 24) -> tuple[int, str]:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "agnocli", *arguments],
        env={**os.environ},
        dimensions=(lines, 80),
        encoding="utf-8",
        timeout=PATIENCE,
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus is not None
    return child.exitstatus, child.before


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (("sessions", "list", "--all"), ROWS + 1),
        (("sessions", "search", "question", "--limit", "30"), 31),
        (("sessions", "inspect", "session-07"), None),
        (("sessions", "list", "--all", "-o", "csv"), ROWS + 1),
    ],
)
def test_what_is_taller_than_the_screen_is_paged(
    paged: Paged, arguments: tuple[str, ...], lines: int | None
) -> None:
    status, sent = on_terminal(*arguments)
    assert status == 0
    assert len(paged.lines) == lines or (lines is None and len(paged.lines) > 24)
    assert "session-07" in "".join(paged.lines) and "session-07" not in sent


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (("sessions", "list", "--all"), ROWS + 2),
        (("sessions", "list", "--all", "--no-pager"), 24),
        (("sessions", "list", "--all", "--no-input"), 24),
        (("sessions", "list", "--limit", "2"), 24),
    ],
)
def test_what_fits_or_is_not_to_be_paged_is_not(
    paged: Paged, arguments: tuple[str, ...], lines: int
) -> None:
    status, sent = on_terminal(*arguments, lines=lines)
    assert (status, paged.lines) == (0, [])
    assert "session-00" in sent


def test_nothing_is_paged_in_a_pipe(paged: Paged, agno: Agno) -> None:
    assert len(agno.process("sessions", "list", "--all").lines) == ROWS + 1
    assert paged.lines == []


@pytest.mark.parametrize(
    "arguments", [("sessions", "list", "--all"), ("sessions", "inspect", "long")]
)
def test_quitting_the_pager_early_is_no_error(
    paged: Paged, agno: Agno, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    agno.store(sample_bundle("long", 3000), *(sample_bundle(f"more-{n}", 0) for n in range(2000)))
    monkeypatch.setenv("AGNO_PAGER", paged.command(30))
    status, sent = on_terminal(*arguments)
    assert (status, len(paged.lines)) == (0, 30)
    assert "rror" not in sent and "Traceback" not in sent


def test_a_pager_that_is_not_there_is_told_and_the_text_shown(
    paged: Paged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGNO_PAGER", "no-such-pager -x")
    status, sent = on_terminal("sessions", "list", "--all")
    assert status == 0
    assert "session-39" in sent and "there is no pager 'no-such-pager'" in sent


@pytest.mark.skipif(shutil.which("less") is None, reason="less is not installed")
def test_less_shows_the_first_screen_and_leaves_on_q(
    paged: Paged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGNO_PAGER")
    monkeypatch.delenv("PAGER")
    child = pexpect.spawn(
        sys.executable, ["-m", "agnocli", "sessions", "list", "--all"], env={**os.environ},
        dimensions=(10, 80), encoding="utf-8", timeout=PATIENCE,
    )  # fmt: skip
    child.expect("session-07")
    child.expect(":")
    assert "session-20" not in child.before
    child.sendintr()  # which is for the pager; it throws away keys that come with it, and then shows its screen again
    child.expect("session-07")
    child.expect(":")
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        ({}, ["less"]),
        ({"PAGER": "more -s"}, ["more", "-s"]),
        ({"PAGER": "more", "AGNO_PAGER": "less '-x 4'"}, ["less", "-x 4"]),
        ({"PAGER": "more", "AGNO_PAGER": ""}, []),
        ({"PAGER": "cat"}, []),
        ({"PAGER": "it's"}, ["it's"]),
    ],
)
def test_the_pager_is_named_by_the_environment(environ: dict[str, str], command: list[str]) -> None:
    assert pager_command(environ) == command
