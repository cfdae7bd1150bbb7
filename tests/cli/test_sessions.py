from __future__ import annotations

import csv
import io
import os
import pty
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.records import NULL, Document, SessionBundle
from agnocli.testing.records import EPOCH, document, sample_bundle, sample_run, sample_session
from tests.cli.conftest import Agno, fingerprint

PROMISED = [
    "session_id",
    "name",
    "title",
    "type",
    "agent_id",
    "team_id",
    "workflow_id",
    "user_id",
    "runs",
    "created_at",
    "updated_at",
    "backend",
]


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


def ids(agno: Agno, *arguments: str) -> list[str]:
    ran = agno("sessions", "list", "-o", "ids", *arguments)
    assert ran.status == 0, ran.err
    return ran.lines


def test_the_latest_session_is_listed_first(three: Agno) -> None:
    assert ids(three) == ["bbbb-1", "cccc-1", "aaaa-1"]
    assert ids(three, "--reverse") == ["aaaa-1", "cccc-1", "bbbb-1"]


def test_sessions_can_be_sorted_by_when_they_were_made(agno: Agno) -> None:
    agno.store(
        sample_bundle("old", created_at=EPOCH, updated_at=EPOCH + 9),
        sample_bundle("new", created_at=EPOCH + 5, updated_at=EPOCH + 6),
    )
    assert ids(agno) == ["old", "new"]
    assert ids(agno, "--sort", "created") == ["new", "old"]


def test_ties_are_listed_by_id_on_every_page(agno: Agno) -> None:
    agno.store(*(bundle(f"tie-{n}", at=0) for n in (3, 1, 4, 2, 5)))
    everything = ids(agno)
    assert everything == [f"tie-{n}" for n in range(1, 6)]
    assert ids(agno, "--reverse") == everything[::-1]
    pages = [ids(agno, "--limit", "2", "--page", str(page)) for page in (1, 2, 3)]
    assert pages == [["tie-1", "tie-2"], ["tie-3", "tie-4"], ["tie-5"]]


