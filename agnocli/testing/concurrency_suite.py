"""Several threads and several processes on one place."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Barrier as ProcessBarrier

import pytest

from agnocli import codec
from agnocli.abc import Backend, ConflictPolicy, SessionQuery
from agnocli.errors import SessionConflictError
from agnocli.records import SessionBundle
from agnocli.testing.base_suite import BackendHarness, Suite
from agnocli.testing.records import document, numbered, sample_bundle, sample_run, sample_session

THREADS, EACH = 8, 25
PROCESSES, RUNS = 2, 200
WAIT = 90.0
"""Seconds after which something is held to hang."""


def at_once(jobs: list[Callable[[], object]]) -> None:
    """Run jobs in threads that start together; raises the first of their errors."""
    barrier, errors = threading.Barrier(len(jobs)), list[BaseException]()

    def run(job: Callable[[], object]) -> None:
        try:
            barrier.wait(WAIT)
            job()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    for error in errors:
        raise error


def append_runs(backend: Backend, writer: int, number: int) -> None:
    for turn in range(number):
        run_id = f"writer-{writer}.{turn}"
        backend.append_run(sample_run("shared", run_id=run_id, run_index=None, created_at=7))


def versioned(session_id: str, version: int) -> SessionBundle:
    metadata = document({"tags": ["versioned"]})
    return sample_bundle(session_id, 3, name=f"version {version}", metadata=metadata)


def append_in_process(
    opener: Callable[[], Backend], barrier: ProcessBarrier, writer: int, number: int
) -> None:
    with opener() as backend:
        barrier.wait(WAIT)
        append_runs(backend, writer, number)


def write_in_process(opener: Callable[[], Backend], barrier: ProcessBarrier, writer: int) -> None:
    barrier.wait(WAIT)
    with opener() as backend:
        backend.write([sample_bundle(f"of-{writer}")])


def in_processes(target: Callable[..., None], jobs: list[tuple[object, ...]]) -> None:
    """Run `target(opener, barrier, …)` in fresh processes; fails when one does."""
    processes = [
        multiprocessing.get_context("spawn").Process(target=target, args=job, daemon=True)
        for job in jobs
    ]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join(WAIT)
        assert [process.exitcode for process in processes] == [0] * len(jobs)
    finally:
        for process in processes:
            process.kill()
            process.join(WAIT)


class ConcurrencySuite(Suite):
    @pytest.fixture
    def shared(self, backend: Backend) -> Backend:
        counter = document({"session_state": {"count": 0}})
        backend.write([SessionBundle(sample_session("shared", session_data=counter), ())])
        return backend

    def check_all_there(self, backend: Backend, writers: int, each: int) -> None:
        found = numbered(backend.runs("shared"))
        assert [index for index, _ in found] == list(range(writers * each))
        for writer in range(writers):
            own = [run_id for _, run_id in found if run_id.startswith(f"writer-{writer}.")]
            assert own == [f"writer-{writer}.{turn}" for turn in range(each)]

    def test_threads_that_append_get_an_index_each(self, shared: Backend) -> None:
        at_once([partial(append_runs, shared, writer, EACH) for writer in range(THREADS)])
        self.check_all_there(shared, THREADS, EACH)

    def test_threads_with_a_backend_each_get_an_index_each(
        self, shared: Backend, another: Backend
    ) -> None:
        both = (shared, another)
        at_once([partial(append_runs, both[writer % 2], writer, EACH) for writer in range(4)])
        self.check_all_there(shared, 4, EACH)

    @pytest.mark.timeout(300)
    def test_processes_that_append_get_an_index_each(
        self, shared: Backend, harness: BackendHarness
    ) -> None:
        if (opener := harness.opener()) is None:
            assert not shared.capabilities.durable
            return
        barrier = multiprocessing.get_context("spawn").Barrier(PROCESSES)
        jobs = [(opener, barrier, writer, RUNS) for writer in range(PROCESSES)]
        in_processes(append_in_process, jobs)  # type: ignore[arg-type]
        self.check_all_there(shared, PROCESSES, RUNS)
        (info,) = shared.find(SessionQuery()).items
        assert info.runs == PROCESSES * RUNS

    @pytest.mark.timeout(300)
    def test_processes_that_write_first_at_once_set_up_once(
        self, untouched: Backend, harness: BackendHarness
    ) -> None:
        if (opener := harness.opener()) is None:
            assert not untouched.capabilities.durable
            return
        barrier = multiprocessing.get_context("spawn").Barrier(3)
        in_processes(write_in_process, [(opener, barrier, writer) for writer in range(3)])
        found = sorted(bundle.session.session_id for _, bundle in untouched.scan())
        assert found == ["of-0", "of-1", "of-2"]

    def test_changes_made_at_once_are_all_kept_by_comparing_first(self, shared: Backend) -> None:
        def count() -> None:
            for _ in range(10):
                self.increment(shared)

        at_once([count] * 4)
        state = codec.members(shared.get("shared").session_data)["session_state"]
        assert state == {"count": 40}

    def increment(self, backend: Backend) -> None:
        for _ in range(1000):
            found = backend.get("shared").session_data
            state = codec.members(found)["session_state"]
            changed = codec.patch(found, {"session_state": {"count": state["count"] + 1}})
            try:
                backend.update("shared", {"session_data": changed}, {"session_data": found})
            except SessionConflictError:
                continue
            return
        raise AssertionError("never got a turn")

    def test_one_of_many_takes_a_run_id(self, shared: Backend) -> None:
        taken: list[int | None] = []
        refused: list[SessionConflictError] = []

        def append() -> None:
            try:
                taken.append(shared.append_run(sample_run("shared", run_id="same")).run_index)
            except SessionConflictError as error:
                refused.append(error)

        at_once([append] * 6)
        assert (taken, len(refused)) == ([0], 5)
        assert numbered(shared.runs("shared")) == [(0, "same")]

    def test_deleting_and_appending_at_once_leaves_no_gap_and_no_twin(
        self, shared: Backend
    ) -> None:
        runs = [sample_run("shared", number, run_id=f"old-{number}") for number in range(40)]
        shared.delete(["shared"])
        shared.write([SessionBundle(sample_session("shared"), runs)])

        def delete() -> None:
            for number in range(0, 40, 2):
                shared.delete_runs("shared", [f"old-{number}"])

        at_once([delete, lambda: append_runs(shared, 0, 20), lambda: append_runs(shared, 1, 20)])
        found = list(shared.runs("shared"))
        assert [run.run_index for run in found] == list(range(60))
        assert [run.run_id for run in found if run.run_id.startswith("old-")] == [
            f"old-{number}" for number in range(1, 40, 2)
        ]

    def test_readers_see_whole_batches_while_they_are_written(self, shared: Backend) -> None:
        seen: list[set[str | None]] = []
        done = threading.Event()

        def write() -> None:
            try:
                for version in range(20):
                    bundles = [versioned(name, version) for name in "ab"]
                    shared.write(bundles, ConflictPolicy.REPLACE)
            finally:
                done.set()

        def read() -> None:
            for _ in range(2000):
                items = shared.find(SessionQuery(tag="versioned")).items
                seen.append({info.name for info in items})
                if done.is_set():
                    return

        at_once([write, read])
        assert seen
        if shared.capabilities.atomic_batches:
            assert {len(names) for names in seen} <= {0, 1}
