"""`agno sessions list --all-backends`."""

from __future__ import annotations

from pathlib import Path

import pytest

from agnocli.db.sqlite import SqliteDb
from tests.cli.conftest import Agno, bundle
from tests.transfer.places import KINDS, place

AWAY = '[backends.away]\ntype = "postgres"\ndb_url = "postgresql://nobody@127.0.0.1:9/none"\n'


@pytest.fixture
def both(agno: Agno, tmp_path: Path) -> Agno:
    """Two files with sessions, ties among their times, and one where nothing was ever stored."""
    for name in ("one", "two"):
        with SqliteDb(tmp_path / f"{name}.db") as backend:
            backend.write([bundle(f"{name}-{at}", at=at, user_id=name) for at in (10, 20, 30)])
    tables = [
        f'[backends.{name}]\ntype = "sqlite"\ndb_file = "{tmp_path}/{name}.db"\n'
        for name in ("one", "two", "none")
    ]
    agno.configure('default_backend = "one"\n' + "".join(tables))
    return agno


ALL = ["one-30", "two-30", "one-20", "two-20", "one-10", "two-10"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ALL),
        (["--all"], ALL),
        (["--reverse"], ALL[::-1]),
        (["--limit", "3"], ALL[:3]),
        (["--limit", "2", "--page", "2"], ALL[2:4]),
        (["--limit", "4", "--page", "2", "--reverse"], ALL[1::-1]),
        (["--user", "two"], ["two-30", "two-20", "two-10"]),
        (["30"], ["one-30", "two-30"]),
    ],
    ids=str,
)
def test_all_stand_in_one_order(both: Agno, arguments: list[str], expected: list[str]) -> None:
    ran = both("sessions", "list", "--all-backends", *arguments, "-o", "ids")
    assert (ran.status, ran.lines) == (0, expected)
    assert ("more with" in ran.err) == ("3" in arguments or arguments[-1:] == ["2"])


def test_each_row_says_where_it_is(both: Agno) -> None:
    rows = both("sessions", "list", "--all-backends", "-o", "json").json
    assert {row["backend"] for row in rows} == {"one", "two"}
    assert all(row["session_id"].startswith(row["backend"]) for row in rows)
    assert "BACKEND" in both("sessions", "list", "--all-backends", "-o", "table").lines[0]


def test_one_that_is_away_is_told_and_the_others_are_listed(both: Agno) -> None:
    both.configure(both.config.read_text() + AWAY)
    ran = both("sessions", "list", "--all-backends", "-o", "ids")
    assert (ran.status, ran.lines) == (9, ALL)
    assert "warning: away: " in ran.err and "it is not listed" in ran.err
    assert "none: nothing has been stored at" in ran.err
    both.configure('default_backend = "away"\n' + AWAY)
    assert both("sessions", "list", "--all-backends").error[0] == 7


@pytest.mark.parametrize("arguments", [["-b", "one"], ["--cursor", "x"]], ids=str)
def test_what_goes_with_one_backend_only_is_refused(both: Agno, arguments: list[str]) -> None:
    assert both("sessions", "list", "--all-backends", *arguments).error[0] == 2


def test_five_kinds_are_one_listing(agno: Agno, tmp_path: Path) -> None:
    from contextlib import ExitStack

    with ExitStack() as stack:
        places = [stack.enter_context(place(f"my-{kind}", kind, tmp_path)) for kind in KINDS]
        for number, one in enumerate(places):
            with one.open() as backend:
                backend.write([bundle(f"{at}-{one.kind}", at=at * 10 + number) for at in (1, 2)])
        agno.configure('default_backend = "my-sqlite"\n' + "".join(one.settings for one in places))
        found = agno("sessions", "list", "--all-backends", "-o", "ids").lines
        assert found == [f"{at}-{kind}" for at in (2, 1) for kind in reversed(KINDS)]
