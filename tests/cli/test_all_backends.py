"""Several backends in one search, and in listings of many pages; see test_list_everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agnocli.db.sqlite import SqliteDb
from agnocli.testing.records import EPOCH, sample_bundle
from tests.cli.conftest import Agno
from tests.sessions.conversations import talk, turn, user
from tests.transfer.places import KINDS, place

AWAY = '[backends.away]\ntype = "postgres"\ndb_url = "postgresql://app:geheim@127.0.0.1:1/x"\n'
NEVER = '[backends.never]\ntype = "sqlite"\ndb_file = "never.db"\n'


def sqlite(name: str, path: Path) -> str:
    return f"[backends.{name}]\ntype = \"sqlite\"\ndb_file = '{path}'\n"


@pytest.fixture
def two(agno: Agno, tmp_path: Path) -> Agno:
    """`here`, the default, and `there`; sessions at EPOCH + 0, 1, 2 …, every third in both."""
    files = {name: tmp_path / f"{name}.db" for name in ("here", "there")}
    for offset, path in enumerate(files.values()):
        with SqliteDb(path) as backend:
            backend.write(
                sample_bundle(f"s{n:02}", 1, updated_at=EPOCH + n)
                for n in range(30)
                if n % 2 == offset or n % 3 == 0
            )
    agno.configure('default_backend = "here"\n' + "".join(map(sqlite, files, files.values())))
    return agno


def listed(agno: Agno, *arguments: str) -> list[tuple[str, str]]:
    ran = agno("sessions", "list", "--all-backends", *arguments, "-o", "json")
    assert ran.status == 0, ran.err
    return [(one["session_id"], one["backend"]) for one in ran.json]


def expected() -> list[tuple[str, str]]:
    names = ("here", "there")
    return [
        (f"s{n:02}", name)
        for n in reversed(range(30))
        for offset, name in enumerate(names)
        if n % 2 == offset or n % 3 == 0
    ]


def test_a_listing_of_all_is_sorted_as_one(two: Agno) -> None:
    assert listed(two, "--all") == expected()
    assert listed(two) == expected()[:20]
    assert listed(two, "--all", "--reverse") == expected()[::-1]
    assert listed(two, "--all", "--until", f"{_iso(EPOCH + 5)}") == expected()[-7:]


def _iso(epoch: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch, UTC).isoformat()


def test_its_pages_follow_one_another_and_a_cursor_is_refused(two: Agno) -> None:
    everything = expected()
    pages = [listed(two, "--limit", "7", "--page", str(number)) for number in range(1, 7)]
    assert [row for page in pages for row in page] == everything
    ran = two("sessions", "list", "--all-backends", "--limit", "7", "--page", "2")
    assert "7 shown; more with --all or --page 3" in ran.err
    last = two("sessions", "list", "--all-backends", "--limit", "40")
    assert last.err == ""
    ran = two("sessions", "list", "--all-backends", "--cursor", "x")
    assert (ran.error[0], "--page" in ran.hint) == (2, True)


@pytest.mark.parametrize("command", [("list",), ("search", "question")])
def test_one_that_is_away_is_told_and_the_others_answer(
    two: Agno, command: tuple[str, ...]
) -> None:
    two.configure(two.config.read_text() + AWAY + NEVER)
    ran = two("sessions", *command, "--all-backends", "-o", "jsonl", "--all")
    assert ran.status == 9
    assert len(ran.lines) == len(expected())
    assert ran.err.count("warning: away: ") == 1
    assert "geheim" not in ran.err
    assert "never: nothing has been stored at" in ran.err


def test_when_all_are_away_that_is_the_error(agno: Agno) -> None:
    agno.configure('default_backend = "away"\n' + AWAY)
    for command in (("list",), ("search", "x")):
        ran = agno("sessions", *command, "--all-backends")
        assert ran.status == 7
        assert ran.out == ""


def test_without_a_configuration_all_is_the_default(three: Agno) -> None:
    assert {name for _, name in listed(three)} == {"default"}
    assert len(listed(three)) == 3


@pytest.fixture
def five(agno: Agno, tmp_path: Path) -> Iterator[Agno]:
    """One of each kind, all holding the same words in their own measure."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        settings = ""
        for number, kind in enumerate(KINDS, 1):
            found = stack.enter_context(place(kind, kind, tmp_path))
            with found.open() as backend:
                said = turn("tea", 0, user("tea, " * number + "and so on"))
                backend.write([talk("tea", said, name=kind, at=number)])
            settings += found.settings
        agno.configure(f'default_backend = "sqlite"\n{settings}')
        yield agno


def test_hits_of_all_kinds_of_backends_are_ranked_together(five: Agno) -> None:
    def found(*arguments: str) -> list[tuple[str, str]]:
        ran = five("sessions", "search", "tea", "--all-backends", *arguments, "-o", "json")
        assert ran.status == 0, ran.err
        return [(one["backend"], one["name"]) for one in ran.json]

    assert found() == [(kind, kind) for kind in reversed(KINDS)]
    assert found("--limit", "2", "--no-index") == [(kind, kind) for kind in (KINDS[4], KINDS[3])]
    assert [name for name, _ in listed(five)] == ["tea"] * 5
    assert [name for _, name in listed(five)] == list(reversed(KINDS))
    ran = five("sessions", "search", "tea", "--all-backends", "-L", "2")
    assert "2 of 5 hits in 5 sessions shown" in ran.err


def test_fields_can_be_asked_for(agno: Agno) -> None:
    """Also where nothing is stored."""
    from agnocli.cli.session_rows import COLUMNS

    listed = agno("sessions", "list", "--fields", "help")
    assert (listed.status, listed.lines) == (0, [one.name for one in COLUMNS])
    found = agno("sessions", "search", "x", "--fields", "help", "-o", "json")
    assert {"session_id", "run_id", "role", "snippet", "score"} <= {*found.json}
    assert agno("models", "list", "--fields", "help").lines
