"""A file that we made is the file that agno would have made."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.testing.openai_server import Answer, ScriptedServer
from tests.interop.agno_env import NEWEST, Agno
from tests.interop.conftest import Serve
from tests.interop.sides import Ours, RealAgno, Talk, documents, rows

Pair = tuple[Path, Path]

TURNS = [('Grüße ☕ "quoted" \\ /', "Añadido €\n\x1b[2J\x00 </b>\u2028𝒜"), ("Again", "Bye")]

PROVIDERS_OWN = re.compile(r'"(model_)?provider_data": \{"id": "chatcmpl-1"\}, ')
"""The provider's id of an answer, which agno's Responses models go on from and Chat Completions never ask for."""

OURS_ALONE = re.compile(r'"title": "[^"\\]*(\\.[^"\\]*)*", ')
"""What a session is listed as until it has a name; agno keeps it with the rest of session_data."""

VOLATILE = re.compile(
    r'"(?P<key>run_id|id|created_at|duration|time_to_first_token)": ("[0-9a-f-]{36}"|[0-9.e-]+)'
)


@pytest.fixture(scope="module")
def pair(agno_python: Callable[[Agno], Path], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two files with the same conversation: ours, and agno's own."""
    home = tmp_path_factory.mktemp("pair")
    ours, theirs = home / "ours.db", home / "theirs.db"
    answers = [Answer(answer, usage=(12, 5)) for _, answer in TURNS]
    with ScriptedServer([*answers, *answers]) as server:
        with Talk(ours) as talk:
            for question, _ in TURNS:
                talk("s1", question, at=server.base_url, user_id="alice", system="Be brief.")
        with RealAgno(agno_python(NEWEST), home, NEWEST.version) as agno:
            agno(
                "agents.run", str(theirs), server.base_url, "s1", [one for one, _ in TURNS],
                user_id="alice", instructions="Be brief.", add_history_to_context=True,
            )  # fmt: skip
        assert server.requests[0]["messages"] == server.requests[2]["messages"]
        assert server.requests[1]["messages"] == server.requests[3]["messages"]
    return ours, theirs


def test_tables_indexes_and_columns_are_the_same(pair: Pair) -> None:
    for sql in (
        "SELECT type, name, tbl_name FROM sqlite_master",
        "SELECT m.name AS 'table', c.* FROM sqlite_master m, pragma_table_info(m.name) c",
        "SELECT m.name AS 'table', i.name, i.'unique', c.* FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c",
        "SELECT m.name AS 'owner', f.* FROM sqlite_master m, pragma_foreign_key_list(m.name) f",
    ):
        our, their = ({tuple(row.values()) for row in rows(file, sql)} for file in pair)
        assert our == their
        assert our


def test_the_statements_that_made_them_are_the_same(pair: Pair) -> None:
    our, their = (
        {row["name"]: re.sub(r"\s+", " ", row["sql"] or "") for row in rows(file, "SELECT * FROM sqlite_master")}
        for file in pair
    )  # fmt: skip
    assert our == their


def test_version_stamps_and_journal_mode_are_the_same(pair: Pair) -> None:
    for sql in (
        "SELECT table_name, version, updated_at IS NULL FROM agno_schema_versions ORDER BY 1",
        "PRAGMA journal_mode",
    ):
        our, their = (rows(file, sql) for file in pair)
        assert our == their
    assert our == [{"journal_mode": "wal"}]
    form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"
    for file in pair:
        for row in rows(file, "SELECT created_at FROM agno_schema_versions"):
            assert re.fullmatch(form, row["created_at"])


def neutral(text: str) -> str:
    """A document's text with ids, times and what is allowed to differ taken out; all else to the character."""
    text = OURS_ALONE.sub("", PROVIDERS_OWN.sub("", text))
    return VOLATILE.sub(r'"\g<key>": …', text)


def test_a_run_is_written_to_the_character_as_agno_writes_it(pair: Pair) -> None:
    our, their = (rows(file, "SELECT * FROM agno_runs ORDER BY run_index") for file in pair)
    assert [neutral(row["run_data"]) for row in our] == [neutral(row["run_data"]) for row in their]
    for mine, its in zip(our, their, strict=True):
        assert list(mine) == list(its)
        assert columns(mine) == columns(its)
        assert mine["run_id"] == codec.decode(mine["run_data"])["run_id"]
        assert mine["created_at"] == codec.decode(mine["run_data"])["created_at"]


def columns(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: type(value) if name in ("run_id", "created_at", "updated_at", "run_data") else value
        for name, value in row.items()
    }


def test_a_session_is_written_as_agno_writes_it(pair: Pair) -> None:
    (our,), (their,) = (rows(file, "SELECT * FROM agno_sessions") for file in pair)
    assert neutral(our["session_data"]) == neutral(their["session_data"])
    # agno keeps a model's parts in a set: their order is another in every process
    assert documents(our)["agent_data"] == documents(their)["agent_data"]
    for name in ("session_id", "session_type", "agent_id", "team_id", "workflow_id", "user_id"):
        assert our[name] == their[name]
    for name in ("team_data", "workflow_data", "metadata", "summary"):
        assert our[name] == their[name]
    assert list(our) == list(their)


def test_every_value_has_the_storage_class_agno_gives_it(pair: Pair) -> None:
    for table in ("agno_sessions", "agno_runs", "agno_schema_versions"):
        names = rows(pair[0], f"SELECT * FROM {table}")[0]
        kinds = ", ".join(f"typeof({name})" for name in names)
        our, their = (rows(file, f"SELECT {kinds} FROM {table}") for file in pair)
        assert our == their


def test_agno_adds_nothing_to_a_file_of_ours(
    agno: RealAgno, talk: Talk, ours: Ours, serve: Serve
) -> None:
    server = serve(Answer("one"), Answer("two"))
    talk("s1", "Hi", at=server.base_url)
    made = "SELECT name, sql FROM sqlite_master"
    before = rows(ours.file, made), rows(ours.file, "SELECT * FROM agno_schema_versions")
    agno("agents.run", str(ours.file), server.base_url, "s1", ["Hi"])
    agno("stored.migrate", str(ours.file))
    assert rows(ours.file, made) == before[0]
    stamps = rows(ours.file, "SELECT * FROM agno_schema_versions")
    assert [one for one in stamps if one in before[1]] == before[1]
    assert {one["version"] for one in stamps} == {"3.0.0"}
