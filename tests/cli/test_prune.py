"""`agno sessions prune`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from agnocli.records import SessionBundle
from agnocli.testing.records import document, sample_bundle
from tests.cli.conftest import Agno, fingerprint
from tests.transfer.places import KINDS, place

DAY = 86_400


def aged(
    session_id: str, days: int, *, runs: int = 1, tags: tuple[str, ...] = (), **columns: Any
) -> SessionBundle:
    moment = int(time.time()) - days * DAY - 60
    metadata = document({"tags": list(tags)})
    return sample_bundle(session_id, runs, updated_at=moment, metadata=metadata, **columns)


@pytest.fixture
def store(agno: Agno) -> Agno:
    agno.store(
        aged("new-empty", 0, runs=0),
        aged("week", 7),
        aged("month", 31),
        aged("month-empty", 32, runs=0),
        aged("year", 365, user_id="bob"),
        aged("year-kept", 366, tags=("x", "keep")),
        aged("year-vip", 367, tags=("vip",)),
    )
    return agno


ALL = ["month", "month-empty", "new-empty", "week", "year", "year-kept", "year-vip"]


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        (["--older-than", "30d"], ["month", "month-empty", "year", "year-vip"]),
        (["--older-than", "30d", "--empty"], ["month-empty"]),
        (["--empty"], ["new-empty", "month-empty"]),
        (["--keep", "3"], ["month-empty", "year", "year-vip"]),
        (["--keep", "0"], ["new-empty", "week", "month", "month-empty", "year", "year-vip"]),
        (["--keep", "5", "--older-than", "30d"], ["year-vip"]),
        (["--keep", "1", "--older-than", "100d"], ["year", "year-vip"]),
        (["--older-than", "30d", "--user", "bob"], ["year"]),
        (["--older-than", "30d", "--name", "Nope*"], []),
        (["--older-than", "400d"], []),
        (
            ["--older-than", "30d", "--protect-tag", "vip"],
            ["month", "month-empty", "year", "year-kept"],
        ),
        (
            ["--older-than", "30d", "--protect-tag", "vip", "--protect-tag", "keep"],
            ["month", "month-empty", "year"],
        ),
    ],
    ids=str,
)
def test_all_rules_together_say_what_goes(
    store: Agno, arguments: list[str], gone: list[str]
) -> None:
    before = fingerprint(store.home)
    shown = store("sessions", "prune", *arguments, "-o", "ids")
    assert (shown.status, shown.lines) == (0, gone)
    as_json = store("sessions", "prune", *arguments, "-o", "json").json
    assert as_json["dry_run"] is True
    assert [row["session_id"] for row in as_json["would_delete"]] == gone
    assert fingerprint(store.home) == before
    assert store("sessions", "prune", *arguments, "-n", "--yes", "-o", "ids").lines == gone
    assert fingerprint(store.home) == before
    ran = store("sessions", "prune", *arguments, "--yes", "-o", "json")
    assert ran.json["deleted"] == gone
    assert sorted(store.session_ids()) == sorted({*ALL} - {*gone})
    if gone:
        store("sessions", "restore", "--last")
    assert sorted(store.session_ids()) == ALL


def test_what_is_passed_over_is_counted(store: Agno) -> None:
    err = store("sessions", "prune", "--older-than", "30d").err
    assert err == (
        "4 sessions with 3 runs would go into the trash, with --yes; 2 kept, 1 protected by a tag\n"
    )
    assert store("sessions", "prune", "--older-than", "999d", "--yes").err == (
        "nothing to prune; 7 kept\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [[], ["--user", "bob"], ["--older-than", ""], ["--older-than", "old"], ["--keep", "-1"]],
    ids=str,
)
def test_without_a_rule_nothing_goes(store: Agno, arguments: list[str]) -> None:
    before = fingerprint(store.home)
    assert store("sessions", "prune", *arguments, "--yes").error[0] == 2
    assert fingerprint(store.home) == before


@pytest.mark.parametrize("kind", KINDS)
def test_on_every_backend(agno: Agno, kind: str, tmp_path: Path) -> None:
    with place("there", kind, tmp_path) as there, there.open() as backend:
        agno.configure(there.settings)
        backend.write([aged("week", 7), aged("old", 40), aged("old-kept", 41, tags=("keep",))])
        backend.write([aged("old-empty", 42, runs=0)])
        arguments = ("-b", "there", "sessions", "prune", "--older-than", "30d")
        assert agno(*arguments, "--empty", "-o", "ids").lines == ["old-empty"]
        assert agno(*arguments, "--yes", "-o", "json").json["deleted"] == ["old", "old-empty"]
        assert sorted(backend.ids()) == ["old-kept", "week"]
