"""`agno sessions verify`, on every backend: what it finds, and that mending loses nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Backend
from agnocli.agent.owner import this_process
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import BackendUnavailableError
from agnocli.records import Document, Run, SessionBundle
from agnocli.testing.records import EPOCH, document, sample_bundle, sample_run, sample_session
from tests.cli.conftest import Agno, Ran, fingerprint
from tests.cli.test_terminal import seen as on_terminal
from tests.transfer.places import KINDS, Place, place

KEY = "ghp_" + "a1B2" * 9


def changed(run: Run, data: Mapping[str, Any], **columns: Any) -> Run:
    whole = {**codec.decode(run.run_data), **data}
    return replace(run, run_data=document(whole), **columns)


def numbered(name: str, *indexes: int | None) -> SessionBundle:
    runs = [
        sample_run(name, at, run_index=index, created_at=EPOCH + at)
        for at, index in enumerate(indexes)
    ]
    return SessionBundle(sample_session(name), runs)


def running(name: str, owner: object = None, at: int = EPOCH) -> SessionBundle:
    metadata = {"mine": 1} | ({"agnocli": {"owner": owner}} if owner else {})
    data = {"status": "RUNNING", "metadata": metadata}
    run = changed(sample_run(name), data, status="RUNNING", created_at=at, updated_at=at)
    return SessionBundle(sample_session(name), [run])


def asking(name: str, **more: Any) -> SessionBundle:
    function = {"name": "add", "arguments": "{}"}
    call = {"id": "call_1", "type": "function", "function": function}
    data = {
        "messages": [
            {"role": "user", "content": "add"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_2", "content": "3"},
        ]
    }
    return SessionBundle(sample_session(name), [changed(sample_run(name), data | more, **more)])


@pytest.fixture(params=KINDS)
def here(request: pytest.FixtureRequest, agno: Agno, tmp_path: Path) -> Iterator[Place]:
    """A backend of each kind, the configured default."""
    with place("stored", request.param, tmp_path) as found:
        agno.configure(f'default_backend = "stored"\n{found.settings}')
        yield found


def store(here: Place, *bundles: SessionBundle) -> None:
    with here.open() as backend:
        backend.write(bundles)


def seen(here: Place) -> dict[str, tuple[Any, ...]]:
    """Each session's date, and its runs with their places and statuses."""
    with here.open() as backend:
        return {
            bundle.session.session_id: (
                bundle.session.updated_at,
                [(run.run_index, run.run_id, run.status) for run in bundle.runs],
            )
            for _, bundle in backend.scan()
        }


def found(ran: Ran) -> list[tuple[str | None, str | None, str]]:
    return [(row["session_id"], row["run_id"], row["check"]) for row in ran.json]


def backup_of(ran: Ran) -> str:
    (line,) = [one for one in ran.err.splitlines() if "the sessions as they were are in " in one]
    return line.partition(" are in ")[2].partition(";")[0]


def test_where_all_is_well_nothing_is_found(agno: Agno, here: Place) -> None:
    store(here, sample_bundle("a"), sample_bundle("b", 0))
    ran = agno("sessions", "verify", "-o", "json")
    assert (ran.status, ran.json, ran.err) == (0, [], "nothing is wrong\n")


def test_what_is_wrong_is_found_mended_and_backed_up(agno: Agno, here: Place) -> None:
    gone = {**this_process(), "started": "0"}
    told = changed(sample_run("told"), {"status": "ERROR"}, status="COMPLETED")
    store(
        here,
        sample_bundle("fine", 3),
        numbered("gaps", 0, 3, 3, 7),
        running("left", gone, int(time.time())),
        running("old"),
        running("at-work", this_process()),
        SessionBundle(sample_session("told"), [told]),
        sample_bundle("lost", 2),
    )
    here.lose_session("lost")
    before = seen(here)
    ran = agno("sessions", "verify", "-o", "json")
    assert ran.status == 10
    assert sorted(found(ran), key=str) == sorted(
        [
            ("lost", None, "orphan runs"),
            ("gaps", None, "run_index"),
            ("left", "left.run-0", "stale RUNNING"),
            ("old", "old.run-0", "stale RUNNING"),
            ("told", "told.run-0", "columns"),
        ],
        key=str,
    )
    assert all(row["fix"].startswith("--fix") and row["can_be_fixed"] for row in ran.json)
    assert "5 problems, 5 of which --fix puts right" in ran.err
    assert seen(here) == before

    mended = agno("sessions", "verify", "--fix", "--yes", "-o", "json")
    assert mended.status == 0, mended.err
    assert agno("sessions", "verify").status == 0
    after = seen(here)
    ids = [f"gaps.run-{number}" for number in range(4)]
    assert after["gaps"] == (
        before["gaps"][0],
        [(number, one, "COMPLETED") for number, one in enumerate(ids)],
    )
    assert after["left"][1] == [(0, "left.run-0", "CANCELLED")]
    assert after["old"] == (before["old"][0], [(0, "old.run-0", "CANCELLED")])
    assert after["told"][1] == [(0, "told.run-0", "ERROR")]
    assert [one[:2] for one in after["lost"][1]] == [(0, "lost.run-0"), (1, "lost.run-1")]
    assert {name: after[name] for name in ("fine", "at-work")} == {
        name: before[name] for name in ("fine", "at-work")
    }
    with here.open() as backend:
        (run,) = backend.runs("old")
        assert codec.decode(run.run_data)["metadata"] == {
            "mine": 1,
            "agnocli": {"interrupted": True},
        }

    back = agno("sessions", "import", backup_of(mended), "--on-conflict", "replace")
    assert back.status == 0, back.err
    restored = seen(here)
    restored.pop("lost")
    assert restored == before


