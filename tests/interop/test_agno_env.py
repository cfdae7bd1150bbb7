"""The environments of the real agno are made once, by one process, and never taken half-made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.interop.agno_env import Agno, UnavailableError, is_made, python_with

AGNO = Agno("0.0.0", "AGNOCLI_TEST_NO_SUCH_AGNO")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be run to make an environment; only the file of its python is made."""
    ran: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(AGNO.variable, raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_one_is_made_in_the_cache_and_used_again(tmp_path: Path, commands: list[list[str]]) -> None:
    python = python_with(AGNO)
    assert python == tmp_path / "agnocli-tests" / "agno-0.0.0" / "bin" / "python"
    assert commands[1][-len(AGNO.requirements) :] == [*AGNO.requirements]
    assert python_with(AGNO) == python
    assert len(commands) == 2


def test_pip_makes_it_where_uv_fails(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = subprocess.run

    def run(command: list[str], **options: object) -> object:
        if command[1:3] == ["pip", "install"]:
            raise subprocess.CalledProcessError(1, command, "", "No such index")
        return made(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", run)
    python_with(AGNO)
    assert commands[-1][1:3] == ["-m", "pip"]
    assert commands[-1][-len(AGNO.requirements) :] == [*AGNO.requirements]
    assert is_made(tmp_path / "agnocli-tests" / "agno-0.0.0", AGNO)


def test_a_variable_names_one_that_is_there_already(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AGNO.variable, "/opt/agno/bin/python")
    assert python_with(AGNO) == Path("/opt/agno/bin/python")
    assert not commands


def test_one_that_was_left_half_made_or_has_other_requirements_is_made_anew(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    home = tmp_path / "agnocli-tests" / "agno-0.0.0"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").touch()
    assert not is_made(home, AGNO)
    python_with(AGNO)
    assert is_made(home, AGNO)
    (home / "requirements.txt").write_text("agno==0.0.0")
    python_with(AGNO)
    assert len(commands) == 4


def test_an_installation_that_fails_says_why_and_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str], **options: object) -> None:
        raise subprocess.CalledProcessError(1, command, "", "No matching distribution")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(UnavailableError, match="No matching distribution"):
        python_with(AGNO)
    assert not is_made(tmp_path / "agnocli-tests" / "agno-0.0.0", AGNO)
