"""Tags and single keys of the state, on every backend, by one program and by two at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agnocli import codec
from agnocli.abc import Backend
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import LayoutError, SessionConflictError, StateKeyNotFoundError
from agnocli.records import Document, Session
from agnocli.sessions.fork import fork
from agnocli.sessions.naming import rename
from agnocli.sessions.state import set_value, state_of, unset_value, value_of
from agnocli.sessions.tagging import retag, tags_of
from agnocli.testing.base_suite import BackendHarness
from agnocli.testing.records import document, sample_bundle, sample_session

ROUNDS = 8


@pytest.fixture
def stored(backend: Backend) -> Backend:
    backend.write([sample_bundle("one")])
    return backend


def by_two(backend: Backend, harness: BackendHarness, work: Callable[[Backend, str], None]) -> None:
    """Two programs at once, where there can be two."""
    other = harness.reopen() or backend
    errors: list[BaseException] = []

    def guarded(one: Backend, name: str) -> None:
        try:
            work(one, name)
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            errors.append(error)

    threads = [
        threading.Thread(target=guarded, args=each)
        for each in ((backend, "left"), (other, "right"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if other is not backend:
        other.close()
    assert errors == []


def value(session: Session, key: str) -> object:
    return codec.decode(value_of(session, key))


def test_tags_are_put_on_and_taken_off(stored: Backend) -> None:
    assert retag(stored, "one", add=["a", "b", "a"]) == ("home", "a", "b")
    assert retag(stored, "one", remove=["home", "b"]) == ("a",)
    assert tags_of(stored.get("one")) == ("a",)
    assert retag(stored, "one", remove=["a"]) == ()
    assert codec.members(stored.get("one").metadata) == {}


def test_a_session_without_metadata_can_be_tagged(backend: Backend) -> None:
    backend.write([sample_bundle("one", metadata=None)])
    assert retag(backend, "one", add=["😀"]) == ("😀",)
    assert tags_of(backend.get("one")) == ("😀",)


def test_tags_of_two_programs_are_all_there(stored: Backend, harness: BackendHarness) -> None:
    def work(backend: Backend, name: str) -> None:
        for number in range(ROUNDS):
            retag(backend, "one", add=[f"{name}-{number}"])

    by_two(stored, harness, work)
    wanted = {f"{name}-{number}" for name in ("left", "right") for number in range(ROUNDS)}
    assert {*tags_of(stored.get("one"))} == wanted | {"home"}


def test_one_key_of_the_state_is_set_and_taken_out(stored: Backend) -> None:
    before = codec.members(stored.get("one").session_data)
    set_value(stored, "one", "a.b", document({"x": [1, None]}))
    session = stored.get("one")
    assert value(session, "a.b") == {"x": [1, None]}
    assert value(session, "cups") == 2
    unset_value(stored, "one", "a.b")
    assert codec.members(stored.get("one").session_data) == before


def test_a_state_that_is_not_there_yet_is_made(backend: Backend) -> None:
    backend.write([sample_bundle("one", session_data=None)])
    assert state_of(backend.get("one")) == b"{}"
    set_value(backend, "one", "a", document(1))
    assert codec.members(backend.get("one").session_data) == {"session_state": {"a": 1}}


def test_a_value_is_only_changed_from_what_it_is_expected_to_be(stored: Backend) -> None:
    with pytest.raises(SessionConflictError):
        set_value(stored, "one", "cups", document(3), expected=document(1))
    with pytest.raises(SessionConflictError):
        set_value(stored, "one", "nothing", document(3), expected=document(1))
    with pytest.raises(SessionConflictError):
        set_value(stored, "one", "cups", document(3), new=True)
    with pytest.raises(SessionConflictError):
        unset_value(stored, "one", "cups", expected=document(1))
    assert value(stored.get("one"), "cups") == 2
    set_value(stored, "one", "cups", document(3), expected=Document(b" 2.0 "))
    unset_value(stored, "one", "cups", expected=document(3))
    with pytest.raises(StateKeyNotFoundError):
        unset_value(stored, "one", "cups")


def test_what_two_programs_count_is_the_sum(stored: Backend, harness: BackendHarness) -> None:
    def work(backend: Backend, name: str) -> None:
        for number in range(ROUNDS):
            set_value(backend, "one", f"{name}-{number}", document(number))
            _count(backend)

    by_two(stored, harness, work)
    session = stored.get("one")
    assert value(session, "cups") == 2 + 2 * ROUNDS
    for name in ("left", "right"):
        assert [value(session, f"{name}-{number}") for number in range(ROUNDS)] == [*range(ROUNDS)]


def _count(backend: Backend) -> None:
    """One more cup, whoever else counts."""
    for _ in range(200):
        now = value_of(backend.get("one"), "cups")
        more = document(codec.decode(now) + 1)
        try:
            set_value(backend, "one", "cups", more, expected=now)
        except SessionConflictError:
            continue
        return
    raise AssertionError("never had its turn")


def test_the_text_of_other_values_stays(backend: Backend) -> None:
    state = b'{"n": 1.0,  "e": "caf\\u00e9", "cups": 2}'
    data = Document(b'{"session_state": ' + state + b', "x":  [1.50]}')
    backend.write([sample_bundle("one", session_data=data)])
    set_value(backend, "one", "cups", document(3))
    found = backend.get("one").session_data
    if backend.capabilities.keeps_json_text:
        kept = b'{"session_state": {"n": 1.0, "e": "caf\\u00e9", "cups": 3}, "x": [1.50]}'
        assert found == kept
    assert codec.members(found)["session_state"] == {"n": 1.0, "e": "café", "cups": 3}
    assert backend.get("one").created_at == sample_session().created_at


@pytest.mark.parametrize("broken", [b"{broken", b"[1]", b'"text"'])
def test_what_cannot_be_read_is_left_as_it_is_and_told(tmp_path: Path, broken: bytes) -> None:
    with SqliteDb(tmp_path / "one.db") as backend:
        document = Document(broken)
        backend.write([sample_bundle("one", metadata=document, session_data=document)])
        before = backend.get("one")
        for edit in (
            lambda: retag(backend, "one", add=["a"]),
            lambda: set_value(backend, "one", "a", Document(b"1")),
            lambda: unset_value(backend, "one", "a"),
            lambda: value_of(before, "a"),
            lambda: rename(backend, "one", "New"),
            lambda: fork(backend, "one"),
        ):
            with pytest.raises(LayoutError) as caught:
                edit()
            assert "'one' cannot be read" in caught.value.message
            assert caught.value.hint
        assert backend.get("one") == before
        assert list(backend.ids()) == ["one"]
