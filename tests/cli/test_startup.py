"""What a start loads, and that reading leaves no trace."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from agnocli.testing.records import sample_bundle
from tests.cli.conftest import Agno, ended, fingerprint

HEAVY = {
    "_hashlib",
    "asyncio",
    "detect_secrets",
    "httpx",
    "httpx2",
    "importlib.metadata",
    "markdown_it",
    "openai",
    "prompt_toolkit",
    "psycopg",
    "pydantic",
    "pygments",
    "pymongo",
    "pymysql",
    "redis",
    "rich",
    "sqlalchemy",
    "tomllib",
}
OURS_THAT_WAIT = {
    "agnocli.agent",
    "agnocli.cli.chatting",
    "agnocli.cli.render.markdown",
    "agnocli.cli.render.transcript",
    "agnocli.cli.repl",
    "agnocli.db.sql.schema",
    "agnocli.formats",
    "agnocli.secrets",
    "agnocli.sessions.redact",
    "agnocli.testing",
}
PROBE = """
import sys
from agnocli.__main__ import main
try:
    main()
finally:
    print("\\n".join(sorted(sys.modules)), file=sys.stderr)
"""


def loaded(agno: Agno, *arguments: str) -> set[str]:
    """Modules that are there when a command ends, well."""
    command = [sys.executable, "-c", PROBE, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        ran = ended(process)
    assert ran.status == 0, ran.err
    return set(ran.err.split())


def of(names: set[str], found: set[str]) -> set[str]:
    """Which of the packages named are among modules found."""
    return {name for name in names if any(f"{one}.".startswith(f"{name}.") for one in found)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions", "list"],
        ["sessions", "list", "-o", "json", "--name", "T*"],
        ["--help"],
        ["sessions", "--help"],
        ["sessions", "list", "--help"],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_a_quick_command_loads_nothing_heavy(agno: Agno, arguments: list[str]) -> None:
    agno.store(sample_bundle("one"))
    found = loaded(agno, *arguments)
    assert of(HEAVY, found) == set()
    assert of(OURS_THAT_WAIT, found) == set()


def test_help_of_chat_loads_no_model_and_no_prompt(agno: Agno) -> None:
    assert of(HEAVY, loaded(agno, "chat", "--help")) == set()


def test_a_chat_with_echo_loads_neither_openai_nor_rich_into_a_pipe(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    found = loaded(agno, "chat", "-m", "echo", "hello")
    assert of(HEAVY - {"importlib.metadata"}, found) == set()


def test_version_loads_the_version(agno: Agno) -> None:
    found = loaded(agno, "--version")
    assert of({"typing", "typer", "msgspec", *HEAVY}, found) == set()
    assert {one for one in found if one.startswith("agnocli")} == {"agnocli", "agnocli.__main__"}


def test_the_probe_sees_what_is_loaded(agno: Agno) -> None:
    """The tests above look for names that really are the names of modules."""
    wanted = HEAVY - {"psycopg", "pymongo", "pymysql", "redis", "httpx", "httpx2"}
    code = f"import sys, {', '.join(sorted(wanted))}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = set(ran.stdout.split())
    assert of(HEAVY, found) >= wanted
    assert of({"httpx", "httpx2"}, found)


READING = [
    ["sessions", "list"],
    ["sessions", "list", "--name", "T*", "-o", "json"],
    ["sessions", "inspect", "@last"],
    ["backends", "list"],
    ["config", "show"],
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_reading_changes_no_byte_and_leaves_nothing_behind(
    agno: Agno, arguments: list[str]
) -> None:
    agno.store(sample_bundle("one"))
    before = fingerprint(agno.home)
    assert agno.process(*arguments).status == 0
    assert fingerprint(agno.home) == before
    assert set(before) == {"data/agno/agno.db"}


def test_reading_beside_a_writer_sees_what_it_committed(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    with closing(sqlite3.connect(agno.database, isolation_level=None)) as writer:
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        writer.execute("UPDATE agno_sessions SET user_id = 'committed'")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE agno_sessions SET user_id = 'open'")
        before = {name: body for name, body in fingerprint(agno.home).items() if "shm" not in name}
        assert set(before) == {"data/agno/agno.db", "data/agno/agno.db-wal"}
        (row,) = agno.process("sessions", "list", "-o", "json").json
        assert row["user_id"] == "committed"
        after = {name: body for name, body in fingerprint(agno.home).items() if "shm" not in name}
        assert after == before
        writer.execute("COMMIT")
    (row,) = agno.process("sessions", "list", "-o", "json").json
    assert row["user_id"] == "open"
    assert set(fingerprint(agno.home)) == {"data/agno/agno.db"}


def test_a_folder_that_cannot_be_written_can_be_listed(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    folder, before = agno.database.parent, fingerprint(agno.home)
    agno.database.chmod(0o444)
    folder.chmod(0o555)
    try:
        ran = agno.process("sessions", "list", "-o", "ids", bound_by_permissions=True)
        refused = agno.process("sessions", "rename", "one", "New", bound_by_permissions=True)
    finally:
        folder.chmod(0o700)
    assert (ran.err, ran.out, ran.status) == ("", "one\n", 0)
    assert refused.error == (12, f"{agno.database} cannot be written")
    assert fingerprint(agno.home) == before


def test_a_file_that_cannot_be_read_is_an_error(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    agno.database.chmod(0)
    ran = agno.process("sessions", "list", bound_by_permissions=True)
    assert ran.error == (7, f"{agno.database} cannot be opened")
    assert "you may" in ran.hint
