"""Set up, look, close, read only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from agnocli.abc import Backend, SessionQuery
from agnocli.errors import (
    BackendNotSetUpError,
    BackendReadOnlyError,
    RunNotFoundError,
    SessionNotFoundError,
)
from agnocli.records import SessionBundle
from agnocli.testing.base_suite import BackendHarness, Suite, everything, given
from agnocli.testing.records import sample_bundle, sample_run

READS: dict[str, Callable[[Backend], object]] = {
    "get": lambda backend: backend.get("session-1"),
    "runs": lambda backend: list(backend.runs("session-1")),
    "last runs": lambda backend: list(backend.runs("session-1", last=1)),
    "scan": lambda backend: list(backend.scan()),
    "find": lambda backend: backend.find(SessionQuery()),
    "find by text": lambda backend: backend.find(SessionQuery(text="tea")),
    "inspect": lambda backend: backend.inspect(),
}

EDITS: dict[str, Callable[[Backend], object]] = {
    "append_run": lambda backend: backend.append_run(sample_run(number=7)),
    "put_run": lambda backend: backend.put_run(sample_run()),
    "update": lambda backend: backend.update("session-1", {"user_id": "bob"}),
    "delete": lambda backend: backend.delete(["session-1"]),
    "delete_runs": lambda backend: backend.delete_runs("session-1", ["session-1.run-0"]),
}

WRITES: dict[str, Callable[[Backend], object]] = {
    **EDITS,
    "setup": lambda backend: backend.setup(),
    "write": lambda backend: backend.write([sample_bundle("session-2")]),
    "probe": lambda backend: backend.probe(),
}


class LifecycleSuite(Suite):
    @pytest.mark.parametrize("verb", READS)
    def test_reading_before_setup_says_so_and_creates_nothing(
        self, verb: str, untouched: Backend, harness: BackendHarness
    ) -> None:
        if not untouched.capabilities.needs_setup:
            assert everything(untouched) == {}
            return
        before = harness.fingerprint()
        with pytest.raises(BackendNotSetUpError) as caught:
            READS[verb](untouched)
        assert caught.value.hint
        assert harness.fingerprint() == before

    def test_a_first_write_that_failed_can_be_done_again(self, untouched: Backend) -> None:
        def failing() -> Iterator[SessionBundle]:
            yield sample_bundle("a")
            raise RuntimeError("the source broke")

        with pytest.raises(RuntimeError, match="broke"):
            untouched.write(failing())
        untouched.write([sample_bundle("b")])
        found = everything(untouched)
        if not untouched.capabilities.atomic_batches:
            found.pop("a", None)
        assert found == given(sample_bundle("b"), by=untouched)

    @pytest.mark.parametrize("verb", EDITS)
    def test_editing_before_setup_fails_and_creates_nothing(
        self, verb: str, untouched: Backend, harness: BackendHarness
    ) -> None:
        before = harness.fingerprint()
        with pytest.raises((BackendNotSetUpError, SessionNotFoundError, RunNotFoundError)):
            EDITS[verb](untouched)
        assert harness.fingerprint() == before

    def test_the_first_write_sets_up(self, untouched: Backend) -> None:
        untouched.write([sample_bundle()])
        assert everything(untouched) == given(sample_bundle(), by=untouched)

    def test_a_reader_beside_the_first_write_finds_nothing_yet_or_what_is_there(
        self, untouched: Backend
    ) -> None:
        bundles = [sample_bundle(f"s{number}", 0) for number in range(600)]

        def source() -> Iterator[SessionBundle]:
            for number, bundle in enumerate(bundles):
                if not number % 100:
                    with suppress(BackendNotSetUpError, SessionNotFoundError):
                        assert untouched.get("s0").session_id == "s0"
                yield bundle

        untouched.write(source())
        assert everything(untouched) == given(*bundles, by=untouched)

    def test_setup_again_keeps_what_is_stored(self, backend: Backend) -> None:
        backend.write([sample_bundle()])
        backend.setup()
        assert everything(backend) == given(sample_bundle(), by=backend)

    def test_an_empty_backend_reads_as_empty(self, backend: Backend) -> None:
        assert everything(backend) == {}
        assert backend.find(SessionQuery()).items == ()
        report = backend.inspect()
        assert (report.sessions, report.runs) == (0, 0)

    def test_inspect_counts_what_is_stored(self, backend: Backend) -> None:
        backend.write([sample_bundle("a", 3), sample_bundle("b", 0), sample_bundle("c", 1)])
        report = backend.inspect()
        assert (report.layout, report.sessions, report.runs) == ("v3", 3, 4)
        assert report.address == backend.address

    def test_a_probe_leaves_no_trace(self, backend: Backend) -> None:
        backend.write([sample_bundle()])
        backend.probe()
        assert everything(backend) == given(sample_bundle(), by=backend)

    def test_what_was_stored_is_there_when_opened_again(
        self, backend: Backend, harness: BackendHarness
    ) -> None:
        backend.write([sample_bundle("a", 3), sample_bundle("b")])
        backend.close()
        if (again := harness.reopen()) is None:
            assert not backend.capabilities.durable
            return
        with again:
            wanted = given(sample_bundle("a", 3), sample_bundle("b"), by=again)
            assert everything(again) == wanted

    def test_two_backends_on_one_place_see_each_others_writes(
        self, backend: Backend, another: Backend
    ) -> None:
        backend.write([sample_bundle("a")])
        assert another.get("a").session_id == "a"
        another.append_run(sample_run("a", 2))
        assert [run.run_index for run in backend.runs("a")] == [0, 1, 2]
        backend.delete(["a"])
        with pytest.raises(SessionNotFoundError):
            another.get("a")

    def test_a_closed_backend_opens_anew_when_used(self, backend: Backend) -> None:
        backend.write([sample_bundle("a")])
        backend.close()
        assert backend.get("a").session_id == "a"
        backend.close()
        backend.close()
        backend.write([sample_bundle("b")])
        assert sorted(everything(backend)) == ["a", "b"]

    def test_leaving_a_with_block_passes_the_error_on(self, backend: Backend) -> None:
        with pytest.raises(ZeroDivisionError), backend as entered:
            assert entered is backend
            raise ZeroDivisionError

    @pytest.mark.parametrize("verb", WRITES)
    def test_a_read_only_backend_refuses_to_write(
        self, verb: str, backend: Backend, harness: BackendHarness
    ) -> None:
        backend.write([sample_bundle()])
        backend.close()
        before = harness.fingerprint()
        with harness.read_only() as closed, pytest.raises(BackendReadOnlyError) as caught:
            WRITES[verb](closed)
        assert caught.value.hint
        assert harness.fingerprint() == before
        assert everything(backend) == given(sample_bundle(), by=backend)

    @pytest.mark.parametrize("verb", READS)
    def test_reading_leaves_the_place_as_it_is_to_the_byte(
        self, verb: str, backend: Backend, harness: BackendHarness
    ) -> None:
        backend.write([sample_bundle()])
        backend.close()
        before = harness.fingerprint()
        for reader in (harness.reopen(), harness.read_only()):
            if reader is not None and reader.capabilities.durable:
                with reader:
                    READS[verb](reader)
        assert harness.fingerprint() == before