def test_orphans_can_be_deleted_and_are_in_the_backup(agno: Agno, here: Place) -> None:
    store(here, sample_bundle("fine"), sample_bundle("lost", 3))
    here.lose_session("lost")
    ran = agno("sessions", "verify", "--fix", "--orphans", "delete", "--yes", "-o", "json")
    assert (ran.status, len(ran.json)) == (0, 1)
    assert "3 (lost.run-0, lost.run-1, lost.run-2)" in ran.json[0]["detail"]
    assert list(seen(here)) == ["fine"]
    assert agno("sessions", "verify").status == 0
    assert agno("sessions", "import", backup_of(ran)).status == 0
    assert [run_id for _, run_id, _ in seen(here)["lost"][1]] == [
        f"lost.run-{number}" for number in range(3)
    ]


def test_runs_that_a_stored_session_lost_come_back_to_it(agno: Agno, tmp_path: Path) -> None:
    """And the backup holds the session itself, with all of its runs."""
    with place("stored", "redis", tmp_path) as stored:
        agno.configure(f'default_backend = "stored"\n{stored.settings}')
        store(stored, sample_bundle("s", 3, metadata=document({"mine": 1})))
        harness: Any = stored._harness
        harness.client.zrem(f"{harness.prefix}:runs:by_session:s", "s.run-1")
        ran = agno("sessions", "verify", "--fix", "--yes")
        assert ran.status == 0, ran.err
        order = [run_id for _, run_id, _ in seen(stored)["s"][1]]
        assert order == ["s.run-0", "s.run-2", "s.run-1"]
        assert agno("sessions", "delete", "s", "-y").status == 0
        assert agno("sessions", "import", backup_of(ran)).status == 0
        with stored.open() as backend:
            assert codec.members(backend.get("s").metadata) == {"mine": 1}
            assert len(list(backend.runs("s"))) == 3


# on one backend


def checks(agno: Agno, *arguments: str) -> dict[str, str]:
    """Check and detail of each problem."""
    return {
        row["check"]: row["detail"]
        for row in agno("sessions", "verify", "-o", "json", *arguments).json
    }


def test_tool_calls_without_their_other_half_are_told_and_stay(agno: Agno) -> None:
    agno.store(asking("open"), asking("paused", status="PAUSED"))
    before = fingerprint(agno.home)
    (row,) = agno("sessions", "verify", "-o", "json").json
    assert (row["session_id"], row["check"], row["can_be_fixed"]) == ("open", "tool calls", False)
    assert row["detail"] == (
        "1 (call_1) calls without a result; 1 (call_2) results that were not asked for"
    )
    ran = agno("sessions", "verify", "--fix", "--yes")
    assert ran.status == 10
    assert fingerprint(agno.home) == before


@pytest.mark.parametrize(
    ("indexes", "detail"),
    [
        ((1, 2), "of 2 runs 1 behind a gap"),
        ((0, 0, 0), "of 3 runs 2 with the index of the one before"),
        ((None, 0, 2), "of 3 runs 1 without an index, 1 behind a gap"),
        ((-1, 0), "of 2 runs some are out of order"),
    ],
)
def test_what_is_wrong_with_numbers_is_told(
    agno: Agno, indexes: tuple[int | None, ...], detail: str
) -> None:
    agno.store(numbered("s", *indexes))
    assert checks(agno) == {"run_index": detail}
    assert agno("sessions", "verify", "--fix", "-y").status == 0
    assert [run.run_index for run in agno.runs("s")] == list(range(len(indexes)))


