"""append_run, put_run, update, delete, delete_runs."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli.abc import Backend, SessionQuery
from agnocli.errors import (
    RunNotFoundError,
    SessionConflictError,
    SessionNotFoundError,
    UsageError,
)
from agnocli.records import NULL, SESSION_DOCUMENTS, SessionBundle
from agnocli.testing.base_suite import Suite, everything, given, same
from agnocli.testing.reading_suite import tied_runs
from agnocli.testing.records import (
    EPOCH,
    comparable,
    document,
    numbered,
    sample_bundle,
    sample_run,
    sample_session,
)


class EditingSuite(Suite):
    # append_run

    def test_an_appended_run_is_the_last(self, backend: Backend) -> None:
        backend.write([sample_bundle("a", 0), sample_bundle("b", 3)])
        for number in range(4):
            stored = backend.append_run(sample_run("a", number, run_index=None))
            assert stored == replace(sample_run("a", number), run_index=number)
        wanted = [sample_run("a", number) for number in range(4)]
        kept = [comparable(run, backend.capabilities) for run in backend.runs("a")]
        assert kept == [comparable(run, backend.capabilities) for run in wanted]

    @pytest.mark.parametrize("wish", [None, 0, 99, -1])
    def test_the_index_of_an_appended_run_is_the_backends_choice(
        self, backend: Backend, wish: int | None
    ) -> None:
        backend.write([sample_bundle("a", 2)])
        assert backend.append_run(sample_run("a", 2, run_index=wish)).run_index == 2
        assert [run.run_index for run in backend.runs("a")] == [0, 1, 2]

    def test_a_run_is_appended_behind_ties_gaps_and_runs_without_index(
        self, backend: Backend
    ) -> None:
        ordered = tied_runs("s")
        for length in range(1, len(ordered) + 1):
            some = random.Random(length).sample(ordered[:length], length)
            backend.write([SessionBundle(sample_session("s"), some)])
            new = sample_run("s", run_id="!", created_at=0)
            index = backend.append_run(new).run_index
            assert numbered(backend.runs("s")) == [*numbered(ordered[:length]), (index, "!")]
            backend.delete(["s"])

    def test_a_run_is_appended_behind_the_highest_index_however_few_runs_there_are(
        self, backend: Backend
    ) -> None:
        apart = [sample_run("s", index) for index in (7, 0)]
        backend.write([SessionBundle(sample_session("s"), apart)])
        assert backend.append_run(sample_run("s", run_id="new")).run_index == 8
        assert [index for index, _ in numbered(backend.runs("s"))] == [0, 7, 8]

    def test_appending_dates_the_session_and_changes_nothing_else(self, backend: Backend) -> None:
        backend.write([sample_bundle("a"), sample_bundle("b")])
        before = int(time.time())
        backend.append_run(sample_run("a", 2))
        session = backend.get("a")
        assert session.updated_at is not None
        assert before <= session.updated_at <= time.time()
        assert same(session, sample_session("a", updated_at=session.updated_at), backend)
        assert same(backend.get("b"), sample_session("b"), backend)

    def test_nothing_is_appended_to_a_session_that_is_not_there(self, backend: Backend) -> None:
        backend.write([sample_bundle("a")])
        with pytest.raises(SessionNotFoundError):
            backend.append_run(sample_run("b", 0))
        assert everything(backend) == given(sample_bundle("a"), by=backend)

    @pytest.mark.parametrize("owner", ["a", "b"])
    def test_a_run_id_that_is_taken_cannot_be_appended(self, backend: Backend, owner: str) -> None:
        bundles = [sample_bundle("a"), sample_bundle("b")]
        backend.write(bundles)
        with pytest.raises(SessionConflictError):
            backend.append_run(sample_run("a", 5, run_id=f"{owner}.run-1"))
        assert everything(backend) == given(*bundles, by=backend)

    # put_run

    def test_a_put_run_replaces_the_stored_one_in_its_place(self, backend: Backend) -> None:
        backend.write([sample_bundle("a", 3), sample_bundle("b", 1)])
        new = sample_run(
            "a",
            1,
            run_index=77,
            created_at=1,
            status="CANCELLED",
            run_type="team",
            agent_id=None,
            team_id="desk",
            workflow_id="flow",
            user_id="bob",
            parent_run_id="a.run-0",
            updated_at=EPOCH + 999,
            run_data=document({"content": "half an ans"}),
        )
        backend.put_run(new)
        stored = replace(new, run_index=1, created_at=EPOCH + 1)
        runs = (sample_run("a", 0), stored, sample_run("a", 2))
        found = everything(backend)["a"][1]
        assert found == tuple(comparable(run, backend.capabilities) for run in runs)
        assert everything(backend)["b"] == given(sample_bundle("b", 1), by=backend)["b"]

    def test_a_run_without_index_stays_without_when_put(self, backend: Backend) -> None:
        backend.write([SessionBundle(sample_session("s"), tied_runs("s"))])
        backend.put_run(sample_run("s", run_id="d", run_index=3, created_at=0))
        assert numbered(backend.runs("s")) == numbered(tied_runs("s"))

    @pytest.mark.parametrize(
        ("session_id", "run_id"), [("a", "no"), ("b", "a.run-0"), ("no", "no")]
    )
    def test_a_run_that_is_gone_cannot_be_put(
        self, backend: Backend, session_id: str, run_id: str
    ) -> None:
        bundles = [sample_bundle("a"), sample_bundle("b")]
        backend.write(bundles)
        with pytest.raises(RunNotFoundError) as caught:
            backend.put_run(sample_run(session_id, run_id=run_id))
        assert caught.value.run_id == run_id
        assert everything(backend) == given(*bundles, by=backend)

    # update

    @pytest.mark.parametrize(
        "changes",
        [
            {"user_id": "bob"},
            {"user_id": None},
            {"user_id": ""},
            {"metadata": document({"tags": []})},
            {"session_data": document({"session_name": "New"}), "summary": None},
            {"session_data": None, "team_id": "desk", "agent_id": None, "session_type": "team"},
            {"created_at": 5, "workflow_id": "flow", "workflow_data": document({})},
        ],
        ids=repr,
    )
    def test_an_update_sets_those_columns_and_the_time(
        self, backend: Backend, changes: dict[str, Any]
    ) -> None:
        backend.write([sample_bundle("a"), sample_bundle("b")])
        before = int(time.time())
        returned = backend.update("a", changes)
        assert returned.updated_at is not None
        assert before <= returned.updated_at <= time.time()
        wanted = sample_session("a", **{**changes, "updated_at": returned.updated_at})
        assert same(returned, wanted, backend)
        bundles = (SessionBundle(wanted, sample_bundle("a").runs), sample_bundle("b"))
        assert everything(backend) == given(*bundles, by=backend)

    @pytest.mark.parametrize("moment", [None, 12, EPOCH + 10**6])
    def test_an_update_takes_the_time_it_is_given(
        self, backend: Backend, moment: int | None
    ) -> None:
        backend.write([sample_bundle("a")])
        assert backend.update("a", {"updated_at": moment, "user_id": "bob"}).updated_at == moment
        assert backend.get("a").updated_at == moment

    @pytest.mark.parametrize("column", SESSION_DOCUMENTS)
    def test_null_of_the_column_and_null_in_it_are_two_things(
        self, backend: Backend, column: str
    ) -> None:
        for session_id, null in (("sql", None), ("json", NULL)):
            columns: dict[str, Any] = {column: null}
            backend.write([SessionBundle(sample_session(session_id, **columns), ())])
        assert getattr(backend.get("sql"), column) is None
        if not backend.capabilities.keeps_null_kind:
            assert getattr(backend.get("json"), column) is None
            assert backend.update("sql", {"user_id": "bob"}, {column: None}).user_id == "bob"
            return
        assert getattr(backend.get("json"), column) == NULL
        assert getattr(backend.update("sql", {column: NULL}), column) == NULL
        assert getattr(backend.update("json", {column: None}), column) is None
        with pytest.raises(SessionConflictError):
            backend.update("sql", {"user_id": "bob"}, {column: None})
        with pytest.raises(SessionConflictError):
            backend.update("json", {"user_id": "bob"}, {column: NULL})

    @pytest.mark.parametrize(
        ("expected", "conflict"),
        [
            ({}, False),
            ({"user_id": "alice"}, False),
            ({"user_id": "alice", "team_id": None, "updated_at": EPOCH + 60}, False),
            ({"user_id": "bob"}, True),
            ({"user_id": "Alice"}, True),
            ({"user_id": None}, True),
            ({"team_id": ""}, True),
            ({"user_id": "alice", "updated_at": EPOCH + 61}, True),
            ({"session_data": document({"session_name": "Coffee"})}, True),
        ],
    )
    def test_an_update_is_refused_when_a_column_is_not_as_expected(
        self, backend: Backend, expected: dict[str, Any], conflict: bool
    ) -> None:
        backend.write([sample_bundle("a")])
        if not conflict:
            assert backend.update("a", {"agent_id": "writer"}, expected).agent_id == "writer"
            return
        with pytest.raises(SessionConflictError) as caught:
            backend.update("a", {"agent_id": "writer"}, expected)
        assert caught.value.hint
        assert everything(backend) == given(sample_bundle("a"), by=backend)

    def test_what_was_read_is_as_expected(self, backend: Backend) -> None:
        backend.write([sample_bundle("a")])
        found = backend.get("a")
        columns = {name: getattr(found, name) for name in (*SESSION_DOCUMENTS, "updated_at")}
        assert backend.update("a", {"user_id": "bob"}, columns).user_id == "bob"

    @pytest.mark.parametrize("column", ["session_id", "no_such_column", "runs; --", "extra"])
    def test_a_column_that_cannot_be_set_is_refused(self, backend: Backend, column: str) -> None:
        backend.write([sample_bundle("a")])
        with pytest.raises(UsageError):
            backend.update("a", {column: "x"})
        with pytest.raises(UsageError):
            backend.update("a", {"user_id": "x"}, {column: "x"})
        assert everything(backend) == given(sample_bundle("a"), by=backend)

    def test_a_session_that_is_not_there_cannot_be_updated(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFoundError):
            backend.update("a", {"user_id": "bob"})
        assert everything(backend) == {}

    # delete

    def test_deleting_takes_the_runs_along(self, backend: Backend) -> None:
        backend.write([sample_bundle(name, 3) for name in "abcd"])
        assert backend.delete(["c", "a"]) == 2
        bundles = [sample_bundle(name, 3) for name in "bd"]
        assert everything(backend) == given(*bundles, by=backend)
        assert backend.inspect().runs == 6
        for verb in (backend.get, backend.runs):
            with pytest.raises(SessionNotFoundError):
                verb("a")
        backend.write([sample_bundle("a", 0)])
        assert list(backend.runs("a")) == []
        assert backend.append_run(sample_run("a", 0)).run_index == 0

    @pytest.mark.parametrize("ids", [["a", "no"], ["no", "a"], ["no"], [""], ["a", "b", "A"]])
    def test_deleting_is_all_or_none(self, backend: Backend, ids: list[str]) -> None:
        bundles = [sample_bundle("a"), sample_bundle("b")]
        backend.write(bundles)
        with pytest.raises(SessionNotFoundError) as caught:
            backend.delete(ids)
        assert caught.value.session_id not in ("a", "b")
        assert caught.value.session_id in ids
        assert everything(backend) == given(*bundles, by=backend)

    def test_an_id_given_twice_is_deleted_once(self, backend: Backend) -> None:
        backend.write([sample_bundle("a"), sample_bundle("b")])
        assert backend.delete(["a", "a"]) == 1
        assert backend.delete([]) == 0
        assert sorted(everything(backend)) == ["b"]

    # delete_runs

    @pytest.mark.parametrize(
        "gone", [[0], [4], [2], [0, 1], [1, 3], [4, 0, 2], [0, 1, 2, 3, 4], []]
    )
    def test_deleting_runs_closes_the_gaps(self, backend: Backend, gone: list[int]) -> None:
        backend.write([sample_bundle("a", 5), sample_bundle("b", 5)])
        assert backend.delete_runs("a", [f"a.run-{number}" for number in gone]) == len(gone)
        kept = [f"a.run-{number}" for number in range(5) if number not in gone]
        assert numbered(backend.runs("a")) == list(enumerate(kept))
        assert backend.append_run(sample_run("a", 9)).run_index == len(kept)
        assert everything(backend)["b"] == given(sample_bundle("b", 5), by=backend)["b"]

    def test_deleting_runs_numbers_ties_in_their_order(self, backend: Backend) -> None:
        ordered = tied_runs("s")
        for place, gone in enumerate(ordered):
            shuffled = random.Random(place).sample(ordered, len(ordered))
            backend.write([SessionBundle(sample_session("s"), shuffled)])
            assert backend.delete_runs("s", [gone.run_id, gone.run_id]) == 1
            kept = [run.run_id for run in ordered if run is not gone]
            assert numbered(backend.runs("s")) == list(enumerate(kept))
            backend.delete(["s"])

    @pytest.mark.parametrize("run_ids", [["a.run-0", "no"], ["no"], ["b.run-0"], ["a.run-0", ""]])
    def test_deleting_runs_is_all_or_none(self, backend: Backend, run_ids: list[str]) -> None:
        bundles = [sample_bundle("a"), sample_bundle("b")]
        backend.write(bundles)
        with pytest.raises(RunNotFoundError) as caught:
            backend.delete_runs("a", run_ids)
        assert caught.value.run_id == run_ids[-1]
        assert everything(backend) == given(*bundles, by=backend)

    def test_no_runs_are_deleted_from_a_session_that_is_not_there(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFoundError):
            backend.delete_runs("a", ["a.run-0"])
        with pytest.raises(SessionNotFoundError):
            backend.delete_runs("a", [])

    def test_the_listing_follows_every_edit(self, backend: Backend) -> None:
        backend.write([sample_bundle("a", 1), sample_bundle("b", 1, updated_at=EPOCH + 90)])
        backend.append_run(sample_run("a", 1, status="RUNNING"))
        first, _ = backend.find(SessionQuery()).items
        assert (first.session_id, first.runs, first.status) == ("a", 2, "RUNNING")
        backend.put_run(sample_run("a", 1, status="CANCELLED"))
        assert backend.find(SessionQuery()).items[0].status == "CANCELLED"
        backend.delete_runs("a", ["a.run-1"])
        assert backend.find(SessionQuery()).items[0].runs == 1
