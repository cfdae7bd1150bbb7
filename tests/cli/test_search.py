"""`agno sessions search`: what is printed where."""

from __future__ import annotations

import csv
import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agnocli.testing.records import EPOCH
from tests.cli.conftest import Agno, Ran
from tests.sessions.conversations import LIBRARY, many
from tests.transfer.places import KINDS, place


@pytest.fixture
def library(agno: Agno) -> Agno:
    agno.store(*LIBRARY)
    return agno


def index_files(agno: Agno) -> list[Path]:
    return sorted((agno.home / ".cache" / "agno" / "search").glob("*.db"))


def search(agno: Agno, *arguments: str) -> Ran:
    return agno("sessions", "search", *arguments)


def test_json_tells_what_is_promised_of_each_hit_the_best_first(library: Agno) -> None:
    ran = search(library, "café", "-o", "json")
    assert ran.status == 0
    first = ran.json[0]
    assert {name: first[name] for name in ("session_id", "run_id", "role", "snippet")} == {
        "session_id": "decomposed",
        "run_id": "decomposed.run-0",
        "role": "user",
        "snippet": "One café, please",
    }
    assert [one["score"] for one in ran.json] == sorted(
        (one["score"] for one in ran.json), reverse=True
    )
    assert (first["in"], first["run"], first["matches"], first["at"]) == ("content", 1, 1, EPOCH)
    assert (first["name"], first["title"]) == ("Order", "Order")
    assert first["backend"] == "default"
    lines = search(library, "café", "-o", "jsonl").lines
    assert len(lines) == 3 and "caf\\u00e9" in lines[0]


def test_what_is_the_sessions_own_has_neither_run_nor_role(library: Agno) -> None:
    (row,) = search(library, "Fünfhundert", "-o", "json").json
    assert (row["run_id"], row["role"], row["run"], row["in"]) == (None, None, None, "state")
    table = search(library, "Fünfhundert", "-o", "table").lines
    assert table[1].split()[:1] == ["tools"] and " state " in table[1]


@pytest.mark.parametrize("kind", KINDS)
def test_it_searches_every_kind_of_backend(agno: Agno, tmp_path: Path, kind: str) -> None:
    with place("there", kind, tmp_path) as there:
        with there.open() as backend:
            backend.write(LIBRARY)
        agno.configure(there.settings)
        for flags in ((), (), ("--no-index",)):
            ran = search(agno, "-b", "there", "😀", *flags, "-o", "json")
            assert [(one["session_id"], one["backend"]) for one in ran.json] == [("tokyo", "there")]
    assert len(index_files(agno)) == 1


def test_a_pipe_gets_plain_lines_and_a_header(library: Agno) -> None:
    ran = search(library, "booked", "--fields", "session_id,role,snippet")
    assert ran.lines == [
        "session_id\trole\tsnippet",
        "tools\tassistant\tDone. It is booked.",
        "tools\t\tA hotel in Vienna was booked.",
    ]
    rows = list(csv.DictReader(io.StringIO(search(library, "booked", "-o", "csv").out)))
    assert [row["snippet"] for row in rows] == [line.split("\t")[2] for line in ran.lines[1:]]


def test_ids_are_of_sessions_each_once(library: Agno) -> None:
    ran = search(library, "in", "-o", "ids")
    assert sorted(ran.lines) == sorted(set(ran.lines))
    rows = search(library, "in", "--sessions", "-o", "json").json
    assert [one["session_id"] for one in rows] == ran.lines
    assert sum(one["hits"] for one in rows) == len(search(library, "in", "-o", "json").json)
    assert search(library, "-l", "in", "-o", "json").json == rows


def test_roles_places_and_sessions_choose(library: Agno) -> None:
    def found(*arguments: str) -> list[tuple[str, str]]:
        rows = search(library, *arguments, "-o", "json").json
        return sorted((one["session_id"], one["in"]) for one in rows)

    assert found("café", "--in", "tools,reasoning") == [("tools", "tools")]
    assert found("café", "--role", "user") == [("cafe", "content"), ("decomposed", "content")]
    assert found("café", "--role", "assistant", "--role", "TOOL") == [("tools", "tools")]
    assert found("café", "--user", "bob") == [("tools", "tools")]
    assert found("café", "--name", "ord*") == [("decomposed", "content")]
    assert found("café", "--until", "2025-10-09T08:53:35Z") == [("cafe", "content")]
    assert found("café", "--in", "ALL", "--team", "nobody") == []
    assert found("CAFÉ", "--case-sensitive") == []
    assert found("caf. (C|in)", "-E") == [("cafe", "content"), ("tools", "tools")]


def test_nothing_found_is_empty_and_says_where_was_looked(library: Agno) -> None:
    ran = search(library, "no such", "-o", "json")
    assert (ran.status, ran.json) == (0, [])
    assert f"nothing found in 4 sessions at {library.database}" in ran.err
    assert "apart" in ran.err and "apart" not in search(library, "nothing", "like").err
    assert search(library, "nowhere", "-q").err == ""


