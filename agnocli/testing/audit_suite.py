"""Runs that no session has: of backends that are `Auditable`."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from agnocli.abc import Auditable, Backend
from agnocli.errors import (
    BackendNotSetUpError,
    BackendReadOnlyError,
    RunNotFoundError,
    SessionNotFoundError,
)
from agnocli.records import Run, SessionBundle
from agnocli.testing.base_suite import BackendHarness, Suite, everything, given
from agnocli.testing.reading_suite import tied_runs
from agnocli.testing.records import comparable, numbered, sample_bundle, sample_session


class AuditSuite(Suite):
    @pytest.fixture
    def audited(self, backend: Backend) -> Any:
        if not isinstance(backend, Auditable):
            pytest.skip("it does not tell")
        return backend

    @pytest.fixture
    def lost(self, audited: Any, harness: BackendHarness) -> list[Run]:
        """Runs of two sessions that are not there, beside two that are; two share an index, one has none."""
        ties = tied_runs("b-lost")
        audited.write([sample_bundle("a"), SessionBundle(sample_session("b-lost"), ties)])
        audited.write([sample_bundle("c-lost"), sample_bundle("d")])
        if not all(harness.lose_session(one) for one in ("b-lost", "c-lost")):
            pytest.skip("runs are never without their session")
        return [*ties, *sample_bundle("c-lost").runs]

    def test_where_every_run_has_its_session_there_are_none(self, audited: Any) -> None:
        audited.write([sample_bundle("a"), sample_bundle("b", 0)])
        assert list(audited.orphans()) == []
        assert audited.delete_orphans(["a.run-0", "nothing"]) == 0
        assert everything(audited) == given(sample_bundle("a"), sample_bundle("b", 0), by=audited)

    def test_they_are_told_whole_and_in_order(self, audited: Any, lost: list[Run]) -> None:
        can = audited.capabilities
        found = [replace(comparable(run, can), expires_at=None) for run in audited.orphans()]
        assert found == [comparable(run, can) for run in lost]
        assert everything(audited) == given(sample_bundle("a"), sample_bundle("d"), by=audited)

    def test_those_that_are_deleted_are_gone_and_no_others(
        self, audited: Any, lost: list[Run]
    ) -> None:
        gone = [lost[0].run_id, lost[0].run_id, "a.run-1", "c-lost.run-1", "nothing"]
        assert audited.delete_orphans(gone) == 2
        left = [run.run_id for run in lost if run.run_id not in gone]
        assert [run.run_id for run in audited.orphans()] == left
        assert everything(audited) == given(sample_bundle("a"), sample_bundle("d"), by=audited)
        assert audited.delete_orphans(left) == len(left)
        assert list(audited.orphans()) == []

    def test_a_session_made_for_them_has_them_in_order_and_numbered(
        self, audited: Any, lost: list[Run]
    ) -> None:
        mine = [run for run in lost if run.session_id == "b-lost"]
        session = sample_session("b-lost", name="Found")
        audited.adopt(session, [run.run_id for run in mine])
        wanted = [replace(run, run_index=index) for index, run in enumerate(mine)]
        assert [run.session_id for run in audited.orphans()] == ["c-lost", "c-lost"]
        assert numbered(audited.runs("b-lost")) == numbered(wanted)
        bundles = sample_bundle("a"), SessionBundle(session, wanted), sample_bundle("d")
        assert everything(audited) == given(*bundles, by=audited)
        with pytest.raises(SessionNotFoundError):
            audited.get("c-lost")

    @pytest.mark.parametrize("run_id", ["a.run-0", "c-lost.run-0", "nothing"])
    def test_what_is_no_orphan_of_that_session_is_not_given_to_it(
        self, audited: Any, lost: list[Run], run_id: str
    ) -> None:
        before = list(audited.orphans())
        with pytest.raises(RunNotFoundError):
            audited.adopt(sample_session("b-lost"), [lost[0].run_id, run_id])
        assert list(audited.orphans()) == before
        assert everything(audited) == given(sample_bundle("a"), sample_bundle("d"), by=audited)

    def test_runs_of_a_session_that_is_there_cannot_be_adopted(self, audited: Any) -> None:
        audited.write([sample_bundle("a")])
        with pytest.raises(RunNotFoundError):
            audited.adopt(sample_session("a", name="Other"), ["a.run-0"])
        assert everything(audited) == given(sample_bundle("a"), by=audited)

    def test_they_cannot_be_changed_where_nothing_can(self, harness: BackendHarness) -> None:
        with harness.open() as writer:
            writer.write([sample_bundle("a")])
        with harness.read_only() as backend:
            reader: Any = backend
            if isinstance(reader, Auditable):
                with pytest.raises(BackendReadOnlyError):
                    reader.adopt(sample_session("a"), ["a.run-0"])
                with pytest.raises(BackendReadOnlyError):
                    reader.delete_orphans(["a.run-0"])

    def test_before_setup_there_are_none_and_nothing_is_made(
        self, untouched: Any, harness: BackendHarness
    ) -> None:
        needs_setup = untouched.capabilities.needs_setup
        if not isinstance(untouched, Auditable):
            return
        before = harness.fingerprint()
        try:
            assert list(untouched.orphans()) == []
        except BackendNotSetUpError:
            assert needs_setup
        assert harness.fingerprint() == before
