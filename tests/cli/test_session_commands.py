"""Commands about one session or a few: inspect, rename, delete, and how a session is meant."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.records import NULL, Document, SessionBundle
from agnocli.testing.records import EPOCH, document, sample_run, sample_session
from tests.cli.conftest import Agno, bundle, fingerprint

# inspect


def test_json_is_the_session_dict_with_the_runs_in_order(agno: Agno) -> None:
    state = '{"n": 1180591620717411303424, "nan": NaN, "inf": -Infinity, "f": 1.0, "s": "\\ud800"}'
    session = sample_session(
        "exact",
        session_data=Document(b'{"session_state": ' + state.encode() + b', "session_name": "E"}'),
        metadata=None,
        summary=NULL,
        team_data=document({"a": [1, {"b": None}]}),
    )
    runs = [sample_run("exact", n) for n in range(12)]
    agno.store(SessionBundle(session, runs))
    for arguments in (("-o", "json"), ("-o", "jsonl"), ("--raw",)):
        ran = agno("sessions", "inspect", "exact", *arguments)
        assert state in ran.out
        assert ran.out.count("\n") == 1
        found = ran.json
        assert list(found)[:6] == [
            "session_id",
            "session_type",
            "agent_id",
            "team_id",
            "workflow_id",
            "user_id",
        ]
        assert list(found)[-1] == "runs"
        assert found["team_data"] == {"a": [1, {"b": None}]}
        assert found["metadata"] is found["summary"] is None
        assert found["session_data"]["session_state"]["n"] == 2**70
        assert (found["created_at"], found["updated_at"]) == (EPOCH, EPOCH + 60)
        assert found["runs"] == [codec.decode(run.run_data) for run in runs]


def test_json_holds_what_is_no_json_and_columns_nobody_knows(agno: Agno) -> None:
    agno.store(bundle("odd"))
    with closing(sqlite3.connect(agno.database)) as connection, connection:
        connection.execute("ALTER TABLE agno_sessions ADD COLUMN mood VARCHAR")
        connection.execute("UPDATE agno_sessions SET mood = 'fine', metadata = '{broken'")
        connection.execute("UPDATE agno_runs SET run_data = '{\n  \"run_id\":\n 1}'")
    ran = agno("sessions", "inspect", "odd", "-o", "jsonl")
    assert ran.out.count("\n") == 1
    assert ran.json["mood"] == "fine"
    assert ran.json["metadata"] == "{broken"
    assert ran.json["runs"] == [{"run_id": 1}]


def test_last_shows_the_newest_runs_in_order(agno: Agno) -> None:
    agno.store(bundle("long", runs=9))
    found = agno("sessions", "inspect", "long", "--last", "2", "-o", "json").json["runs"]
    assert [run["content"] for run in found] == ["answer 7", "answer 8"]
    text = agno("sessions", "inspect", "long", "--last", "2").out
    assert "question 6" not in text
    assert text.index("question 7") < text.index("answer 7") < text.index("answer 8")


def test_roles_state_and_tools_choose_what_is_shown(agno: Agno) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"x": 41}'}}
    run = sample_run("full")
    data = codec.decode(run.run_data)
    data["messages"] += [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {
            "role": "tool",
            "content": "forty\ntwo",
            "tool_call_id": "c1",
            "tool_name": "add",
        },
    ]
    agno.store(
        SessionBundle(
            sample_session("full"),
            [replace(run, run_data=document(data))],
        )
    )
    plain = agno("sessions", "inspect", "full").out
    assert "question 0" in plain and "answer 0" in plain
    assert "add(" in plain and "forty two" in plain
    tools = agno("sessions", "inspect", "full", "--tools").out
    assert "arguments:" in tools and "forty\n    two\n" in tools
    assert "cups" in agno("sessions", "inspect", "full", "--state").out
    users = agno("sessions", "inspect", "full", "--role", "user").out
    assert "question 0" in users and "answer 0" not in users


def test_show_is_inspect(three: Agno) -> None:
    assert three("sessions", "show", "aaaa-1").out == three("sessions", "inspect", "aaaa-1").out


# references


@pytest.mark.parametrize("reference", ["bbbb-1", "Coffee", "bbbb", "@last"])
def test_a_session_is_meant_by_id_name_prefix_or_last(three: Agno, reference: str) -> None:
    assert three("sessions", "inspect", reference, "-o", "json").json["session_id"] == "bbbb-1"


def test_an_id_is_meant_before_a_name_and_a_name_before_a_prefix(agno: Agno) -> None:
    agno.store(
        bundle("same", name="x"), bundle("other-1", name="same"), bundle("long-id", name="other")
    )
    inspected = [
        agno("sessions", "inspect", reference, "-o", "json").json["session_id"]
        for reference in ("same", "other")
    ]
    assert inspected == ["same", "long-id"]


@pytest.mark.parametrize("reference", ["twin", "Twins"])
def test_what_means_two_sessions_is_refused_with_both(agno: Agno, reference: str) -> None:
    agno.store(bundle("twin-1", name="Twins"), bundle("twin-2", name="Twins"), bundle("third"))
    ran = agno("sessions", "inspect", reference)
    assert ran.error == (4, f"{reference!r} means more than one session")
    assert ran.hint == "give one of: twin-1, twin-2"


def test_a_name_is_exact_even_among_many_that_differ_in_case_only(agno: Agno) -> None:
    agno.store(
        bundle("wanted", name="tea [*?]", at=-5),
        *(bundle(f"s-{n}", name="TEA [*?]", at=n) for n in range(120)),
    )
    assert agno("sessions", "inspect", "tea [*?]", "-o", "json").json["session_id"] == "wanted"


def test_a_prefix_has_four_characters_at_least(three: Agno) -> None:
    assert three("sessions", "inspect", "bbb").error == (3, "no session 'bbb'")


def test_an_unknown_session_is_an_error_with_the_nearest(three: Agno) -> None:
    ran = three("sessions", "inspect", "cofee")
    assert ran.error == (3, "no session 'cofee'")
    assert "'Coffee'" in ran.hint


@pytest.mark.parametrize("command", ["inspect", "show", "delete"])
def test_an_empty_reference_is_an_error(three: Agno, command: str) -> None:
    before = fingerprint(three.home)
    assert three("sessions", command, "", "--yes").error == (2, "the session is empty")
    assert fingerprint(three.home) == before


# rename


def test_rename_changes_nothing_but_the_name_and_the_time(three: Agno) -> None:
    def rows() -> list[dict[str, Any]]:
        with SqliteDb(three.database) as backend:
            sessions = [one.session for _, one in backend.scan()]
            return [
                {name: getattr(one, name) for name in one.__struct_fields__} for one in sessions
            ]

    before = rows()
    runs = three.rows("SELECT * FROM agno_runs ORDER BY run_id")
    ran = three("sessions", "rename", "Tea", "Green tea")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err == "aaaa-1 is now named 'Green tea'\n"
    after = rows()
    assert three.rows("SELECT * FROM agno_runs ORDER BY run_id") == runs
    assert after[1:] == before[1:]
    assert after[0].pop("updated_at") >= before[0].pop("updated_at") + 1
    assert codec.decode(after[0].pop("session_data")) == {
        **codec.decode(before[0].pop("session_data")),
        "session_name": "Green tea",
    }
    assert after[0] == before[0]


def test_rename_says_what_it_did_as_json(three: Agno) -> None:
    ran = three("sessions", "rename", "aaaa", "New", "-o", "json")
    assert ran.json == {"session_id": "aaaa-1", "name": "New", "dry_run": False}


@pytest.mark.parametrize("command", [["rename", "aaaa-1", "New"], ["delete", "aaaa-1", "bbbb-1"]])
def test_a_dry_run_writes_nothing(three: Agno, command: list[str]) -> None:
    before = fingerprint(three.home)
    ran = three("sessions", *command, "-n")
    assert ran.status == 0
    assert "would" in ran.err
    assert fingerprint(three.home) == before


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_an_error(three: Agno, name: str) -> None:
    assert three("sessions", "rename", "aaaa-1", name).error == (2, "the name is empty")


# delete


def test_delete_takes_several_with_all_their_runs(three: Agno) -> None:
    ran = three("sessions", "delete", "Tea", "bbbb", "aaaa-1", "--yes", "-o", "json")
    assert ran.json == {
        "deleted": ["aaaa-1", "bbbb-1"],
        "dry_run": False,
        "trash": ran.json["trash"],
    }
    assert three.session_ids() == ["cccc-1"]
    assert three.rows("SELECT DISTINCT session_id FROM agno_runs") == [("cccc-1",)]


def test_delete_without_a_terminal_asks_for_yes_and_deletes_nothing(three: Agno) -> None:
    before = fingerprint(three.home)
    ran = three.process("sessions", "delete", "aaaa-1", stdin=b"y\n")
    status, message = ran.error
    assert status == 11
    assert message.startswith("Delete session aaaa-1")
    assert "--yes" in ran.hint
    assert fingerprint(three.home) == before


def test_delete_deletes_nothing_when_one_of_them_is_unknown(three: Agno) -> None:
    before = fingerprint(three.home)
    assert three("sessions", "delete", "aaaa-1", "nobody", "--yes").error[0] == 3
    assert fingerprint(three.home) == before


@pytest.mark.parametrize(("answer", "left"), [(b"y\n", 2), (b"\n", 3), (b"no\n", 3), (b"\x04", 3)])
def test_delete_asks_on_a_terminal_and_on_stderr(three: Agno, answer: bytes, left: int) -> None:
    control, terminal = pty.openpty()
    command = [sys.executable, "-m", "agnocli", "sessions", "delete", "aaaa-1"]
    with subprocess.Popen(
        command, stdin=terminal, stderr=terminal, stdout=subprocess.PIPE
    ) as process:
        os.close(terminal)
        shown = b""
        for _ in range(200):
            shown += os.read(control, 1000)
            if b"[y/N]" in shown:
                break
        os.write(control, answer)
        assert process.stdout
        assert process.stdout.read() == b""
        assert process.wait(60) == (0 if left == 2 else 1)
    os.close(control)
    assert b"Delete session aaaa-1 'Tea' at " in shown
    assert len(three.session_ids()) == left
