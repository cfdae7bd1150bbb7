from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from agnocli.cli.app import COMMANDS
from agnocli.testing.records import EPOCH, sample_bundle
from tests.cli.conftest import Agno

PROBE = """
eval "$(agno completion bash)"
complete -p agno >&2
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_agno_complete
printf '%s\\n' "${COMPREPLY[@]}"
"""

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


@pytest.fixture
def installed(agno: Agno, monkeypatch: pytest.MonkeyPatch) -> Agno:
    """With `agno` on the PATH."""
    script = agno.home / "bin" / "agno"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agnocli "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return agno


def asked(agno: Agno, *words: str, shell: str = "bash") -> list[str]:
    """What the program offers for the last word."""
    *before, word = words
    agno.variables |= {"_AGNO_COMPLETE": shell, "_AGNO_BEFORE": "\n".join(before)}
    ran = Agno(agno.home, agno.variables | {"_AGNO_WORD": word})()
    assert (ran.status, ran.err) == (0, "")
    return ran.lines


@bash
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["agno", ""], list(COMMANDS)),
        (["agno", "se"], ["sessions"]),
        (["agno", "sessions", "ren"], ["rename"]),
        (["agno", "-o", "json", "sessions", "in"], ["inspect"]),
        (["agno", "sessions", "inspect", "demo-"], ["demo-2", "demo-1"]),
        (["agno", "chat", "-s", "demo-1"], ["demo-1"]),
        (["agno", "sessions", "list", "-o", "js"], ["json", "jsonl"]),
        (["agno", "sessions", "list", "--sort", ""], ["updated", "created"]),
    ],
)
def test_bash_completes_after_sourcing_the_script(
    installed: Agno, words: list[str], expected: list[str]
) -> None:
    installed.store(
        sample_bundle("demo-1", updated_at=EPOCH), sample_bundle("demo-2", updated_at=EPOCH + 1)
    )
    ran = subprocess.run(
        ["bash", "--norc", "-c", PROBE, "bash", *words], capture_output=True, text=True, check=True
    )
    assert "-F _agno_complete agno" in ran.stderr
    assert ran.stdout.splitlines() == expected


@bash
def test_the_tab_key_completes_at_a_real_prompt(installed: Agno) -> None:
    shell = pexpect.spawn("bash --norc --noprofile -i", encoding="utf-8", timeout=60)
    shell.sendline("PS1='ready''> '; eval \"$(agno completion bash)\"")
    shell.expect("ready> ")
    shell.send("agno sess\tlis\t")
    shell.expect("agno sessions list ")
    shell.close(force=True)


def test_options_are_offered_with_their_help(agno: Agno) -> None:
    found = asked(agno, "sessions", "list", "--s", shell="fish")
    assert [one.split("\t")[0] for one in found] == ["--sort", "--since", "--status"]
    assert found[1].split("\t")[1].startswith("36h")
    assert "--output" in asked(agno, "sessions", "list", "--o")


def test_names_of_the_configuration_are_offered(agno: Agno) -> None:
    agno.configure('[backends.mine]\ntype = "memory"\n[agents.writer]\nmodel = "echo"\n')
    assert asked(agno, "sessions", "list", "-b", "m") == ["mine"]
    assert asked(agno, "backends", "check", "") == ["mine"]
    assert asked(agno, "chat", "-a", "") == ["writer"]
    assert asked(agno, "chat", "-m", "op") == ["openai:", "openai-like:", "openrouter:"]
    assert asked(agno, "completion", "") == ["bash", "zsh", "fish"]


def test_sessions_are_those_of_the_backend_on_the_line(agno: Agno) -> None:
    other = Agno(agno.home / "other")
    other.store(sample_bundle("elsewhere"))
    agno.store(sample_bundle("here"))
    assert asked(agno, "sessions", "inspect", "") == ["here", "Tea"]
    line = ["-b", str(other.database), "sessions", "inspect", ""]
    assert asked(agno, *line) == ["elsewhere", "Tea"]


def test_deleted_sessions_are_offered_where_they_can_be_restored(three: Agno) -> None:
    three("sessions", "delete", "aaaa-1", "--yes")
    assert asked(three, "sessions", "restore", "") == ["aaaa-1"]
    assert "aaaa-1" not in asked(three, "sessions", "inspect", "")
    assert asked(three, "sessions", "state", "") == ["get", "set", "unset"]
    assert asked(three, "sessions", "state", "get", "bb") == ["bbbb-1"]
    assert "--older-than" in asked(three, "sessions", "prune", "--o")
    assert "--tag" in asked(three, "sessions", "prune", "--ta")


def test_the_other_session_of_a_difference_is_completed(three: Agno) -> None:
    assert asked(three, "sessions", "inspect", "aaaa-1", "--diff", "cc") == ["cccc-1"]


def test_only_plain_words_are_offered_and_no_escapes_shown(agno: Agno) -> None:
    agno.store(
        sample_bundle("a b", name="two words"),
        sample_bundle("x;rm", name="$(reboot)"),
        sample_bundle("evil\x1b[2J", name="back`tick"),
        sample_bundle("fine", name="ti\x1b[2Jtle"),
    )
    for shell in ("bash", "zsh", "fish"):
        offered = "\n".join(asked(agno, "sessions", "inspect", "", shell=shell))
        assert "fine" in offered
        assert not set(offered) & set(" ;$`\x1b") or "rm" not in offered
        assert "\x1b" not in offered


def test_zsh_gets_colons_escaped(agno: Agno) -> None:
    agno.store(sample_bundle("a:b", name="A title: long"))
    assert asked(agno, "sessions", "inspect", "a", shell="zsh") == ["a\\:b:A title: long"]


def test_what_cannot_be_read_offers_nothing(agno: Agno) -> None:
    agno.variables |= {"_AGNO_COMPLETE": "bash", "_AGNO_BEFORE": "sessions\ninspect"}
    ran = agno()
    assert (ran.status, ran.out, ran.err) == (1, "", "")
    assert not agno.database.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_for_each_shell(agno: Agno, shell: str) -> None:
    ran = agno("completion", shell)
    assert (ran.status, ran.err) == (0, "")
    assert "_AGNO_COMPLETE" in ran.out
    assert "agnocli" in ran.out
    if shutil.which(shell):
        script = Path("script")
        script.write_text(ran.out)
        subprocess.run([shell, "-n", str(script)], check=True)
