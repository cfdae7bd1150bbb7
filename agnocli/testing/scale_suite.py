"""Long sessions and big stores in little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from agnocli.abc import Backend, SessionQuery
from agnocli.records import Run, SessionBundle
from agnocli.testing.base_suite import BackendHarness, Suite
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session

MANY, MEGABYTE = 10_000, 1_000_000
SESSIONS = 1000
"""Of 40 KB, which is twice what may be held of them."""
BODY = document({"messages": [{"role": "user", "content": "x" * 4000}]})


def long_runs(number: int = MANY) -> Iterator[Run]:
    return (sample_run("long", index, run_data=BODY) for index in range(number))


def peak(action: Callable[[], object]) -> int:
    """Bytes that Python objects took at most while `action` ran, over what there was before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class ScaleSuite(Suite):
    @pytest.fixture
    def long(self, backend: Backend) -> Backend:
        """A session of 10,000 runs of 4 KB."""
        backend.write([SessionBundle(sample_session("long"), long_runs()), sample_bundle("short")])
        return backend

    @pytest.mark.timeout(300)
    def test_a_long_session_is_written_and_read_in_bounded_memory(
        self, backend: Backend, harness: BackendHarness
    ) -> None:
        backend.write([sample_bundle("short")])
        bundle = SessionBundle(sample_session("long"), long_runs())
        bound = 20 * MEGABYTE if backend.capabilities.durable else 200 * MEGABYTE
        assert peak(lambda: backend.write([bundle])) < bound
        indexes: list[int | None] = []
        taken = peak(lambda: indexes.extend(run.run_index for run in backend.runs("long")))
        assert taken < bound
        assert indexes == list(range(MANY))

    @pytest.mark.timeout(300)
    def test_little_is_read_of_a_long_session_when_little_is_asked_for(self, long: Backend) -> None:
        list(long.runs("short", last=5))
        long.find(SessionQuery())
        last: list[Run] = []
        assert peak(lambda: last.extend(long.runs("long", last=5))) < 2 * MEGABYTE
        assert [run.run_index for run in last] == list(range(MANY - 5, MANY))
        assert peak(lambda: long.find(SessionQuery())) < 2 * MEGABYTE
        assert peak(lambda: long.get("long")) < MEGABYTE
        assert peak(lambda: list(islice(long.runs("long"), 3))) < 2 * MEGABYTE
        assert peak(lambda: [cursor for cursor, _ in long.scan()]) < 3 * MEGABYTE
        assert peak(lambda: long.append_run(sample_run("long", MANY))) < 3 * MEGABYTE

    @pytest.mark.timeout(300)
    def test_many_sessions_are_written_and_read_in_bounded_memory(self, backend: Backend) -> None:
        blob = document({"session_name": "x", "session_state": {"text": "y" * 40_000}})
        backend.write([sample_bundle("warm")])
        bound = 20 * MEGABYTE if backend.capabilities.durable else 200 * MEGABYTE
        bundles = (
            SessionBundle(sample_session(f"s{number}", session_data=blob), ())
            for number in range(SESSIONS)
        )
        assert peak(lambda: backend.write(bundles)) < bound
        seen: list[str] = []
        taken = peak(lambda: seen.extend(one.session.session_id for _, one in backend.scan()))
        assert taken < bound
        assert len(set(seen)) == SESSIONS + 1
        page = backend.find(SessionQuery(limit=50))
        assert peak(lambda: backend.find(SessionQuery(limit=50, after=page.next))) < bound
