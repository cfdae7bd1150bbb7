"""`agno sessions tag`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import SessionConflictError
from agnocli.records import NULL, SessionBundle
from agnocli.sessions.tagging import retag
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session
from tests.cli.conftest import Agno, bundle, fingerprint


def tags(agno: Agno, session_id: str = "aaaa-1") -> list[str]:
    with SqliteDb(agno.database, read_only=True) as db:
        found: list[str] = codec.members(db.get(session_id).metadata).get("tags", [])
        return found


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["aaaa-1", "+a", "+b"], ["home", "a", "b"]),
        (["aaaa-1", "+a", "-home"], ["a"]),
        (["aaaa-1", "-home", "+a"], ["a"]),
        (["aaaa-1", "+b", "-b2"], ["home", "b"]),
        (["aaaa-1", "-home"], []),
        (["aaaa-1", "+a", "--add", "c", "--remove", "home"], ["c", "a"]),
        (["+a", "aaaa-1"], ["home", "a"]),
        (["aaaa-1", "+a", "-o", "json"], ["home", "a"]),
        (["aaaa-1", "-o", "json", "+a"], ["home", "a"]),
        (["aaaa-1", "+a", "-b", "sqlite"], ["home", "a"]),
        (["aaaa-1", "+a", "--backend", "sqlite"], ["home", "a"]),
        (["aaaa-1", "+a", "--", "bbbb-1"], ["home", "a"]),
        (["aaaa-1", "+été", "+日本", "-nothing"], ["home", "été", "日本"]),
    ],
    ids=str,
)
def test_a_plus_puts_a_tag_on_and_a_minus_takes_one_off(
    three: Agno, arguments: list[str], expected: list[str]
) -> None:
    ran = three("sessions", "tag", *arguments)
    assert ran.status == 0, ran.err
    assert tags(three) == expected


@pytest.mark.parametrize("letter", ["b", "o"])
def test_a_tag_that_is_an_option_elsewhere_comes_off_all_the_same(three: Agno, letter: str) -> None:
    for arguments in ([f"-{letter}"], ["+a", f"-{letter}"], [f"-{letter}", "+a"]):
        three("sessions", "tag", "aaaa-1", "+b", "+o")
        assert three("sessions", "tag", "aaaa-1", *arguments).status == 0
        assert letter not in tags(three)


def test_flags_stay_flags_and_their_letters_come_off_by_name(three: Agno) -> None:
    before = fingerprint(three.home)
    ran = three("sessions", "tag", "aaaa-1", "+a", "-n", "-o", "json")
    assert ran.json[0]["tags"] == ["home", "a"]
    assert fingerprint(three.home) == before
    three("sessions", "tag", "aaaa-1", "+n")
    three("sessions", "tag", "aaaa-1", "--remove", "n")
    assert tags(three) == ["home"]


def test_nothing_but_the_tags_and_the_date_changes(agno: Agno) -> None:
    metadata = b'{"a": 1.0,  "tags": ["x"], "b": {"z": 1, "y": [2]}}'
    session = sample_session("one", metadata=metadata, summary=NULL)
    agno.store(SessionBundle(session, (sample_run("one"),)))
    before = agno.rows("SELECT * FROM agno_sessions"), agno.rows("SELECT * FROM agno_runs")
    agno("sessions", "tag", "one", "+y")
    with SqliteDb(agno.database, read_only=True) as db:
        after = db.get("one")
    assert after.metadata == b'{"a": 1.0, "tags": ["x", "y"], "b": {"z": 1, "y": [2]}}'
    changed = [
        name for name in session.__struct_fields__ if getattr(session, name) != getattr(after, name)
    ]
    assert changed == ["metadata", "updated_at"]
    assert agno.rows("SELECT * FROM agno_runs") == before[1]


def test_what_is_so_already_is_not_written_again(three: Agno) -> None:
    before = fingerprint(three.home)
    assert three("sessions", "tag", "aaaa-1", "+home", "-nope").status == 0
    assert fingerprint(three.home) == before


def test_without_tags_they_are_printed(three: Agno) -> None:
    three("sessions", "tag", "bbbb-1", "-home")
    ran = three("sessions", "tag", "aaaa-1", "bbbb-1", "-o", "json")
    assert [(row["session_id"], row["tags"]) for row in ran.json] == [
        ("aaaa-1", ["home"]),
        ("bbbb-1", []),
    ]


def test_filters_choose_what_is_tagged_and_list_finds_it(three: Agno) -> None:
    assert three("sessions", "tag", "--user", "bob", "+vip", "-o", "ids").lines == ["bbbb-1"]
    assert three("sessions", "list", "--tag", "vip", "-o", "ids").lines == ["bbbb-1"]
    assert three("sessions", "tag", "--all", "+x", "-o", "ids").status == 0
    assert len(three("sessions", "list", "--tag", "x", "-o", "ids").lines) == 3


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["+a"], 2),
        (["aaaa-1", "+a", "-a"], 2),
        (["aaaa-1", "--all", "+a"], 2),
        (["aaaa-1", "--add", " "], 2),
        (["aaaa-1", "nobody", "+a"], 3),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    three: Agno, arguments: list[str], status: int
) -> None:
    before = fingerprint(three.home)
    assert three("sessions", "tag", *arguments).error[0] == status
    assert fingerprint(three.home) == before


def test_tags_that_are_no_list_are_another_programs(agno: Agno) -> None:
    agno.store(bundle("one", metadata=document({"tags": {"a": 1}})))
    before = fingerprint(agno.home)
    assert agno("sessions", "tag", "one", "+x").error[0] == 5
    assert fingerprint(agno.home) == before


class _Overtaken(SqliteDb):
    """Another program puts a tag on between our reading and our writing, `times` times."""

    times = 3

    def update(self, session_id: str, changes: Any, expected: Any = None) -> Any:
        if self.times:
            self.times -= 1
            with SqliteDb(self.path) as other:
                retag(other, session_id, add=[f"theirs-{self.times}"])
        return super().update(session_id, changes, expected)


def test_a_tag_of_another_program_that_was_quicker_stays(tmp_path: Path) -> None:
    with _Overtaken(tmp_path / "one.db") as db:
        db.write([sample_bundle("one")])
        found = retag(db, "one", add=["ours"], remove=["home"])
    assert sorted(found) == ["ours", "theirs-0", "theirs-1", "theirs-2"]


def test_being_overtaken_for_ever_is_an_error(tmp_path: Path) -> None:
    with _Overtaken(tmp_path / "one.db") as db:
        db.times = 100
        db.write([sample_bundle("one")])
        with pytest.raises(SessionConflictError):
            retag(db, "one", add=["ours"])
