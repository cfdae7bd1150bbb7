"""marks, version: of backends that have them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from agnocli.abc import Backend, Marked
from agnocli.records import SessionBundle
from agnocli.testing.base_suite import Suite
from agnocli.testing.records import EPOCH, document, sample_bundle, sample_run, sample_session

LATER = EPOCH + 60


def _put(backend: Backend) -> None:
    backend.put_run(
        sample_run("a", 1, run_data=document({"run_id": "a.run-1", "content": "no more"}))
    )


def _replace_last_run(backend: Backend) -> None:
    last = [*backend.runs("a")][-1]
    backend.delete_runs("a", [last.run_id])
    backend.append_run(replace(last, run_id="a.run-9"))


EDITS: dict[str, Callable[[Backend], object]] = {
    "state": lambda backend: backend.update("a", {"session_data": document({"n": "1" * 99})}),
    "owner": lambda backend: backend.update("a", {"updated_at": LATER + 1}),
    "summary": lambda backend: backend.update("a", {"summary": document({"summary": "Tea."})}),
    "another run": lambda backend: backend.append_run(sample_run("a", 7)),
    "a run less": lambda backend: backend.delete_runs("a", ["a.run-1"]),
    "a run's body": _put,
    "a run for another": _replace_last_run,
}


def _marks(backend: Backend) -> dict[str, str]:
    assert isinstance(backend, Marked)
    found = [*backend.marks()]
    assert len(dict(found)) == len(found)
    return dict(found)


class MarkingSuite(Suite):
    @pytest.fixture
    def marked(self, backend: Backend) -> Backend:
        if not isinstance(backend, Marked):
            pytest.skip("has no marks")
        bundles = [sample_bundle(one, 3, updated_at=LATER) for one in ("a", "b", "Ab")]
        backend.write([*bundles, SessionBundle(sample_session("none", updated_at=LATER), ())])
        return backend

    def test_every_session_has_a_mark_that_stays_while_nothing_changes(
        self, marked: Backend, another: Backend
    ) -> None:
        before = _marks(marked)
        assert before.keys() == {"a", "b", "Ab", "none"}
        assert [*marked.runs("a")] and marked.get("b")
        assert _marks(marked) == _marks(another) == before

    @pytest.mark.parametrize("what", EDITS)
    def test_an_edit_of_a_session_changes_its_mark_and_no_other(
        self, marked: Backend, what: str
    ) -> None:
        before = _marks(marked)
        EDITS[what](marked)
        if what != "owner":  # even where the time is put back
            marked.update("a", {"updated_at": LATER})
        after = _marks(marked)
        assert {one for one in before if before[one] != after[one]} == {"a"}
        assert _marks(marked) == after

    def test_what_was_deleted_has_no_mark(self, marked: Backend) -> None:
        marked.delete(["a"])
        assert _marks(marked).keys() == {"b", "Ab", "none"}

    def test_what_changed_just_now_has_another_mark_each_time(self, marked: Backend) -> None:
        """It may change again within the second, and its times would not tell."""
        marked.update("a", {"updated_at": int(time.time())})
        one, other = _marks(marked), _marks(marked)
        assert one["a"] != other["a"]
        assert one["b"] == other["b"]

    def test_marks_of_more_sessions_than_are_asked_for_at_once(self, marked: Backend) -> None:
        number = 1203
        marked.write(sample_bundle(f"s{n}", 1, updated_at=LATER) for n in range(number))
        assert len(_marks(marked)) == number + 4

    @pytest.mark.parametrize("what", EDITS)
    def test_a_version_is_another_after_a_write(
        self, marked: Backend, another: Backend, what: str
    ) -> None:
        assert isinstance(marked, Marked) and isinstance(another, Marked)
        before = marked.version()
        EDITS[what](another)
        assert marked.version() is None or marked.version() != before