def test_what_cannot_be_decoded_is_told_and_kept(agno: Agno) -> None:
    broken = replace(sample_run("s", 0), run_data=Document(b"{broken"))
    agno.store(
        SessionBundle(sample_session("s", metadata=Document(b"nope")), [broken]),
        SessionBundle(sample_session("l"), [replace(sample_run("l"), run_data=Document(b"[1]"))]),
        numbered("gaps", 3),
    )
    rows = agno("sessions", "verify", "-o", "json").json
    details = [(row["session_id"], row["detail"]) for row in rows if row["check"] == "undecodable"]
    assert details[0] == ("l", "run_data is no JSON object")
    assert details[1] == ("s", "metadata of the session cannot be decoded")
    assert details[2][1].startswith("run_data: not JSON")
    ran = agno("sessions", "verify", "--fix", "-y")
    assert ran.status == 9
    assert "1 problem put right" in ran.err
    assert agno.rows("SELECT run_data FROM agno_runs WHERE session_id = 's'") == [("{broken",)]


def test_a_session_with_broken_json_is_backed_up_to_the_byte(agno: Agno) -> None:
    broken = replace(sample_run("s", 0, run_index=5), run_data=Document(b"{broken"))
    agno.store(SessionBundle(sample_session("s"), [broken]))
    ran = agno("sessions", "verify", "--fix", "-y", "--backup", "kept.jsonl")
    assert ran.status == 9
    assert backup_of(ran) == str(Path("kept.jsonl").absolute())
    agno("sessions", "delete", "s", "-y")
    assert agno("sessions", "import", "kept.jsonl").status == 0
    assert agno.rows("SELECT run_index, run_data FROM agno_runs") == [(5, "{broken")]


def test_ids_and_owners_that_disagree_are_told(agno: Agno) -> None:
    agno.store(
        SessionBundle(sample_session("ids"), [changed(sample_run("ids"), {"run_id": "other"})]),
        SessionBundle(sample_session("owner"), [sample_run("owner", user_id="mallory")]),
    )
    assert checks(agno) == {
        "ids": "run_id is 'ids.run-0' in the column, 'other' in run_data",
        "owner": "a run of user 'mallory' in a session of 'alice'",
    }


def test_a_mixed_layout_is_told(agno: Agno) -> None:
    agno.store(sample_bundle("a"))
    with closing(sqlite3.connect(agno.database)) as connection, connection:
        connection.execute("ALTER TABLE agno_sessions ADD COLUMN runs JSON")
    assert checks(agno)["layout"].startswith("mixed: ")
    assert agno("sessions", "verify", "a").status == 0


def test_a_session_that_cannot_be_read_is_told_and_the_others_are_looked_at(agno: Agno) -> None:
    agno.store(sample_bundle("a"), numbered("b", 4), sample_bundle("c"))
    with closing(sqlite3.connect(agno.database)) as connection, connection:
        connection.execute("ALTER TABLE agno_sessions ADD COLUMN runs JSON")
        connection.execute("UPDATE agno_sessions SET runs = '{broken' WHERE session_id = 'a'")
    rows = agno("sessions", "verify", "-o", "json").json
    assert [(row["session_id"], row["check"]) for row in rows[1:]] == [
        ("a", "unreadable"),
        ("b", "run_index"),
    ]


def test_secrets_are_looked_for_when_asked_and_never_shown(agno: Agno) -> None:
    state = document({"session_state": {"token": KEY}})
    run = changed(sample_run("s"), {"content": f"the key is {KEY}"})
    agno.store(SessionBundle(sample_session("s", session_data=state), [run]))
    assert agno("sessions", "verify").status == 0
    ran = agno("sessions", "verify", "--secrets", "-o", "json")
    assert [(row["run_id"], row["check"], row["detail"]) for row in ran.json] == [
        (None, "secrets", "the session: GitHub Token (1)"),
        ("s.run-0", "secrets", "GitHub Token (1)"),
    ]
    assert KEY not in ran.out + ran.err


def test_sessions_are_chosen_by_name_and_by_filter(agno: Agno) -> None:
    agno.store(numbered("aaaa", 1), numbered("bbbb", 1))
    agno.store(SessionBundle(sample_session("cccc", user_id="bob"), [sample_run("cccc", 1)]))
    assert [one for one, _, _ in found(agno("sessions", "verify", "aaaa", "-o", "json"))] == [
        "aaaa"
    ]
    by_user = agno("sessions", "verify", "--user", "bob", "-o", "json")
    assert {one for one, _, _ in found(by_user)} == {"cccc"}
    assert agno("sessions", "verify", "nobody").error[0] == 3


