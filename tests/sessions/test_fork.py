"""A session's beginning as a session of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Backend
from agnocli.db.memory import MemoryDb
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import (
    BackendReadOnlyError,
    RecordRejectedError,
    RunNotFoundError,
    SessionConflictError,
    SessionNotFoundError,
    UsageError,
)
from agnocli.layout.covers import COVERS
from agnocli.records import NULL, Document, Run, Session, SessionBundle
from agnocli.sessions.fork import fork
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session


def turn(number: int, *, index: int | None = None, **changes: Any) -> Run:
    """Turn `number` as Agno stores it, with the state at its end."""
    run_id = f"run-{number}"
    data = {
        "run_id": run_id,
        "session_id": "s",
        "agent_id": "assistant",
        "content": f"answer {number}: run-{number} of s",
        "status": "COMPLETED",
        "session_state": {"cups": number},
        "messages": [{"role": "user", "content": f"question {number}", "run_id": "run-1"}],
        **changes,
    }
    return sample_run(
        "s",
        number - 1 if index is None else index,
        run_id=run_id,
        run_data=document(data),
        parent_run_id=data.get("parent_run_id"),
        status=data["status"],
    )


def three_turns(**columns: Any) -> SessionBundle:
    state = {"session_name": "Tea", "session_state": {"cups": 3}, "session_metrics": {"x": 1}}
    session = sample_session("s", session_data=document(state), **columns)
    return SessionBundle(session, (turn(1), turn(2), turn(3)))


def copied(backend: Backend, session_id: str) -> tuple[Session, list[Run], list[dict[str, Any]]]:
    runs = list(backend.runs(session_id))
    return backend.get(session_id), runs, [codec.decode(run.run_data) for run in runs]


def test_a_fork_at_a_run_holds_the_runs_up_to_it_under_new_ids(backend: Backend) -> None:
    backend.write([three_turns(), sample_bundle("other")])
    before = list(backend.runs("s"))
    session, runs, data = copied(backend, fork(backend, "s", 2))
    assert [run.run_index for run in runs] == [0, 1]
    assert {run.session_id for run in runs} == {session.session_id} != {"s"}
    assert [one["run_id"] for one in data] == [run.run_id for run in runs]
    assert not {run.run_id for run in runs} & {"run-1", "run-2", "run-3"}
    assert {one["session_id"] for one in data} == {session.session_id}
    assert {one["forked_from_session_id"] for one in data} == {"s"}
    assert [one["content"] for one in data] == ["answer 1: run-1 of s", "answer 2: run-2 of s"]
    assert data[0]["messages"][0]["run_id"] == "run-1", "what was said is nobody's id"
    assert [run.created_at for run in runs] == [run.created_at for run in before[:2]]
    assert list(backend.runs("s")) == before
    assert (session.user_id, session.agent_id) == ("alice", "assistant")


def test_it_says_where_it_comes_from_and_is_told_apart_from_it(backend: Backend) -> None:
    backend.write([three_turns()])
    session, _, _ = copied(backend, fork(backend, "s", 2))
    metadata, data = (
        codec.decode(session.metadata or b""),
        codec.decode(session.session_data or b""),
    )
    assert metadata == {
        "tags": ["home"],
        "forked_from": {
            "backend": backend.address,
            "session_id": "s",
            "run_id": "run-2",
            "run": 2,
        },
    }
    assert data == {
        "session_state": {"cups": 2},
        "title": "Tea (fork)",
        "forked_from_session_id": "s",
    }
    named, _, _ = copied(backend, fork(backend, "s", name="Another"))
    data = codec.decode(named.session_data or b"")
    assert (data["session_name"], data["title"]) == ("Another", "Another")
    assert data["session_state"] == {"cups": 3}


def test_the_root_stays_known_through_a_fork_of_a_fork(backend: Backend) -> None:
    backend.write([three_turns()])
    middle = fork(backend, "s")
    session, _, data = copied(backend, fork(backend, middle, 1))
    assert {one["forked_from_session_id"] for one in data} == {"s"}
    found = codec.decode(session.metadata or b"")["forked_from"]
    assert found["session_id"] == middle
    assert codec.decode(session.session_data or b"")["forked_from_session_id"] == middle


def test_a_fork_at_nothing_has_no_runs_and_no_state(backend: Backend) -> None:
    backend.write([three_turns()])
    session, runs, _ = copied(backend, fork(backend, "s", 0))
    assert runs == []
    assert codec.decode(session.session_data or b"")["session_state"] == {}
    assert codec.decode(session.metadata or b"")["forked_from"]["run_id"] is None


def team_session() -> SessionBundle:
    """Two turns of a team: members stand before their team's run, one of a member's own behind it."""
    nested = {"run_id": "run-1", "session_id": "s", "parent_run_id": "run-2", "content": "run-1"}
    call = {"tool_call_id": "c", "child_run_id": "run-1", "tool_args": {"run_id": "run-1"}}
    event = {"event": "RunStarted", "run_id": "run-2", "session_id": "s", "content": "s"}
    runs = (
        turn(1, parent_run_id="run-2"),
        turn(4, index=1, parent_run_id="run-6"),
        turn(2, index=2, member_responses=[nested], tools=[call], events=[event]),
        turn(3, index=3, parent_run_id="run-1"),
        turn(5, index=4, parent_run_id="run-6"),
        turn(6, index=5, member_responses=[], regenerated_from="run-2"),
    )
    return SessionBundle(sample_session("s", session_type="team", team_id="desk"), runs)


def test_members_go_with_their_teams_run_wherever_they_stand(backend: Backend) -> None:
    backend.write([team_session()])
    _, runs, data = copied(backend, fork(backend, "s", 3))
    assert [one["content"].partition(":")[0] for one in data] == [
        "answer 1",
        "answer 2",
        "answer 3",
    ]
    member, team, below = runs
    assert (member.parent_run_id, below.parent_run_id) == (team.run_id, member.run_id)
    assert [one.get("parent_run_id") for one in data] == [team.run_id, None, member.run_id]
    assert [run.run_index for run in runs] == [0, 1, 2]
    found = data[1]
    assert found["member_responses"][0] == {
        "run_id": member.run_id,
        "session_id": team.session_id,
        "parent_run_id": team.run_id,
        "content": "run-1",
    }
    assert found["tools"][0]["child_run_id"] == member.run_id
    assert found["tools"][0]["tool_args"] == {"run_id": "run-1"}
    assert found["events"][0] == {
        "event": "RunStarted",
        "run_id": team.run_id,
        "session_id": team.session_id,
        "content": "s",
    }
    whole = copied(backend, fork(backend, "s"))[2]
    assert whole[-1]["regenerated_from"] == whole[2]["run_id"]


def test_a_member_is_no_place_to_fork_at(backend: Backend) -> None:
    backend.write([team_session()])
    with pytest.raises(UsageError) as caught:
        fork(backend, "s", 1)
    assert "part of run 3" in caught.value.message
    assert caught.value.hint == "--at 3"


def test_a_run_or_session_that_is_not_there_is_told_with_what_is(backend: Backend) -> None:
    backend.write([three_turns(), sample_bundle("none", 0)])
    with pytest.raises(RunNotFoundError) as caught:
        fork(backend, "s", 4)
    assert "1 to 3" in (caught.value.hint or "")
    with pytest.raises(RunNotFoundError):
        fork(backend, "none", 1)
    with pytest.raises(SessionNotFoundError):
        fork(backend, "nobody")
    assert sorted(backend.ids()) == ["none", "s"]


def test_what_is_being_answered_is_left_out_or_refused(backend: Backend) -> None:
    session = three_turns().session
    backend.write([SessionBundle(session, (turn(1), turn(2, status="RUNNING")))])
    copy, runs, _ = copied(backend, fork(backend, "s"))
    assert len(runs) == 1
    assert codec.decode(copy.session_data or b"")["session_state"] == {"cups": 3}
    with pytest.raises(SessionConflictError):
        fork(backend, "s", 2)


def test_an_answer_that_was_replaced_counts_again_at_the_end(backend: Backend) -> None:
    old = turn(2, status="REGENERATED")
    backend.write([SessionBundle(three_turns().session, (turn(1), old, turn(3)))])
    _, runs, data = copied(backend, fork(backend, "s", 2))
    assert runs[-1].status == data[-1]["status"] == "COMPLETED"
    _, runs, _ = copied(backend, fork(backend, "s", 3))
    assert runs[1].status == "REGENERATED"


def summarized(reaches: int | None) -> SessionBundle:
    data: dict[str, Any] = {"session_state": {}}
    if reaches is not None:
        data[COVERS] = {"run_id": f"run-{reaches}", "run_index": reaches - 1, "created_at": 1}
    summary = document({"summary": "Long ago.", "topics": []})
    session = sample_session("s", session_data=document(data), summary=summary)
    return SessionBundle(session, (turn(1), turn(2), turn(3)))


@pytest.mark.parametrize(
    ("reaches", "at", "stays"),
    [
        (2, 2, True),
        (2, 3, True),
        (2, 1, False),
        (None, None, True),
        (None, 2, False),
        (9, 3, False),
    ],
)
def test_a_summary_stays_as_long_as_it_tells_of_nothing_left_out(
    reaches: int | None, at: int | None, stays: bool
) -> None:
    with MemoryDb() as backend:
        backend.write([summarized(reaches)])
        session, runs, _ = copied(backend, fork(backend, "s", at))
        covers = codec.decode(session.session_data or b"").get(COVERS)
        if not stays:
            assert (session.summary, covers) == (NULL, None)
            return
        assert codec.decode(session.summary or b"")["summary"] == "Long ago."
        assert (covers or {}).get("run_id") == (
            None if reaches is None else runs[reaches - 1].run_id
        )


def test_state_without_a_copy_in_any_run_stays_the_sessions(backend: Backend) -> None:
    backend.write([sample_bundle("s", 3)])
    session, _, _ = copied(backend, fork(backend, "s", 1))
    assert codec.decode(session.session_data or b"")["session_state"] == {"cups": 2}


def test_documents_keep_their_text_and_odd_ones_are_carried() -> None:
    odd = b'{"a": 1.0, "run_id": "run-1", "n": NaN, "s": "\\ud800", "a": 2, "events": 7}'
    runs = (
        replace(turn(1), run_data=Document(odd)),
        replace(turn(2), run_data=Document(b"[broken")),
    )
    with MemoryDb() as backend:
        backend.write([SessionBundle(sample_session("s"), runs)])
        found = list(backend.runs(fork(backend, "s")))
    assert b'"n": NaN, "s": "\\ud800"' in bytes(found[0].run_data)
    assert b"run-1" not in bytes(found[0].run_data)
    assert found[1].run_data == b"[broken"


def test_into_another_backend_and_back(backend: Backend, tmp_path: Path) -> None:
    with SqliteDb(tmp_path / "elsewhere.db") as other:
        other.write([three_turns()])
        there = fork(other, "s", 2, to=backend)
        session, runs, _ = copied(backend, there)
        assert len(runs) == 2
        lineage = codec.decode(session.metadata or b"")["forked_from"]
        assert lineage["backend"] == other.address
        back = fork(backend, there, to=other)
        assert [run.status for run in other.runs(back)] == ["COMPLETED", "COMPLETED"]
        assert sorted(other.ids()) == sorted(["s", back])


def test_what_another_backend_cannot_hold_is_said_and_nothing_is_stored(
    backend: Backend, tmp_path: Path
) -> None:
    if backend.capabilities.holds_surrogates:
        with SqliteDb(tmp_path / "closed.db") as there:
            there.setup()
        backend.write([three_turns()])
        closed = SqliteDb(tmp_path / "closed.db", read_only=True)
        with closed, pytest.raises(BackendReadOnlyError):
            fork(backend, "s", to=closed)
        return
    with MemoryDb() as source:
        source.write([SessionBundle(sample_session("s"), (turn(1), turn(2, note="\ud800")))])
        backend.setup()
        with pytest.raises(RecordRejectedError) as caught:
            fork(source, "s", to=backend)
        assert caught.value.json_path == "run_data.note"
        assert list(backend.ids()) == []
        fork(source, "s", 1, to=backend)


class _Failing(MemoryDb):
    """Fails while the copy is being written."""

    def write(self, bundles: Any, policy: Any = None) -> Any:
        def some(runs: Iterator[Run]) -> Iterator[Run]:
            yield next(iter(runs))
            raise KeyboardInterrupt

        return super().write([SessionBundle(one.session, some(one.runs)) for one in bundles])


def test_a_copy_that_breaks_off_leaves_nothing(backend: Backend) -> None:
    backend.write([three_turns()])
    with pytest.raises(KeyboardInterrupt), _Failing() as failing:
        fork(backend, "s", to=failing)
    assert list(backend.ids()) == ["s"]


def test_a_session_of_agno_2_is_forked_from_its_blob(tmp_path: Path) -> None:
    path = tmp_path / "agno2.db"
    with SqliteDb(path) as backend:
        backend.write([sample_bundle("s", 0)])
    blob = codec.encode([codec.decode(turn(n).run_data) for n in (1, 2, 3)]).decode()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("DROP TABLE agno_runs")
        connection.execute("ALTER TABLE agno_sessions ADD COLUMN runs JSON")
        connection.execute("UPDATE agno_sessions SET runs = ?", [codec.line(blob)])
    with SqliteDb(path) as backend:
        new = fork(backend, "s", 2)
        assert [codec.decode(run.run_data)["content"][:8] for run in backend.runs(new)] == [
            "answer 1",
            "answer 2",
        ]
        assert len(list(backend.runs("s"))) == 3


def test_a_large_session_is_forked_in_a_file_that_readers_bar_from_writing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with SqliteDb(path) as backend:
        big = (turn(n, note="x" * 2_000_000) for n in range(1, 21))
        backend.write([SessionBundle(sample_session("s"), big)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    with SqliteDb(path) as backend:
        assert not backend.capabilities.one_moment
        assert sum(1 for _ in backend.runs(fork(backend, "s"))) == 20
