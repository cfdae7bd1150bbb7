from __future__ import annotations

import csv
import io
import os
import time

import pytest

from agnocli import codec
from agnocli.testing.records import EPOCH, sample_bundle
from tests.cli.conftest import Agno, bundle

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
    assert ids(agno, "--since", "999999999w") == ["0-days", "1-days", "7-days"]
    assert ids(agno, "--since", "yesterday", "--until", "36h") == []


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


@pytest.mark.parametrize(
    "flag", ["--user", "--agent", "--team", "--name", "--tag", "--status", "--type", "--cursor"]
)
def test_an_empty_filter_is_an_error_and_never_all(three: Agno, flag: str) -> None:
    assert three("sessions", "list", flag, "").error == (2, f"{flag} is empty")
