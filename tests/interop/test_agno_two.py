"""Files of agno 2, whose runs lie inside the session row: read, gone on with, migrated by agno itself, read again."""

from __future__ import annotations

from typing import Any

import pytest

from agnocli import codec
from agnocli.testing.openai_server import Answer, tool_call
from tests.interop.agno_env import LAST_TWO, NEWEST
from tests.interop.conftest import Serve, Start
from tests.interop.sides import Ours, RealAgno, Talk, folder, rows, run_rows, said

ADD = tool_call("add_item", {"item": "café"})
OPTIONS: dict[str, Any] = {"add_history_to_context": True, "num_history_runs": 20}


@pytest.fixture
def old(start: Start, ours: Ours, serve: Serve) -> Ours:
    """Three sessions by agno 2: s1 with tools and state, s2 of a user, s3 of one turn."""
    with start(LAST_TWO) as agno:
        server = serve(
            Answer("", tool_calls=[ADD], finish_reason="tool_calls"),
            Answer("Added ☕"),
            Answer("One thing"),
            Answer("Hello Bob"),
            Answer("Bye Bob"),
            Answer("Three"),
        )
        at = ("agents.run", str(ours.file), server.base_url)
        state = {"n": 1}
        agno(*at, "s1", ["Add café", "How many?"], tools=["add_item"], session_state=state)
        agno(*at, "s2", ["I am Bob", "Bye"], user_id="bob")
        agno(*at, "s3", ["Hi"])
    assert not rows(ours.file, "SELECT name FROM sqlite_master WHERE name = 'agno_runs'")
    return ours


def blob(ours: Ours, session_id: str) -> str:
    (row,) = rows(ours.file, "SELECT runs FROM agno_sessions WHERE session_id = ?", session_id)
    return str(row["runs"])


def run_ids(ours: Ours, session_id: str) -> list[str]:
    return [run["run_id"] for run in ours.inspect(session_id)["runs"]]


def test_its_sessions_are_listed_and_shown_whole(old: Ours) -> None:
    listed = old.list()
    assert {name: row["runs"] for name, row in listed.items()} == {"s1": 2, "s2": 2, "s3": 1}
    assert listed["s2"]["user_id"] == "bob"
    for session_id in listed:
        inner = codec.decode(blob(old, session_id))
        assert isinstance(inner, str)  # encoded twice, as agno 2 does
        assert old.inspect(session_id)["runs"] == codec.decode(inner)
    found = old.inspect("s1")
    assert found["session_data"]["session_state"] == {"n": 1, "items": ["café"]}
    assert found["agent_data"]["agent_id"] == "assistant"
    page = old("sessions", "inspect", "s1", "--tools", "--state")
    for text in ("Add café", "add_item", "added café", "Added ☕", "How many?", "One thing"):
        assert text in page


def test_reading_leaves_an_old_file_as_it_was(old: Ours) -> None:
    before = folder(old.file)
    assert list(before) == [old.file.name]
    old.list()
    assert folder(old.file) == before
    old.inspect("s1")
    assert folder(old.file) == before


def test_we_go_on_with_it_then_agno_three_has_all_in_order(
    old: Ours, agno: RealAgno, talk: Talk, serve: Serve
) -> None:
    server = serve(Answer("Two things"), Answer("Three things"), Answer("Four"))
    before = {one: blob(old, one) for one in ("s1", "s2", "s3")}
    first = run_ids(old, "s1")
    mine = talk("s1", "And now?", at=server.base_url)
    assert [one["role"] for one in server.requests[0]["messages"]] == [
        "user", "assistant", "tool", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert {one: blob(old, one) for one in before} == before
    assert [(row["run_id"], row["run_index"]) for row in run_rows(old.file, "s1")] == [
        (mine.run_id, 2)
    ]
    assert run_ids(old, "s1") == [*first, mine.run_id]
    assert old.list()["s1"]["runs"] == 3
    loaded = agno("stored.session", str(old.file), "s1")
    assert [run["run_id"] for run in loaded["runs"]] == [*first, mine.run_id]
    assert loaded["session_data"]["session_state"] == {"n": 1, "items": ["café"]}
    agno("agents.run", str(old.file), server.base_url, "s1", ["And now?!"], **OPTIONS)
    assert [one["content"] for one in server.requests[1]["messages"]][-4:] == [
        "One thing", "And now?", "Two things", "And now?!",
    ]  # fmt: skip
    talk("s1", "Still", at=server.base_url)
    assert said(server.requests[2])[-5:-1] == [
        ("user", "And now?"), ("assistant", "Two things"), ("user", "And now?!"), ("assistant", "Three things"),
    ]  # fmt: skip
    assert [row["run_index"] for row in run_rows(old.file, "s1")] == [2, 3, 4]
    assert agno.warnings == []


def test_after_its_own_migration_the_same_runs_are_there_and_the_rows_win(
    old: Ours, agno: RealAgno, talk: Talk, serve: Serve
) -> None:
    server = serve(Answer("Two things"), Answer("Three things"), Answer("Hello"))
    talk("s1", "And now?", at=server.base_url)
    before = {one: old.inspect(one)["runs"] for one in ("s1", "s2", "s3")}
    agno("stored.migrate", str(old.file))
    assert blob(old, "s1")
    for session_id, runs in before.items():
        assert old.inspect(session_id)["runs"] == runs
        indexes = [row["run_index"] for row in run_rows(old.file, session_id)]
        assert indexes == list(range(len(runs)))
    assert {one: row["runs"] for one, row in old.list().items()} == {"s1": 3, "s2": 2, "s3": 1}
    again = talk("s1", "And now?!", at=server.base_url)
    assert run_ids(old, "s1") == [*(run["run_id"] for run in before["s1"]), again.run_id]
    assert [row["run_index"] for row in run_rows(old.file, "s1")] == [0, 1, 2, 3]
    loaded = agno("stored.session", str(old.file), "s1")
    assert [run["run_id"] for run in loaded["runs"]] == run_ids(old, "s1")
    talk("s2", "Me again", at=server.base_url, user_id="bob")
    assert said(server.requests[2])[0] == ("user", "I am Bob")


def test_a_row_that_was_changed_after_the_migration_wins_over_the_old_copy(
    old: Ours, agno: RealAgno
) -> None:
    agno("stored.migrate", str(old.file))
    run_id = run_ids(old, "s3")[0]
    agno("stored.cancel", str(old.file), "s3", run_id)
    assert old.inspect("s3")["runs"][0]["status"] == "CANCELLED"
    loaded = agno("stored.session", str(old.file), "s3")
    assert [run["status"] for run in loaded["runs"]] == ["CANCELLED"]
    assert '\\"COMPLETED\\"' in blob(old, "s3")


def test_renaming_and_deleting_hold_for_agno_two_and_three(start: Start, old: Ours) -> None:
    before = blob(old, "s1")
    old("sessions", "rename", "s1", "Café ☕")
    old("sessions", "delete", "s3", "--yes")
    assert blob(old, "s1") == before
    for release in (LAST_TWO, NEWEST):
        with start(release) as agno:
            found = agno("stored.session", str(old.file), "s1")
            assert found["session_data"]["session_name"] == "Café ☕"
            assert found["session_data"]["session_state"] == {"n": 1, "items": ["café"]}
            assert len(found["runs"]) == 2
            assert agno("stored.session", str(old.file), "s3") is None