def test_each_page_says_how_to_go_on_until_the_last(agno: Agno) -> None:
    agno.store(*(bundle(f"tie-{n}", at=n // 2) for n in range(5)))
    seen: list[str] = []
    arguments = ["sessions", "list", "-o", "ids", "--limit", "2"]
    for _ in range(3):
        ran = agno(*arguments)
        seen += ran.lines
        if "--cursor" not in ran.err:
            break
        arguments = [*arguments[:6], "--cursor", ran.err.split("--cursor ")[1].strip()]
    assert seen == ids(agno, "--all")
    assert ran.err == ""
    assert len(seen) == 5


def test_a_cut_listing_says_of_how_many_in_every_format(three: Agno) -> None:
    for output in ("table", "tsv", "csv", "json", "jsonl", "ids"):
        ran = three("sessions", "list", "--limit", "2", "-o", output)
        assert ran.err.startswith("2 of 3 shown; more with --all or --cursor "), output
    assert three("sessions", "list", "--limit", "2", "-q").err == ""


def test_all_lists_more_than_one_read_of_the_backend(agno: Agno) -> None:
    agno.store(*(bundle(f"s-{n:04}", at=n // 100, runs=0) for n in range(1203)))
    found = ids(agno, "--all", "--limit", "7")
    assert len(found) == len(set(found)) == 1203


def test_a_page_behind_the_last_is_empty(three: Agno) -> None:
    assert ids(three, "--page", "9") == []
    assert three("sessions", "list", "--page", "9", "-o", "json").json == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--user", "bob"], ["bbbb-1"]),
        (["--agent", "writer"], ["cccc-1"]),
        (["--name", "co*"], ["bbbb-1", "cccc-1"]),
        (["--name", "Co"], []),
        (["coc"], ["cccc-1"]),
        (["AAAA"], ["aaaa-1"]),
        (["--tag", "home"], ["bbbb-1", "cccc-1", "aaaa-1"]),
        (["--tag", "work"], []),
        (["--status", "completed"], ["bbbb-1", "cccc-1", "aaaa-1"]),
        (["--status", "ERROR"], []),
        (["--model", "gpt-4o-mini", "--user", "alice"], ["cccc-1", "aaaa-1"]),
        (["--model", "gpt"], []),
        (["--type", "agent", "--agent", "writer"], ["cccc-1"]),
        (["--type", "team"], []),
        (["--team", "desk"], []),
    ],
)
def test_filters_choose_sessions(three: Agno, arguments: list[str], expected: list[str]) -> None:
    assert ids(three, *arguments) == expected


def test_since_is_inclusive_and_until_is_not(agno: Agno) -> None:
    now = int(time.time())
    agno.store(
        *(sample_bundle(f"{days}-days", updated_at=now - days * 86_400 - 100) for days in (0, 1, 7))
    )
    assert ids(agno, "--since", "36h") == ["0-days", "1-days"]
    assert ids(agno, "--until", "36h") == ["7-days"]
    assert ids(agno, "--since", "8d", "--until", "1d") == ["1-days", "7-days"]
    exact = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 86_400 - 100))
    assert ids(agno, "--since", exact) == ["0-days", "1-days"]
    assert ids(agno, "--until", exact) == ["7-days"]
    assert ids(agno, "--until", "2001-01-31") == []


@pytest.mark.parametrize("text", ["0001-01-01", "soon", "7 d", "", "2026-13-01"])
def test_what_is_no_time_is_an_error(three: Agno, text: str) -> None:
    assert three("sessions", "list", "--since", text).error[0] == 2


def test_json_has_exactly_the_promised_keys(three: Agno) -> None:
    ran = three("sessions", "list", "-o", "json", "--user", "bob")
    (row,) = ran.json
    assert [key for key in row if key in PROMISED] == PROMISED
    assert row["runs"] == 3
    assert row["updated_at"] == EPOCH + 30
    assert row["created_at"] == EPOCH
    assert row["name"] == row["title"] == "Coffee"
    assert row["backend"] == "default"


def test_the_backend_of_a_row_can_be_given_again(three: Agno) -> None:
    url = f"sqlite:///{three.database}"
    (row, *_) = three("sessions", "list", "-o", "json", "-b", url).json
    assert three("sessions", "inspect", row["session_id"], "-b", row["backend"]).status == 0


def test_jsonl_is_one_object_a_line(three: Agno) -> None:
    lines = three("sessions", "list", "-o", "jsonl").lines
    assert [codec.decode(line)["session_id"] for line in lines] == ["bbbb-1", "cccc-1", "aaaa-1"]


def test_csv_can_be_read_back_whatever_a_name_holds(agno: Agno) -> None:
    name = 'two\nlines, "quoted", and a comma; =1+1'
    agno.store(bundle("odd", name=name))
    rows = list(csv.DictReader(io.StringIO(agno("sessions", "list", "-o", "csv").out)))
    assert [row["name"] for row in rows] == [name]
    assert rows[0]["runs"] == "1"
    assert rows[0]["updated_at"].endswith("Z")


def test_tsv_keeps_one_session_on_one_line(agno: Agno) -> None:
    agno.store(bundle("odd", name="a\tb\nc\\d"))
    header, row = agno("sessions", "list", "-o", "tsv", "--fields", "name,session_id").lines
    assert header.split("\t") == ["name", "session_id"]
    assert row.split("\t") == ["a\\tb\\nc\\\\d", "odd"]


def test_into_a_pipe_comes_plain_unwrapped_text(agno: Agno) -> None:
    agno.store(bundle("wide", name="long " * 60))
    ran = agno.process("sessions", "list")
    assert len(ran.lines) == 2
    assert "long " * 59 in ran.out
    assert "\x1b" not in ran.out


def test_fields_are_listed_as_asked_for(three: Agno) -> None:
    ran = three("sessions", "list", "--fields", "runs,session_id", "-o", "csv", "--user", "bob")
    assert ran.out == "runs,session_id\n3,bbbb-1\n"
    ran = three("sessions", "list", "--fields", "runs,session_id", "-o", "json", "--user", "bob")
    assert ran.json == [{"runs": 3, "session_id": "bbbb-1"}]


def test_an_unknown_field_is_an_error_with_the_known_ones(three: Agno) -> None:
    ran = three("sessions", "list", "--fields", "sesion_id")
    assert ran.error == (2, "unknown field 'sesion_id'")
    assert ran.hint.startswith("did you mean 'session_id'?")


def test_stored_escapes_reach_no_terminal(agno: Agno) -> None:
    evil = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202ethe end"
    agno.store(bundle("evil", name=evil))
    for output in ("table", "tsv", "csv", "json", "jsonl"):
        out = agno("sessions", "list", "-o", output).out
        assert not set(out) & set("\x1b\x07\x9b\u202e"), output
        assert "the end" in out
    assert agno("sessions", "list", "-o", "json").json[0]["name"] == evil
    for more in ([], ["--raw"], ["-o", "json"]):
        assert not set(agno("sessions", "inspect", "evil", *more).out) & set("\x1b\x07\x9b\u202e")


def test_a_reader_that_has_enough_ends_the_program_quietly(agno: Agno) -> None:
    agno.store(*(bundle(f"s-{n:04}", runs=0, name="x" * 200) for n in range(600)))
    with agno.popen("sessions", "list", "--all") as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline().startswith(b"session_id")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_help_ends_as_quietly(agno: Agno) -> None:
    read, write = os.pipe()
    os.close(read)
    with agno.popen("--help", stdout=write) as process:
        os.close(write)
        assert process.stderr
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_a_full_disk_behind_stdout_is_an_error(three: Agno) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        ran = three.process("sessions", "list", stdout=full)
    assert (ran.status, ran.err) == (1, "error: the output: No space left on device\n")


def test_an_empty_store_is_told_from_one_that_was_never_made(agno: Agno) -> None:
    ran = agno("sessions", "list")
    assert ran.error == (3, f"nothing has been stored at {agno.database} yet")
    assert not agno.database.exists()
    assert agno("backends", "init").status == 0
    assert agno("sessions", "list", "-o", "json").json == []


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


@pytest.mark.parametrize(
    "flag", ["--user", "--agent", "--team", "--name", "--tag", "--status", "--type", "--cursor"]
)
def test_an_empty_filter_is_an_error_and_never_all(three: Agno, flag: str) -> None:
    assert three("sessions", "list", flag, "").error == (2, f"{flag} is empty")


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
    assert ran.json == {"deleted": ["aaaa-1", "bbbb-1"], "dry_run": False}
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
    assert b"Delete session aaaa-1 at " in shown
    assert len(three.session_ids()) == left
