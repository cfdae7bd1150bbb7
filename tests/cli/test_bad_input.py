"""Files, configurations and words that cannot be used: one line, a next step, the right status, nothing written."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from agnocli.db import sqlite
from agnocli.testing.records import sample_bundle
from tests.cli.conftest import Agno, fingerprint

READING = (["sessions", "list"], ["sessions", "inspect", "one"], ["backends", "check"])
WRITING = (
    ["chat", "-m", "echo", "-s", "one", "hi"],
    ["chat", "-m", "echo", "hi"],
    ["sessions", "rename", "one", "New"],
    ["sessions", "delete", "one", "--yes"],
    ["backends", "init"],
)
COMMANDS = (*READING, *WRITING)


def text_file(path: Path) -> None:
    path.write_bytes(b"Dear diary, this is no database at all.\n" * 100)


def overwritten(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[2 * 4096 :] = b"\xa5" * (len(body) - 2 * 4096)
    path.write_bytes(body)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])


def other_programs(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT)")
        connection.execute("INSERT INTO moz_places (url) VALUES ('https://example.org')")


def same_name_other_columns(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE agno_sessions (id INTEGER PRIMARY KEY, topic TEXT)")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("spoil", "status", "words"),
    [
        (text_file, 1, "is not an SQLite database"),
        (overwritten, 1, "is damaged"),
        (cut_off, 1, "is damaged"),
        (other_programs, 1, "has no table 'agno_sessions'; it has moz_places"),
        (same_name_other_columns, 1, "is not Agno 2's or 3's"),
        (folder, 7, "is a folder"),
    ],
)
def test_a_file_that_is_no_store_of_ours_is_left_as_it_is(
    agno: Agno, spoil: Callable[[Path], None], status: int, words: str, command: list[str]
) -> None:
    if spoil is other_programs and command == ["backends", "init"]:
        pytest.skip("making the tables there is what it is told to do")
    agno.store(*(sample_bundle(f"s-{n}", runs=4) for n in range(40)), sample_bundle("one"))
    spoil(agno.database)
    before = fingerprint(agno.home)
    ran = agno(*command)
    assert ran.error[0] == status, ran.err
    assert words in ran.error[1]
    assert str(agno.database) in ran.error[1]
    assert fingerprint(agno.home) == before


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_empty_file_is_a_store_that_was_never_made(agno: Agno, command: list[str]) -> None:
    agno.database.parent.mkdir(parents=True)
    agno.database.touch()
    ran = agno(*command)
    if command[0] == "chat" or command == ["backends", "init"]:
        assert ran.status == 0, ran.err
    else:
        assert ran.error == (3, f"nothing has been stored at {agno.database} yet")
        assert agno.database.stat().st_size == 0


@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_a_locked_database_is_said_to_be_locked(
    agno: Agno, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_SECONDS", 0.05)
    agno.store(sample_bundle("one"))
    with contextlib.closing(sqlite3.connect(agno.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ran = agno(*command)
        assert ran.error == (7, f"{agno.database} is locked by another program")
    assert agno.session_ids() == ["one"]
    assert len(agno.runs("one")) == 2


@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_a_read_only_backend_is_exit_12(agno: Agno, command: list[str]) -> None:
    agno.store(sample_bundle("one"))
    agno.configure(
        f'default_backend = "archive"\n[backends.archive]\ntype = "sqlite"\n'
        f'db_file = "{agno.database}"\nread_only = true\n'
    )
    before = fingerprint(agno.home)
    ran = agno(*command)
    assert (ran.status, ran.out) == (12, "")
    assert "read-only" in ran.err
    assert fingerprint(agno.home) == before


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("default_backend = [", "not valid TOML", "--config none"),
        ("default_bakend = 'x'", "line 1: default_bakend: unknown key", "'default_backend'"),
        (
            "[backends.b]\ntype = 'sqlite'\nfile = 'x'",
            "line 3: backends.b.file: unknown key",
            "'db_file'",
        ),
        ("[agents.a]\nmodle = 'x'", "line 2: agents.a.modle: unknown key", "'model'"),
        ("default_agent = 'nobody'", "line 1: default_agent: no agent 'nobody'", ""),
        ("[backends.b]\ntype = 3", "line 2: backends.b.type", ""),
    ],
)
@pytest.mark.parametrize("command", [["sessions", "list"], ["chat", "-m", "echo", "hi"]])
def test_a_wrong_configuration_is_exit_6_with_file_and_line(
    agno: Agno, text: str, words: str, hint: str, command: list[str]
) -> None:
    agno.configure(text)
    before = fingerprint(agno.home)
    ran = agno(*command)
    assert (ran.status, ran.out) == (6, "")
    first, *rest = ran.err.splitlines()
    assert first.startswith(f"error: {agno.config}")
    assert words in first
    assert hint in "".join(rest)
    assert fingerprint(agno.home) == before


@pytest.mark.parametrize("flag", ["--config", "AGNO_CONFIG"])
def test_a_named_configuration_must_be_there(agno: Agno, flag: str) -> None:
    missing = str(agno.home / "missing.toml")
    if flag == "--config":
        ran = agno("sessions", "list", flag, missing)
    else:
        agno.variables[flag] = missing
        ran = agno("sessions", "list")
    assert ran.error[0] == 6
    assert "missing.toml" in ran.error[1]
    assert "agno config init" in ran.hint


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("${env:NOT_SET}", "NOT_SET, which is not set"),
        ("${file:missing}", "missing: No such file"),
    ],
)
def test_a_reference_that_leads_nowhere_is_exit_6(agno: Agno, value: str, words: str) -> None:
    agno.configure(f'default_backend = "b"\n[backends.b]\ntype = "sqlite"\ndb_file = "{value}"\n')
    ran = agno("sessions", "list")
    assert ran.status == 6
    assert words in ran.err


@pytest.mark.parametrize(
    ("backend", "status"),
    [
        ("postgresql://me:hunter2@localhost:1/x", 7),
        ("redis://:hunter2@localhost:1/0", 7),
        ("nosuch://me:hunter2@host/x", 6),
        ("sqlite://relative.db", 6),
        ("sqlite:///x.db?colour=red", 6),
        ("", 6),
        ("sqlite:////proc/nowhere/x.db", 3),
    ],
)
def test_a_backend_that_cannot_be_is_an_error_without_its_password(
    agno: Agno, backend: str, status: int
) -> None:
    ran = agno("sessions", "list", "-b", backend, "--debug")
    assert (ran.status, ran.out) == (status, "")
    assert "hint: " in ran.err
    assert "hunter2" not in ran.err


def test_a_place_where_no_file_can_be_made_is_exit_7(agno: Agno) -> None:
    ran = agno("chat", "-m", "echo", "hi", "-b", "sqlite:////proc/nowhere/x.db")
    assert ran.error[0] == 7
    assert "cannot be made" in ran.error[1]


# words

BAD = "caf\udce9"


@pytest.mark.parametrize(
    "line",
    [
        ["chat", "-m", "echo", BAD],
        ["chat", "-m", "echo", f"😀 {BAD}"],
        ["chat", "-m", "echo", "-s", BAD, "hi"],
        ["chat", "-m", "echo", "-u", BAD, "hi"],
        ["chat", "-m", "echo", "--name", BAD, "hi"],
        ["chat", "-m", "echo", "--system", BAD, "hi"],
        ["chat", "-m", "echo", "--state", f'x="{BAD}"', "hi"],
        ["sessions", "inspect", BAD],
        ["sessions", "list", "--user", BAD],
        ["sessions", "list", BAD],
        ["sessions", "rename", "one", BAD],
        ["sessions", "delete", "one", BAD, "--yes"],
    ],
    ids=ascii,
)
def test_words_that_are_no_utf8_are_refused(agno: Agno, line: list[str]) -> None:
    agno.store(sample_bundle("one"))
    before = fingerprint(agno.home)
    ran = agno(*line)
    assert ran.error[0] == 2
    assert ran.error[1].endswith("is not valid UTF-8")
    assert fingerprint(agno.home) == before


def test_bytes_of_an_argument_are_refused_by_the_real_program_too(agno: Agno) -> None:
    ran = agno.process("chat", "-m", "echo", BAD)
    assert ran.error == (2, "PROMPT is not valid UTF-8")


@pytest.mark.parametrize(
    "flag", ["--session", "--agent", "--model", "--base-url", "--user", "--name"]
)
def test_an_empty_value_is_an_error(agno: Agno, flag: str) -> None:
    for empty in ("", " "):
        assert agno("chat", "-m", "echo", "hi", flag, empty).error == (2, f"{flag} is empty")
    assert fingerprint(agno.home) == {}


def test_an_empty_prompt_is_an_error(agno: Agno) -> None:
    assert agno("chat", "-m", "echo", "").error == (2, "PROMPT is empty")
    assert agno("chat", "-m", "echo", "", stdin="but stdin").error == (2, "PROMPT is empty")


def test_stdin_that_is_no_text_is_an_error(agno: Agno) -> None:
    assert agno("chat", "-m", "echo", stdin=b"caf\xe9").error == (2, "stdin is not UTF-8 text")
    assert not agno.database.exists()


@pytest.mark.parametrize("name", ["missing.txt", "binary.bin", "."])
def test_a_file_that_cannot_be_added_is_an_error(agno: Agno, name: str) -> None:
    (agno.home / "binary.bin").write_bytes(b"\xff\xfe\x00")
    ran = agno("chat", "-m", "echo", "hi", "-f", str(agno.home / name))
    assert ran.error[0] == 2
    assert ran.error[1].startswith("--file ")
    assert not agno.database.exists()


def test_a_nul_in_stdin_is_kept(agno: Agno) -> None:
    agno("chat", "-m", "echo", "-s", "s", stdin="a\0b")
    found = agno("sessions", "inspect", "s", "-o", "json").json
    assert found["runs"][0]["input"]["input_content"] == "a\0b"
