"""Turns taken back, put back and cut off, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Backend
from agnocli.cli.repl.rewind import cut, put_back, take_back
from agnocli.errors import RunNotFoundError, SessionConflictError, UndoneError, UsageError
from agnocli.records import Document, Run, SessionBundle
from agnocli.sessions.undone import Journal, Undone, journal
from agnocli.testing.base_suite import BackendHarness
from agnocli.testing.records import comparable, document, sample_run, sample_session


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "agno" / "undone"


@pytest.fixture
def undone(backend: Backend) -> Iterator[Journal]:
    yield journal(backend, "s")


def turn(number: int, **columns: object) -> Run:
    run = sample_run("s", number)
    state = {"cups": number, f"only {number}": True}
    data = codec.patch(run.run_data, {"session_state": state})
    return replace(run, **{"run_data": data, **columns})


def answered_twice() -> list[Run]:
    """Turn 3 was asked again, and a member had a part in the second answer."""
    first = turn(2, status="REGENERATED")
    data = codec.patch(sample_run("s", 4).run_data, {"regenerated_from": first.run_id})
    member = turn(3, parent_run_id=sample_run("s", 4).run_id)
    return [turn(0), turn(1), first, member, turn(4, run_data=data)]


def stored(backend: Backend, runs: list[Run]) -> list[Run]:
    state = {"session_name": "Tea", "session_state": {"cups": 9, "mine": 1}}
    backend.write([SessionBundle(sample_session("s", session_data=document(state)), runs)])
    return whole(backend, "s")


def whole(backend: Backend, session_id: str) -> list[Run]:
    found = (comparable(run, backend.capabilities) for run in backend.runs(session_id))
    return [replace(run, updated_at=0) for run in found]


def others(backend: Backend) -> list[str]:
    return [one for one in backend.ids() if one != "s"]


def test_a_turn_comes_back_as_it_was_with_all_that_belongs_to_it(
    backend: Backend, undone: Journal
) -> None:
    before = stored(backend, answered_twice())

    turn = take_back(backend, "s", undone, ())
    assert len(turn.runs) == 3
    assert [run.run_id for run in backend.runs("s")] == ["s.run-0", "s.run-1"]
    assert put_back(backend, "s", undone).elsewhere is None

    assert whole(backend, "s") == before
    assert [run.run_index for run in backend.runs("s")] == [0, 1, 2, 3, 4]


def test_all_turns_can_be_taken_back_and_come_back_in_order(
    backend: Backend, undone: Journal
) -> None:
    before = stored(backend, [turn(0), turn(1), turn(2)])

    for _ in range(3):
        take_back(backend, "s", undone, ())
    assert list(backend.runs("s")) == []
    assert len(undone) == 3
    for _ in range(3):
        put_back(backend, "s", undone)

    assert whole(backend, "s") == before
    assert len(undone) == 0
    with pytest.raises(UsageError, match="nothing was taken back"):
        put_back(backend, "s", undone)


def test_what_a_turn_did_to_the_state_goes_and_comes_with_it(
    backend: Backend, undone: Journal
) -> None:
    stored(backend, [turn(0), turn(1)])
    state = {"cups": 1, "only 1": True, "mine": 1}
    backend.update("s", {"session_data": document({"session_state": state})})

    take_back(backend, "s", undone, ())
    assert _state(backend) == {"cups": 0, "only 0": True, "mine": 1}
    put_back(backend, "s", undone)
    assert _state(backend) == state


def _state(backend: Backend) -> object:
    return codec.members(backend.get("s").session_data)["session_state"]


def test_a_turn_goes_into_a_session_of_its_own_when_others_were_said_since(
    backend: Backend, undone: Journal
) -> None:
    stored(backend, answered_twice())
    take_back(backend, "s", undone, ())
    backend.append_run(replace(sample_run("s", 7), run_index=None))
    here = whole(backend, "s")

    found = put_back(backend, "s", undone)

    assert whole(backend, "s") == here
    assert others(backend) == [found.elsewhere]
    assert found.elsewhere is not None
    runs = list(backend.runs(found.elsewhere))
    assert [run.run_index for run in runs] == [0, 1, 2, 3, 4]
    assert runs[3].parent_run_id == runs[4].run_id
    assert codec.members(runs[4].run_data)["regenerated_from"] == runs[2].run_id
    assert {run.session_id for run in runs} == {found.elsewhere}


def test_a_put_back_that_was_cut_short_is_finished(backend: Backend, undone: Journal) -> None:
    before = stored(backend, answered_twice())
    turn = take_back(backend, "s", undone, ())
    backend.append_run(replace(turn.runs[0], run_index=None))

    put_back(backend, "s", undone)

    assert whole(backend, "s") == before


def test_a_cut_keeps_the_old_line_whole(backend: Backend) -> None:
    before = stored(backend, answered_twice())

    kept = cut(backend, "s", 2, kept_as="as it was")

    assert [run.run_id for run in backend.runs("s")] == ["s.run-0"]
    runs = list(backend.runs(kept))
    assert len(runs) == len(before)
    assert [run.status for run in runs] == [run.status for run in before]
    name = codec.members(backend.get(kept).session_data)["session_name"]
    assert name == "as it was"


@pytest.mark.parametrize("number", [3, 5])
def test_a_cut_at_either_answer_of_a_turn_is_of_the_whole_turn(
    backend: Backend, number: int
) -> None:
    stored(backend, answered_twice())

    cut(backend, "s", number, kept_as="as it was")

    assert [run.run_id for run in backend.runs("s")] == ["s.run-0", "s.run-1"]


def test_a_turn_that_is_being_answered_is_neither_cut_nor_taken_back(
    backend: Backend, undone: Journal
) -> None:
    before = stored(backend, [turn(0), turn(1, status="RUNNING")])

    with pytest.raises(SessionConflictError):
        cut(backend, "s", 1, kept_as="x")
    with pytest.raises(SessionConflictError):
        take_back(backend, "s", undone, ())

    assert whole(backend, "s") == before
    assert others(backend) == []


@pytest.mark.parametrize("number", [0, 4, 9, -9])
def test_only_a_turn_can_be_cut_at(backend: Backend, number: int) -> None:
    stored(backend, answered_twice())

    with pytest.raises((RunNotFoundError, UsageError)):
        cut(backend, "s", number, kept_as="x")

    assert others(backend) == []


# the journal


def test_sessions_of_one_id_at_two_backends_are_told_apart(
    backend: Backend, harness: BackendHarness, undone: Journal, tmp_path: Path
) -> None:
    from agnocli.db.sqlite import SqliteDb

    stored(backend, [turn(0)])
    take_back(backend, "s", undone, ())

    with SqliteDb(tmp_path / "another.db") as another:
        assert len(journal(another, "s")) == 0
    assert len(journal(backend, "s")) == (1 if backend.capabilities.durable else 0)


def entry(question: str) -> Undone:
    run = replace(turn(0), extra={"mood": "fine", "raw": b"\x00\xff"})
    odd = replace(run, run_data=Document(b'{"x": NaN, "y": "\\ud800", "z": \xff}'))
    return Undone(session_id="s", behind=None, question=question, runs=(run, odd))


def test_what_is_kept_is_what_was_given(tmp_path: Path) -> None:
    undone = Journal(tmp_path / "kept")
    undone.keep(entry("one"))
    undone.keep(entry("two"))

    again = Journal(tmp_path / "kept")
    assert again.last() == entry("two")
    again.drop()
    assert again.last() == entry("one")
    again.drop()
    assert again.last() is None


def test_a_number_that_another_program_took_is_passed_over(tmp_path: Path) -> None:
    ours, theirs = Journal(tmp_path), Journal(tmp_path)
    for number in range(12):
        (ours if number % 2 else theirs).keep(entry(str(number)))

    for number in reversed(range(12)):
        found = ours.last()
        assert found is not None
        assert found.question == str(number)
        ours.drop()


def test_what_cannot_be_read_is_said_with_its_place(tmp_path: Path) -> None:
    undone = Journal(tmp_path)
    undone.keep(entry("one"))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-3])

    with pytest.raises(UndoneError, match=str(file)):
        undone.last()


def test_a_journal_is_forgotten_with_its_session(tmp_path: Path) -> None:
    undone = Journal(tmp_path / "kept")
    undone.forget()
    undone.keep(entry("one"))
    undone.forget()

    assert list(tmp_path.iterdir()) == []
    assert undone.last() is None
