"""Copies that are known again by what was noted of them: when the source is read once, and when it is not enough."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli.abc import HELD_BYTES, Backend, ConflictPolicy
from agnocli.db.memory import MemoryDb
from agnocli.layout.compare import as_told
from agnocli.records import Document, SessionBundle
from agnocli.testing.base_suite import everything
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session
from agnocli.transfer import engine
from agnocli.transfer.options import TransferOptions, Verify
from tests.transfer.conftest import Telling, named_memory
from tests.transfer.moving import Through, Times, move


class Watched(Telling):
    """Notes which sessions are read."""

    def __init__(self) -> None:
        super().__init__()
        self.scanned: list[str] = []

    def scan(self, **how: Any) -> Iterator[Any]:
        for cursor, bundle in super().scan(**how):
            self.scanned.append(bundle.session.session_id)
            yield cursor, bundle


class Respelling(MemoryDb):
    """Tells every document in a spelling of its own, and JSON null as nothing."""

    capabilities = replace(
        MemoryDb.capabilities, keeps_json_text=False, respells_json=True, keeps_null_kind=False
    )

    def read(self, session_ids: Any) -> Iterator[SessionBundle]:
        for session, runs in super().read(session_ids):
            spelled = [replace(one, run_data=Document(b" " + one.run_data)) for one in runs]
            yield SessionBundle(as_told(session, self.capabilities), tuple(spelled))


@pytest.fixture
def watched() -> Iterator[Watched]:
    with Watched() as backend:
        backend.address = "memory://source"
        backend.write([sample_bundle(f"s{number}", 2) for number in range(6)])
        yield backend


IDS = [f"s{number}" for number in range(6)]


def test_a_source_that_did_not_change_is_read_once(watched: Watched, target: Backend) -> None:
    report = move(watched, target)
    assert report.count("verified").sessions == 6
    assert report.count("verified").bytes == report.count("written").bytes
    assert watched.scanned == IDS
    assert everything(target) == everything(watched)


def test_only_copies_in_doubt_are_compared_with_the_source(
    watched: Watched, target: Backend
) -> None:
    def spoil(result: Any) -> None:
        target.update("s2", {"agent_id": "someone else"})
        target.delete(["s4"])

    report = move(watched, Through(target, written=spoil))
    assert [one.session_id for one in report.different] == ["s2"]
    assert report.missing == ["s4"]
    assert report.count("verified").sessions == 4
    assert watched.scanned == [*IDS, "s2", "s4"]


def test_a_source_that_changed_is_read_again_whole(watched: Watched, target: Backend) -> None:
    def change(result: Any) -> None:
        if "s5" in result.written:
            watched.append_run(sample_run("s1", 9))

    report = move(watched, Through(target, written=change))
    assert watched.scanned == [*IDS, *IDS, "s1", "s1"]
    assert report.count("replaced").sessions == 1
    assert report.count("verified").sessions == 6
    assert everything(target) == everything(watched)


def test_a_source_that_changes_while_copies_are_read_is_read_again_whole(
    watched: Watched, target: Backend
) -> None:
    changes = iter([lambda: watched.append_run(sample_run("s1", 9))])

    def change(session_id: str) -> None:
        if session_id == "s5":
            next(changes, lambda: None)()

    report = move(watched, Through(target, read=change))
    assert watched.scanned[:12] == [*IDS, *IDS]
    assert report.count("verified").sessions == 6
    assert everything(target) == everything(watched)


@pytest.mark.parametrize("changed", [False, True])
def test_a_job_that_goes_on_reads_what_it_has_only_if_the_source_has_changed_since(
    watched: Watched, target: Backend, ledger_file: Path, changed: bool
) -> None:
    body = document({"content": "x" * 2_000_000})
    for number in range(6):
        watched.append_run(sample_run(f"s{number}", 8, run_data=body))
    options = TransferOptions(batch_bytes=2**18)
    with pytest.raises(KeyboardInterrupt):
        sink = Through(target, write=Times(2, KeyboardInterrupt()))
        move(watched, sink, options, ledger_file=ledger_file)
    assert list(target.ids()) == ["s0", "s1"]
    if changed:
        watched.append_run(sample_run("s0", 9))
    watched.scanned.clear()
    report = move(watched, target, options, ledger_file=ledger_file)
    again = [*IDS, "s0", "s0"] if changed else []
    assert watched.scanned == [*IDS[2:], *again]
    assert report.count("verified").sessions == 6
    assert everything(target) == everything(watched)


def test_what_was_copied_without_verification_is_compared_with_the_source_by_a_job_that_goes_on_with_it(
    watched: Watched, target: Backend, ledger_file: Path
) -> None:
    without = TransferOptions(batch_bytes=2**18, verify=Verify.NONE)
    body = document({"content": "x" * 2_000_000})
    for number in range(6):
        watched.append_run(sample_run(f"s{number}", 8, run_data=body))
    with pytest.raises(KeyboardInterrupt):
        sink = Through(target, write=Times(2, KeyboardInterrupt()))
        move(watched, sink, without, ledger_file=ledger_file)
    assert list(target.ids()) == ["s0", "s1"]
    target.update("s1", {"agent_id": "someone else"})
    watched.scanned.clear()
    report = move(watched, target, replace(without, verify=Verify.FULL), ledger_file=ledger_file)
    assert watched.scanned == [*IDS[2:], "s0", "s1", "s1", "s1"]  # compared, copied again, compared
    assert report.count("verified").sessions == 6
    assert everything(target) == everything(watched)


def plain(number: int) -> SessionBundle:
    """With nothing that becomes another kind of null."""
    session = sample_session(f"s{number}", summary=None)
    return SessionBundle(session, (sample_run(f"s{number}", 0),))


def test_what_an_engine_spells_anew_is_known_again_by_its_values_and_told_of(
    watched: Watched,
) -> None:
    target = Respelling()
    watched.write([plain(7), plain(8)])
    report = move(watched, target)
    assert report.count("verified").sessions == 8
    assert report.respelled == {"json_text": 8, "null_kind": 6}
    assert watched.scanned == [*IDS, "s7", "s8"]
    with named_memory("memory://compared") as source:
        source.write([bundle for _, bundle in watched.scan()])
        assert move(source, Respelling()).respelled == report.respelled


def test_another_value_in_another_spelling_is_a_difference(watched: Watched) -> None:
    target = Respelling()

    def spoil(result: Any) -> None:
        run = sample_run("s2", 0, run_data=document({"content": "something else"}))
        target.put_run(run)

    report = move(watched, Through(target, written=spoil))
    assert [one.session_id for one in report.different] == ["s2"]
    assert report.count("verified").sessions == 5


def test_a_number_in_another_spelling_is_compared_with_the_source(watched: Watched) -> None:
    target = Respelling()
    watched.write(
        [SessionBundle(sample_session("n"), (sample_run("n", 0, run_data=number("1e2")),))]
    )

    def spelled(result: Any) -> None:
        if "n" in result.written:
            target.put_run(sample_run("n", 0, run_data=number("100")))

    report = move(watched, Through(target, written=spelled))
    assert not report.is_mismatch
    assert report.count("verified").sessions == 7
    assert watched.scanned == ["n", *IDS, "n"]


def number(digits: str) -> Document:
    return Document(b'{"content": "x", "n": %b}' % digits.encode())


@pytest.mark.parametrize("is_long", [False, True])
def test_a_session_that_is_streamed_is_known_again_too(
    watched: Watched, target: Backend, is_long: bool
) -> None:
    body = document({"content": "x" * (HELD_BYTES // 2)})
    runs = tuple(sample_run("long", number, run_data=body) for number in range(3 if is_long else 1))
    watched.write([SessionBundle(sample_session("long"), runs)])

    def spoil(result: Any) -> None:
        if "long" in result.written:
            target.put_run(replace(runs[0], run_data=document({"content": "y"})))

    fine = named_memory("memory://fine")
    assert move(watched, fine).count("verified").sessions == 7
    assert watched.scanned == ["long", *IDS]
    report = move(watched, Through(target, written=spoil))
    assert [one.session_id for one in report.different] == ["long"]


def test_when_few_are_known_again_the_source_is_read_once_more_and_each_copy_compared(
    watched: Watched, target: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MANY", 2)

    def spoil(result: Any) -> None:
        for number in range(4):
            target.update(f"s{number}", {"agent_id": "someone else"})

    report = move(watched, Through(target, written=spoil))
    assert [one.session_id for one in report.different] == IDS[:4]
    assert report.count("verified").sessions == 2
    assert watched.scanned == [*IDS, *IDS]


def test_a_session_that_was_skipped_is_not_looked_at(watched: Watched, target: Backend) -> None:
    target.write([sample_bundle("s3", 1)])
    report = move(watched, target, TransferOptions(policy=ConflictPolicy.SKIP))
    assert report.count("skipped").sessions == 1
    assert report.count("verified").sessions == 5
    assert not report.is_mismatch
    assert watched.scanned == IDS
