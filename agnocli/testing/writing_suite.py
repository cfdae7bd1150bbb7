"""write: policies, identity, all or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest
from msgspec.structs import replace

from agnocli.abc import Backend, ConflictPolicy, Loader, WriteResult
from agnocli.errors import RecordRejectedError, SessionConflictError
from agnocli.records import Document, Run, SessionBundle
from agnocli.testing.base_suite import Suite, everything, given
from agnocli.testing.records import (
    EPOCH,
    document,
    numbered,
    sample_bundle,
    sample_run,
    sample_session,
    whole,
)

ERROR, SKIP, REPLACE = ConflictPolicy.ERROR, ConflictPolicy.SKIP, ConflictPolicy.REPLACE
NEWER = ConflictPolicy.NEWER


class Interrupted(Exception):
    """What a source raises half-way."""


def loading(backend: Backend) -> AbstractContextManager[None]:
    return backend.loading() if isinstance(backend, Loader) else nullcontext()


def renamed(session_id: str, runs: int = 2) -> SessionBundle:
    return sample_bundle(session_id, runs, name="Other")


class WritingSuite(Suite):
    def test_all_of_a_batch_is_written(self, backend: Backend) -> None:
        bundles = [sample_bundle("b", 3), sample_bundle("a", 0), sample_bundle("c", 1)]
        assert backend.write(bundles) == WriteResult(written=("b", "a", "c"))
        assert everything(backend) == given(*bundles, by=backend)

    def test_an_empty_batch_is_nothing(self, backend: Backend) -> None:
        assert backend.write([]) == WriteResult()
        assert everything(backend) == {}

    def test_batches_and_runs_may_be_one_shot(self, backend: Backend) -> None:
        def source() -> Iterator[SessionBundle]:
            for name in "abc":
                yield SessionBundle(sample_session(name), (sample_run(name, one) for one in (0, 1)))

        backend.write(source())
        assert everything(backend) == given(*map(sample_bundle, "abc"), by=backend)

    def test_times_and_indexes_are_stored_as_given(self, backend: Backend) -> None:
        session = sample_session("s", created_at=7, updated_at=3)
        runs = [
            sample_run("s", 0, run_index=None, created_at=9, updated_at=None),
            sample_run("s", 1, run_index=4, created_at=0, updated_at=1),
            sample_run("s", 2, run_index=4, created_at=5, updated_at=2**53),
        ]
        dateless = SessionBundle(sample_session("t", updated_at=None), ())
        backend.write([SessionBundle(session, runs), dateless])
        assert everything(backend) == given(SessionBundle(session, runs), dateless, by=backend)

    @pytest.mark.parametrize("policy", ConflictPolicy)
    def test_an_identical_session_is_no_conflict(
        self, backend: Backend, policy: ConflictPolicy
    ) -> None:
        backend.write([sample_bundle("a", 3), sample_bundle("b", 0)])
        again = [sample_bundle("b", 0), sample_bundle("a", 3), sample_bundle("c")]
        result = backend.write(again, policy)
        assert result == WriteResult(identical=("b", "a"), written=("c",))
        assert everything(backend) == given(*again, by=backend)

    @pytest.mark.parametrize("policy", ConflictPolicy)
    def test_the_order_of_keys_makes_no_other_session(
        self, backend: Backend, policy: ConflictPolicy
    ) -> None:
        backend.write([SessionBundle(sample_session(metadata=Document(b'{"a": 1.0, "b": 2}')), ())])
        same = SessionBundle(sample_session(metadata=Document(b'{"b":2,"a":1}')), ())
        assert backend.write([same], policy) == WriteResult(identical=("session-1",))

    @pytest.mark.parametrize(
        "other",
        [
            renamed("a"),
            sample_bundle("a", 1),
            sample_bundle("a", 3),
            sample_bundle("a", 0),
            sample_bundle("a", updated_at=EPOCH + 61),
            sample_bundle("a", updated_at=None),
            sample_bundle("a", created_at=EPOCH - 1),
            sample_bundle("a", user_id=None),
            sample_bundle("a", summary=None),
            SessionBundle(
                sample_session("a"), (sample_run("a", 1), sample_run("a", 0, run_index=2))
            ),
            SessionBundle(
                sample_session("a"), (sample_run("a", 0), sample_run("a", 1, status=None))
            ),
            SessionBundle(
                sample_session("a"),
                (sample_run("a", 0), sample_run("a", 1, run_data=document({"messages": []}))),
            ),
        ],
        ids=range(12),
    )
    def test_a_session_that_differs_anywhere_is_a_conflict(
        self, backend: Backend, other: SessionBundle
    ) -> None:
        backend.write([sample_bundle("a")])
        if whole(other, backend.capabilities) == whole(sample_bundle("a"), backend.capabilities):
            assert backend.write([other]) == WriteResult(identical=("a",))
            return
        with pytest.raises(SessionConflictError) as caught:
            backend.write([other])
        assert caught.value.session_id == "a"
        assert caught.value.hint
        assert everything(backend) == given(sample_bundle("a"), by=backend)
        assert backend.write([other], SKIP) == WriteResult(skipped=("a",))
        assert everything(backend) == given(sample_bundle("a"), by=backend)
        assert backend.write([other], REPLACE) == WriteResult(replaced=("a",))
        assert everything(backend) == given(other, by=backend)

    def test_a_conflict_undoes_the_batch(self, backend: Backend) -> None:
        backend.write([sample_bundle("b")])
        with pytest.raises(SessionConflictError):
            backend.write([sample_bundle("a", 3), renamed("b"), sample_bundle("c")])
        self.check_undone(backend, sample_bundle("b"), half_done=sample_bundle("a", 3))

    @pytest.mark.parametrize("policy", ConflictPolicy)
    def test_an_error_while_bundles_are_read_undoes_the_batch(
        self, backend: Backend, policy: ConflictPolicy
    ) -> None:
        def source() -> Iterator[SessionBundle]:
            yield sample_bundle("a", 3)
            yield sample_bundle("b", 5)
            raise Interrupted

        stored = () if policy is ERROR else (sample_bundle("b"),)
        backend.write(stored)
        with pytest.raises(Interrupted):
            backend.write(source(), policy)
        if backend.capabilities.atomic_batches:
            assert everything(backend) == given(*stored, by=backend)
        backend.write([sample_bundle("c")])
        assert "c" in everything(backend)

    @pytest.mark.parametrize("policy", ConflictPolicy)
    def test_an_error_while_runs_are_read_leaves_no_half_session(
        self, backend: Backend, policy: ConflictPolicy
    ) -> None:
        def runs() -> Iterator[Run]:
            yield sample_run("b", 0)
            yield sample_run("b", 1, status="ERROR")
            raise Interrupted

        stored = () if policy is ERROR else (sample_bundle("b"),)
        backend.write(stored)
        with pytest.raises(Interrupted):
            backend.write([sample_bundle("a"), SessionBundle(sample_session("b"), runs())], policy)
        self.check_undone(backend, *stored, half_done=sample_bundle("a"))

    def check_undone(
        self, backend: Backend, *stored: SessionBundle, half_done: SessionBundle
    ) -> None:
        found = everything(backend)
        if not backend.capabilities.atomic_batches:
            there = half_done.session.session_id in found
            stored = (*stored, half_done) if there else stored
        assert found == given(*stored, by=backend)
        assert backend.inspect().runs == sum(len(list(bundle.runs)) for bundle in stored)

    @pytest.mark.parametrize(
        ("moment", "outcome"),
        [
            ({"updated_at": EPOCH + 61}, WriteResult(replaced=("a",))),
            ({"updated_at": EPOCH + 60}, WriteResult(skipped=("a",))),
            ({"updated_at": EPOCH + 59}, WriteResult(skipped=("a",))),
            ({"updated_at": None}, WriteResult(skipped=("a",))),
            ({"updated_at": None, "created_at": EPOCH + 99}, WriteResult(replaced=("a",))),
        ],
        ids=range(5),
    )
    def test_what_was_updated_later_wins_under_newer(
        self, backend: Backend, moment: dict[str, int | None], outcome: WriteResult
    ) -> None:
        backend.write([sample_bundle("a", 3)])
        other = sample_bundle("a", 5, name="Other", **moment)
        lazy = SessionBundle(other.session, iter(other.runs))
        assert backend.write([lazy, sample_bundle("b")], NEWER) == replace(outcome, written=("b",))
        a = other if outcome.replaced else sample_bundle("a", 3)
        assert everything(backend) == given(a, sample_bundle("b"), by=backend)

    @pytest.mark.parametrize("policy", ConflictPolicy)
    def test_the_session_of_another_user_is_not_written_over(
        self, backend: Backend, policy: ConflictPolicy
    ) -> None:
        mine = sample_bundle("a", 2, user_id="alice")
        theirs = sample_bundle("a", 3, user_id="bob", updated_at=EPOCH + 99)
        backend.write([mine])
        if policy is SKIP:
            assert backend.write([theirs], policy) == WriteResult(skipped=("a",))
        else:
            with pytest.raises(SessionConflictError) as caught:
                backend.write([theirs], policy)
            assert caught.value.session_id == "a"
        assert everything(backend) == given(mine, by=backend)

    def test_a_session_of_nobody_can_be_replaced(self, backend: Backend) -> None:
        backend.write([sample_bundle("a", user_id=None)])
        assert backend.write([sample_bundle("a")], REPLACE) == WriteResult(replaced=("a",))
        assert everything(backend) == given(sample_bundle("a"), by=backend)

    @pytest.mark.parametrize("policy", ConflictPolicy)
    def test_of_many_each_meets_its_own_fate(
        self, backend: Backend, policy: ConflictPolicy
    ) -> None:
        old = [sample_bundle(f"{number:03}", number % 4) for number in range(0, 300, 3)]
        backend.write(old)
        new = [
            sample_bundle(f"{number:03}", number % 4, name="Other" if number % 2 else "Tea")
            for number in range(300)
        ]
        met = [f"{number:03}" for number in range(0, 300, 3)]
        same, differ = (
            [one for one in met if int(one) % 2 == 0],
            [one for one in met if int(one) % 2],
        )
        written = tuple(f"{number:03}" for number in range(300) if number % 3)
        if policy is ERROR:
            with pytest.raises(SessionConflictError) as caught:
                backend.write(new, policy)
            assert caught.value.session_id == differ[0]
            return
        result = backend.write(new, policy)
        fate = {"replaced" if policy is REPLACE else "skipped": tuple(differ)}
        assert result == WriteResult(written=written, identical=tuple(same), **fate)
        kept = [bundle for bundle in old if bundle.session.session_id in differ]
        left = (
            new
            if policy is REPLACE
            else [*kept, *(one for one in new if one.session.session_id not in differ)]
        )
        assert everything(backend) == given(*left, by=backend)

    def test_among_many_the_one_that_takes_a_run_of_another_is_named(
        self, backend: Backend
    ) -> None:
        backend.write([sample_bundle("there", 1)])
        many = [sample_bundle(f"{number:03}", 2) for number in range(120)]
        many[70] = SessionBundle(
            sample_session("thief"),
            (sample_run("thief", 0), sample_run("thief", 1, run_id="there.run-0")),
        )
        with pytest.raises(SessionConflictError) as caught:
            backend.write(many)
        assert caught.value.session_id == "thief"
        found = everything(backend)
        assert "thief" not in found
        assert found["there"] == given(sample_bundle("there", 1), by=backend)["there"]
        if backend.capabilities.atomic_batches:
            assert set(found) == {"there"}

    def test_among_many_the_one_that_cannot_be_held_is_named(self, backend: Backend) -> None:
        many = [sample_bundle(f"{number:03}", 2) for number in range(120)]
        bad = sample_run("bad", 0, run_id="half \ud800 a character")
        many[70] = SessionBundle(sample_session("bad"), (bad,))
        with pytest.raises(RecordRejectedError) as caught:
            backend.write(many)
        assert (caught.value.session_id, caught.value.json_path) == ("bad", "run_id")
        found = everything(backend)
        assert "bad" not in found
        if backend.capabilities.atomic_batches:
            assert found == {}

    def test_the_time_of_forgetting_is_kept(self, backend: Backend) -> None:
        at = (EPOCH + 10 * 365 * 86400) * 1000 + 7
        runs = (sample_run("a", 0, expires_at=at + 1), sample_run("a", 1, expires_at=None))
        bundle = SessionBundle(sample_session("a", expires_at=at), runs)
        backend.write([bundle, sample_bundle("b")])
        assert everything(backend) == given(bundle, sample_bundle("b"), by=backend)
        assert backend.write([bundle]) == WriteResult(identical=("a",))

    def test_many_batches_of_a_load_are_all_there(self, backend: Backend, another: Backend) -> None:
        first = [sample_bundle(f"{number:03}", number % 3) for number in range(200)]
        second = [sample_bundle(f"{number:03}", number % 3) for number in range(200, 300)]
        with loading(backend):
            assert len(backend.write(first).written) == 200
            assert backend.write(first[:2]) == WriteResult(identical=("000", "001"))
            assert len(backend.write(second).written) == 100
        assert everything(backend) == given(*first, *second, by=backend)
        assert everything(another) == given(*first, *second, by=backend)
        assert numbered(backend.runs("002")) == [(0, "002.run-0"), (1, "002.run-1")]

    def test_a_load_goes_on_after_an_error(self, backend: Backend) -> None:
        with pytest.raises(Interrupted), loading(backend):
            backend.write([sample_bundle("a")])
            raise Interrupted
        assert everything(backend) == given(sample_bundle("a"), by=backend)
        with loading(backend):
            backend.write([sample_bundle("b"), sample_bundle("a")])
        assert everything(backend) == given(sample_bundle("a"), sample_bundle("b"), by=backend)
        assert backend.append_run(sample_run("a", 9)).run_index == 2

    def test_a_load_leaves_the_place_as_writing_does(
        self, backend: Backend, another: Backend
    ) -> None:
        with loading(backend):
            backend.write([sample_bundle("a")])
        loaded = another.inspect()
        backend.delete(["a"])
        backend.write([sample_bundle("a")])
        assert loaded == another.inspect()

    def test_replacing_leaves_no_run_of_the_old_session(self, backend: Backend) -> None:
        backend.write([sample_bundle("a", 6), sample_bundle("b", 2)])
        backend.write([renamed("a", 2)], REPLACE)
        assert everything(backend) == given(renamed("a", 2), sample_bundle("b", 2), by=backend)
        assert backend.inspect().runs == 4

    @pytest.mark.parametrize("policy", ConflictPolicy)
    def test_a_run_of_another_session_is_not_taken_away_from_it(
        self, backend: Backend, policy: ConflictPolicy
    ) -> None:
        backend.write([sample_bundle("a"), sample_bundle("mine", 1)])
        stolen = sample_run("mine", 1, run_id="a.run-0")
        thief = SessionBundle(sample_session("thief"), (replace(stolen, session_id="thief"),))
        with pytest.raises(SessionConflictError):
            backend.write([thief], policy)
        assert everything(backend) == given(
            sample_bundle("a"), sample_bundle("mine", 1), by=backend
        )

    def test_a_run_id_stands_once_in_a_session(self, backend: Backend) -> None:
        twice = SessionBundle(
            sample_session("a"), (sample_run("a", 0), sample_run("a", 0, run_index=1))
        )
        with pytest.raises(SessionConflictError):
            backend.write([twice])
        assert everything(backend) == {}

    def test_a_session_that_is_twice_in_a_batch_meets_itself(self, backend: Backend) -> None:
        same = backend.write([sample_bundle("a"), sample_bundle("a")])
        assert same == WriteResult(written=("a",), identical=("a",))
        other = backend.write([sample_bundle("b"), renamed("b")], REPLACE)
        assert other == WriteResult(written=("b",), replaced=("b",))
        with pytest.raises(SessionConflictError):
            backend.write([sample_bundle("c"), renamed("c")])
        stored = (sample_bundle("a"), renamed("b"))
        self.check_undone(backend, *stored, half_done=sample_bundle("c"))

    def test_a_session_can_be_copied_within_a_backend(self, backend: Backend) -> None:
        backend.write([sample_bundle("a", 30)])

        def copied() -> Iterator[Run]:
            for run in backend.runs("a"):
                yield replace(run, session_id="b", run_id=f"copy of {run.run_id}")

        backend.write([SessionBundle(sample_session("b"), copied())])
        wanted = [(number, f"copy of a.run-{number}") for number in range(30)]
        assert numbered(backend.runs("b")) == wanted
        assert len(list(backend.runs("a"))) == 30

    def test_what_is_scanned_from_one_is_whole_in_the_other(
        self, backend: Backend, another: Backend
    ) -> None:
        bundles = [sample_bundle(f"s{number}", number) for number in range(4)]
        backend.write(bundles)
        again = another.write((bundle for _, bundle in backend.scan()), ERROR)
        assert sorted(again.identical) == ["s0", "s1", "s2", "s3"]
        assert everything(another) == given(*bundles, by=another)
