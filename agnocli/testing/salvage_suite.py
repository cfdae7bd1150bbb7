"""What is stored of a session that cannot be read: of backends that are `Salvageable`."""

from __future__ import annotations

from typing import Any

import pytest

from agnocli.abc import Backend, Salvageable, SessionQuery
from agnocli.errors import (
    BackendNotSetUpError,
    CodecError,
    LayoutError,
    RecordRejectedError,
    SessionNotFoundError,
)
from agnocli.records import SessionBundle
from agnocli.testing.base_suite import BackendHarness, Part, Suite, everything
from agnocli.testing.records import sample_bundle, sample_session, whole

PARTS: tuple[Part, ...] = ("session", "run", "old runs")


class SalvageSuite(Suite):
    @pytest.fixture
    def salvaged(self, backend: Backend) -> Any:
        if not isinstance(backend, Salvageable):
            pytest.skip("whatever it stores can be read")
        return backend

    @pytest.fixture(params=PARTS)
    def spoilt(self, salvaged: Any, harness: BackendHarness, request: Any) -> bytes:
        """What stands in `b` instead of what can be read; `a` and `c` are as they were."""
        salvaged.write([sample_bundle(one, 3) for one in "abc"])
        stored = harness.damage("b", request.param)
        if stored is None:
            pytest.skip("this part cannot be spoilt")
        return stored

    def test_what_cannot_be_read_is_given_as_it_is_stored(
        self, another: Any, spoilt: bytes
    ) -> None:
        pieces = list(another.raw("b"))
        (place,) = (one.place for one in pieces if spoilt in one.data)
        assert place
        stored = b"\n".join(one.data for one in pieces)
        for number in range(2):
            assert f"b.run-{number}".encode() in stored
            assert f"answer {number}".encode() in stored
        assert b"a.run-" not in stored

    def test_it_is_told_of_and_the_others_are_read_still(self, another: Any, spoilt: bytes) -> None:
        with pytest.raises((CodecError, LayoutError)):
            for session, runs in another.read(["b"]):
                list(runs)
                assert session.session_id != "b"
        can = another.capabilities
        read = {one.session.session_id: whole(one, can) for one in another.read(["a", "c"])}
        assert read == {one: whole(sample_bundle(one, 3), can) for one in "ac"}

    def test_it_is_listed_and_counted_still(self, another: Any, spoilt: bytes) -> None:
        found = another.find(SessionQuery(limit=None))
        assert {one.session_id for one in found.items} == {"a", "b", "c"}
        assert another.find(SessionQuery(limit=1)).total == 3
        assert another.inspect().sessions == 3
        assert list(another.ids()) == ["a", "b", "c"]

    def test_it_can_be_deleted(self, another: Any, spoilt: bytes) -> None:
        assert another.delete(["b"]) == 1
        assert {*everything(another)} == {"a", "c"}
        with pytest.raises(SessionNotFoundError):
            list(another.raw("b"))

    def test_a_session_that_can_be_read_is_given_too(self, salvaged: Any) -> None:
        salvaged.write([sample_bundle("s", 2), SessionBundle(sample_session("none"), ())])
        stored = b"\n".join(one.data for one in salvaged.raw("s"))
        assert b"s.run-0" in stored
        assert b"s.run-1" in stored
        assert b"alice" in b"\n".join(one.data for one in salvaged.raw("none"))

    def test_what_is_not_there_is_an_error(self, salvaged: Any) -> None:
        salvaged.write([sample_bundle("s")])
        for session_id in ("S", "s ", "none", "s\ud800", "s.run-0"):
            with pytest.raises(SessionNotFoundError):
                list(salvaged.raw(session_id))

    def test_nothing_is_changed_by_it(self, harness: BackendHarness) -> None:
        with harness.open() as writer:
            writer.write([sample_bundle("s")])
        before = harness.fingerprint()
        with harness.read_only() as backend:
            reader: Any = backend
            if before and isinstance(reader, Salvageable):
                assert list(reader.raw("s"))
        assert harness.fingerprint() == before

    def test_a_place_where_nothing_was_written_has_none(
        self, untouched: Any, harness: BackendHarness
    ) -> None:
        if not isinstance(untouched, Salvageable):
            return
        before = harness.fingerprint()
        with pytest.raises((BackendNotSetUpError, SessionNotFoundError)):
            list(untouched.raw("s"))
        assert harness.fingerprint() == before

    def test_odd_ids_are_their_own(self, salvaged: Any) -> None:
        ids = ("a", "A", "a ", "é", "%s", "a'`b")
        for session_id in ids:
            try:
                salvaged.write([sample_bundle(session_id, 1)])
            except RecordRejectedError:
                continue
            first = next(salvaged.raw(session_id))
            assert session_id.encode() in first.data
