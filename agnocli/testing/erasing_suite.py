"""Deletions that leave nothing behind, where a backend can do that."""

from __future__ import annotations

import pytest

from agnocli.abc import Backend, Capabilities, Erasing, Searched
from agnocli.testing.base_suite import Suite, everything, given
from agnocli.testing.records import sample_bundle

GONE = "d0d0d0d0-1111-4222-8333-444444444444"
LONG_GONE = "a session whose name is no uuid"


class ErasingSuite(Suite):
    def test_it_says_where_deleted_records_may_be_kept(self, capabilities: Capabilities) -> None:
        assert bool(capabilities.keeps_deleted) == capabilities.durable

    def test_erasing_deletes_what_is_deleted_and_nothing_else(self, backend: Backend) -> None:
        if not isinstance(backend, Erasing):
            return
        kept = [sample_bundle("a", 3), sample_bundle("b", 0)]
        backend.write([*kept, sample_bundle(GONE, 5), sample_bundle(LONG_GONE)])
        with backend.erasing():
            backend.delete([GONE])
            backend.delete([LONG_GONE])
        assert everything(backend) == given(*kept, by=backend)
        backend.write([sample_bundle(GONE)])
        assert len(everything(backend)) == 3

    def test_an_error_while_erasing_is_passed_on(self, backend: Backend) -> None:
        if not isinstance(backend, Erasing):
            return
        backend.write([sample_bundle("a")])
        with pytest.raises(ZeroDivisionError), backend.erasing():
            raise ZeroDivisionError
        assert everything(backend) == given(sample_bundle("a"), by=backend)

    def test_erased_sessions_leave_no_trace(self, backend: Backend) -> None:
        if not (isinstance(backend, Erasing) and isinstance(backend, Searched)):
            return
        bundles = [sample_bundle(one, 40) for one in (GONE, LONG_GONE)]
        backend.write([sample_bundle("stays", 40), *bundles])
        ids = [GONE, LONG_GONE, *(run.run_id for one in bundles for run in one.runs)]
        before = backend.traces(ids)
        assert {GONE, LONG_GONE} <= {*before.named} <= {*ids}
        assert before.raw == ()
        with backend.erasing():
            backend.delete([GONE, LONG_GONE])
        after = backend.traces(ids)
        assert after.places
        assert (after.named, after.raw) == ({}, ())
        assert backend.traces(["stays"]).named

    def test_what_other_records_say_of_an_id_is_found(self, backend: Backend) -> None:
        if not isinstance(backend, Searched):
            return
        backend.write([sample_bundle("a", metadata=b'{"forked_from": "%b"}' % GONE.encode())])
        found = backend.traces([GONE, "nowhere-to-be-found"])
        assert list(found.named) == [GONE]
        assert all("metadata" in place for place in found.named[GONE])