def test_a_script_can_ask_whether_anything_was_found(library: Agno) -> None:
    assert search(library, "lake", "--exit-status").status == 0
    ran = search(library, "nowhere", "--exit-status", "-o", "json")
    assert (ran.status, ran.json) == (1, [])


def test_a_cut_result_says_of_how_many(agno: Agno) -> None:
    agno.store(*many(30))
    ran = search(agno, "biscuits", "-o", "ids", "-L", "3")
    assert len(ran.lines) == 3
    assert ran.err.splitlines()[-1] == "3 of 30 sessions shown; more with --all or --limit"
    ran = search(agno, "biscuits", "-o", "json")
    assert len(ran.json) == 20
    assert ran.err == "20 of 30 hits in 30 sessions shown; more with --all or --limit\n"
    assert len(search(agno, "biscuits", "--all", "-o", "json").json) == 30


def test_it_tells_when_an_index_is_made_refreshed_or_passed_over(library: Agno) -> None:
    assert "building a search index of" in search(library, "lake").err
    assert search(library, "lake").err == ""
    library("sessions", "rename", "tokyo", "Lake Biwa")
    assert "1 session read again" in search(library, "lake").err
    library("sessions", "delete", "cafe", "--yes")
    assert "1 gone" in search(library, "biwa").err
    before = index_files(library)
    assert "reading all sessions at" in search(library, "--no-index", "biwa").err
    assert index_files(library) == before


def test_without_an_index_none_is_made(library: Agno) -> None:
    assert search(library, "lake", "--no-index").status == 0
    assert index_files(library) == []


def test_a_cache_that_cannot_be_written_is_no_reason_to_find_nothing(library: Agno) -> None:
    (library.home / ".cache").mkdir()
    (library.home / ".cache").chmod(0o500)
    ran = library.process("sessions", "search", "lake", "-o", "json", bound_by_permissions=True)
    assert [one["session_id"] for one in ran.json] == ["cafe"]
    assert "reading all sessions at" in ran.err and "Permission denied" in ran.err


def test_a_damaged_index_is_told_and_made_anew(library: Agno) -> None:
    search(library, "lake")
    (path,) = index_files(library)
    path.write_bytes(b"damage" * 2000)
    ran = search(library, "lake", "-o", "json")
    assert len(ran.json) == 1
    assert ran.err.splitlines()[0].startswith("warning: the search index is built anew: ")


def test_a_run_that_cannot_be_decoded_is_told_once_and_breaks_nothing(library: Agno) -> None:
    with closing(sqlite3.connect(library.database)) as connection, connection:
        connection.execute("UPDATE agno_runs SET run_data = '{broken' WHERE run_id = 'cafe.run-1'")
    for flags in ((), (), ("--no-index",)):
        ran = search(library, "lake", *flags, "-o", "json")
        assert [one["session_id"] for one in ran.json] == ["cafe"]
        assert ran.err.count("a run that cannot be decoded was not searched") == 1
        assert "agno sessions inspect cafe" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "TEXT is empty"),
        (("a", "--in", "heads"), "--in heads"),
        (("a", "--in", ""), "--in is empty"),
        (("(", "-E"), "'(' is not a regular expression"),
        (("a", "--role", ""), "--role is empty"),
        (("a", "--user", ""), "--user is empty"),
        (("a", "--limit", "0"), "--limit"),
        ((), "TEXT"),
        (("a", "--fields", "role,nobody"), "unknown field 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    library: Agno, arguments: tuple[str, ...], message: str
) -> None:
    status, said = search(library, *arguments).error
    assert status == 2
    assert message in said


def test_a_place_where_nothing_is_stored_is_no_empty_result(agno: Agno) -> None:
    ran, listed = search(agno, "lake"), agno("sessions", "list")
    assert (ran.status, ran.err) == (listed.status, listed.err)
    assert index_files(agno) == []


def test_nothing_is_written_where_the_sessions_are(library: Agno) -> None:
    before = library.database.read_bytes()
    search(library, "lake")
    assert library.database.read_bytes() == before
    assert index_files(library)[0].stat().st_mode & 0o777 == 0o600


def test_what_is_purged_leaves_no_byte_in_the_index(library: Agno) -> None:
    assert search(library, "penthouse").out
    (path,) = index_files(library)
    assert b"penthouse" in path.read_bytes()
    ran = library("sessions", "delete", "tools", "--purge", "--yes", "-o", "json")
    assert (ran.status, ran.json["named"], ran.json["raw"]) == (0, {}, [])
    left = b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert b"penthouse" not in left and b"tools.run" not in left
    assert search(library, "penthouse", "-o", "json").json == []
    assert len(search(library, "lake", "-o", "json").json) == 1