def test_a_dry_run_a_no_and_nobody_to_ask_change_nothing(agno: Agno) -> None:
    agno.store(numbered("s", 2))
    before = fingerprint(agno.home)
    ran = agno("sessions", "verify", "--fix", "-n")
    assert ran.status == 10
    assert "would put right 1 problem of 1 session" in ran.err
    refused = agno.process("sessions", "verify", "--fix", stdin=b"y\n")
    assert refused.status == 11
    assert "--yes" in refused.err
    assert fingerprint(agno.home) == before


def test_where_nothing_can_be_written_nothing_is_mended(agno: Agno) -> None:
    agno.store(numbered("s", 2))
    agno.configure(
        f'[backends.here]\ntype = "sqlite"\ndb_file = "{agno.database}"\nread_only = true\n'
    )
    ran = agno("-b", "here", "sessions", "verify", "--fix", "-y")
    assert ran.status == 12
    assert not (agno.home / "state").exists()


def test_a_backup_overwrites_no_file(agno: Agno) -> None:
    agno.store(numbered("s", 2))
    Path("kept.jsonl").write_text("mine")
    ran = agno("sessions", "verify", "--fix", "-y", "--backup", "kept.jsonl")
    assert ran.status == 5
    assert Path("kept.jsonl").read_text() == "mine"
    assert [run.run_index for run in agno.runs("s")] == [2]


def test_how_long_a_turn_may_be_unseen_can_be_said(agno: Agno) -> None:
    elsewhere = {**this_process(), "host": "other"}
    agno.store(running("s", elsewhere, int(time.time()) - 7200))
    assert agno("sessions", "verify").status == 0
    assert agno("sessions", "verify", "--stale-after", "1h").status == 10
    assert agno("sessions", "verify", "--stale-after", "soon").error[0] == 2


def test_agnos_greeting_is_no_unfinished_turn(agno: Agno) -> None:
    greeting = {"messages": [{"role": "assistant", "content": "Hello!"}], "status": "RUNNING"}
    run = changed(sample_run("s"), greeting, status="RUNNING")
    agno.store(SessionBundle(sample_session("s"), [run]))
    assert agno("sessions", "verify").status == 0


def test_before_anything_is_stored_it_says_so(agno: Agno) -> None:
    assert agno("sessions", "verify").error[0] == 3
    assert fingerprint(agno.home) == {}


def test_mending_leaves_what_another_program_wrote_meanwhile(agno: Agno) -> None:
    """The session that is mended has a run more by then, and another date."""
    agno.store(numbered("s", 0, 2))

    from agnocli.cli import verifying

    def slow(backend: Backend, *arguments: Any) -> None:
        backend.append_run(sample_run("s", 9, run_index=None))
        real(backend, *arguments)

    real = verifying._mend
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "_mend", slow)
        assert agno("sessions", "verify", "--fix", "-y").status == 0
    assert [(run.run_index, run.run_id) for run in agno.runs("s")] == [
        (0, "s.run-0"),
        (1, "s.run-1"),
        (2, "s.run-9"),
    ]


def test_what_could_not_be_mended_is_told_and_the_others_are(
    agno: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    agno.store(numbered("bad", 1), numbered("good", 1))
    real = SqliteDb.delete_runs

    def failing(self: SqliteDb, session_id: str, run_ids: Sequence[str]) -> int:
        if session_id == "bad":
            raise BackendUnavailableError("it is locked")
        return real(self, session_id, run_ids)

    monkeypatch.setattr(SqliteDb, "delete_runs", failing)
    ran = agno("sessions", "verify", "--fix", "-y")
    assert ran.status == 9
    assert "warning: bad: it is locked" in ran.err
    assert "1 problem put right, 1 left" in ran.err
    assert [run.run_index for run in agno.runs("good")] == [0]


def test_on_a_terminal_each_problem_has_its_fix_below(agno: Agno) -> None:
    agno.store(numbered("s", 2))
    status, _, lines = on_terminal(agno, "sessions", "verify")
    assert status == 10
    assert lines[0] == "! session s, run_index: of 1 runs 1 behind a gap"
    assert lines[1].startswith("  → --fix numbers")
    assert lines[2] == "1 problem, 1 of which --fix puts right"
