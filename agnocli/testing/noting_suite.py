"""notes, note, forget_notes: of backends that several machines can fill together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from agnocli.abc import Backend, Noting
from agnocli.testing.base_suite import BackendHarness, Suite, everything, given
from agnocli.testing.records import sample_bundle


def notes(backend: Backend, job: str) -> list[bytes]:
    assert isinstance(backend, Noting)
    return [*backend.notes(job)]


class NotingSuite(Suite):
    @pytest.fixture
    def noting(self, backend: Backend) -> Noting:
        """With a session."""
        if not isinstance(backend, Noting):
            pytest.skip("is of this process alone")
        backend.write([sample_bundle("s")])
        return backend

    def test_where_nothing_was_ever_written_there_are_no_notes(self, untouched: Backend) -> None:
        if not isinstance(untouched, Noting):
            pytest.skip("is of this process alone")
        assert [*untouched.notes("job")] == []
        untouched.forget_notes("job")
        assert [*untouched.notes("job")] == []

    def test_another_program_reads_the_notes_of_a_job_in_their_order(
        self, noting: Noting, another: Backend
    ) -> None:
        long = b"x" * 3_000_000
        for text in (b"one", long, b"two", b"[\"\\ud800\", 100, '%s']"):
            noting.note("job", text)
        noting.note("other", b"three")
        assert notes(another, "job") == [b"one", long, b"two", b"[\"\\ud800\", 100, '%s']"]
        assert notes(another, "other") == [b"three"]

    def test_of_notes_that_are_forgotten_nothing_stays(
        self, noting: Noting, another: Backend
    ) -> None:
        before = another.inspect()
        noting.note("job", b"one")
        noting.note("other", b"two")
        assert another.inspect().others == before.others
        noting.forget_notes("job")
        assert notes(another, "job") == []
        assert notes(another, "other") == [b"two"]
        noting.forget_notes("other")
        assert another.inspect() == before
        assert everything(another) == given(sample_bundle("s"), by=another)

    def test_of_notes_that_are_made_at_once_none_is_lost(
        self, noting: Noting, harness: BackendHarness
    ) -> None:
        def work(number: int) -> None:
            with harness.open() as own:
                assert isinstance(own, Noting)
                own.forget_notes("nobody's")
                for step in range(5):
                    own.note("job", b"%d.%d" % (number, step))
                    own.forget_notes(f"of {number}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        found = [*noting.notes("job")]
        assert sorted(found) == sorted(b"%d.%d" % (n, s) for n in range(4) for s in range(5))
