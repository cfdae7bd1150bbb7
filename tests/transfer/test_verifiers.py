"""Copies that are read again by processes beside this one, and what becomes of those."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import psutil
import pytest

from agnocli.abc import Backend
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import BackendUnavailableError
from agnocli.testing.records import sample_bundle
from agnocli.transfer import verifiers
from agnocli.transfer.ledger import Entry
from agnocli.transfer.options import TransferOptions, Verify
from agnocli.transfer.recognizing import Seen
from agnocli.transfer.verifiers import Verifiers
from tests.transfer.moving import Through, move
from tests.transfer.places import KINDS, place

WAIT = 30


class Counting(Verifiers):
    def __init__(self, open_copy: Callable[[], Backend], backend: Backend) -> None:
        super().__init__(open_copy, backend.capabilities)
        self.found = self.failed = 0

    def recognize(self, entries: Sequence[Entry]) -> list[Seen] | None:
        found = super().recognize(entries)
        if found is None:
            self.failed += 1
        else:
            self.found += len(found)
        return found


@pytest.fixture(autouse=True)
def _are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifiers, "LARGE", 1)
    monkeypatch.setattr(verifiers, "_processors", lambda: 2)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SqliteDb]:
    path = tmp_path / "source.db"
    with SqliteDb(path) as backend:
        backend.write([sample_bundle(f"s{number}", 3) for number in range(40)])
    os.utime(path, (0, 0))  # one written just now may still change unnoticed
    with SqliteDb(path, read_only=True) as backend:
        yield backend


@pytest.fixture
def target(tmp_path: Path) -> Iterator[SqliteDb]:
    with SqliteDb(tmp_path / "target.db") as backend:
        yield backend


@pytest.fixture
def there(target: SqliteDb) -> Iterator[Counting]:
    with Counting(partial(SqliteDb, target.path, read_only=True), target) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_they_know_copies_again_at_every_kind_of_place(
    kind: str, source: SqliteDb, tmp_path: Path
) -> None:
    with place("there", kind, tmp_path) as there, there.open() as target:
        opener = there._harness.opener()
        assert opener is not None
        with Counting(opener, target) as found:
            report = move(source, target, verifiers=found)
            assert (found.found, found.failed) == (40, 0)
    assert report.count("verified").sessions == 40
    assert report.count("verified").runs == 120
    assert not report.is_mismatch


def test_what_they_do_not_know_again_is_compared_here(
    source: SqliteDb, target: SqliteDb, there: Counting
) -> None:
    def spoil(result: object) -> None:
        target.update("s2", {"agent_id": "someone else"})
        target.delete(["s4"])

    report = move(source, Through(target, written=spoil), verifiers=there)
    assert [one.session_id for one in report.different] == ["s2"]
    assert report.missing == ["s4"]
    assert report.count("verified").sessions == 38
    assert there.found == 40


def test_this_process_reads_itself_while_the_others_are_busy(
    source: SqliteDb, target: SqliteDb, there: Counting
) -> None:
    there.expect(verifiers.LARGE)
    assert len(there) == 1
    busy = there._free.get()
    report = move(source, target, verifiers=there)
    there._free.put(busy)
    assert report.count("verified").sessions == 40
    assert (there.found, there.failed) == (0, 1)


def test_this_process_reads_itself_for_those_that_died(
    source: SqliteDb, target: SqliteDb, there: Counting
) -> None:
    def kill(result: object) -> None:
        there.expect(verifiers.LARGE)
        for process in there._processes:
            process.kill()
            process.wait()

    report = move(source, Through(target, written=kill), verifiers=there)
    assert report.count("verified").sessions == 40
    assert (there.found, there.failed) == (0, 1)


def test_this_process_reads_itself_where_they_cannot(
    source: SqliteDb, target: SqliteDb, tmp_path: Path
) -> None:
    elsewhere = partial(SqliteDb, tmp_path, read_only=True)  # a folder
    with Counting(elsewhere, target) as blind:
        report = move(source, target, verifiers=blind)
        assert (blind.found, blind.failed) == (0, 1)
    assert report.count("verified").sessions == 40
    with pytest.raises(BackendUnavailableError, match="is a folder"):
        elsewhere().get("s1")


@pytest.mark.parametrize(("processors", "number"), [(1, 0), (3, 2), (64, verifiers.MOST)])
def test_there_is_one_for_each_other_processor_up_to_some(
    processors: int, number: int, there: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifiers, "_processors", lambda: processors)
    for _ in range(2):
        there.expect(verifiers.LARGE)
        assert len(there) == number


def test_this_process_reads_alone_where_no_other_can_be_started(
    source: SqliteDb, target: SqliteDb, there: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    report = move(source, target, verifiers=there)
    assert len(there) == 0
    assert report.count("verified").sessions == 40


@pytest.mark.parametrize("verify", [Verify.NONE, Verify.COUNT, Verify.SAMPLE])
def test_there_are_none_where_little_is_read_again(
    source: SqliteDb, target: SqliteDb, there: Counting, verify: Verify
) -> None:
    move(source, target, TransferOptions(verify=verify), verifiers=there)
    assert len(there) == 0


def test_there_are_none_for_little(
    source: SqliteDb, target: SqliteDb, there: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifiers, "LARGE", 2**20)
    report = move(source, target, verifiers=there)
    assert len(there) == 0
    assert report.count("verified").sessions == 40


def test_they_end_with_the_process_they_work_for_however_it_ends(tmp_path: Path) -> None:
    program = (
        "import sys, time; from functools import partial;"
        " from agnocli.db.sqlite import SqliteDb; from agnocli.transfer.verifiers import Verifiers;"
        " open_copy = partial(SqliteDb, sys.argv[1]); there = Verifiers(open_copy, SqliteDb(sys.argv[1]).capabilities);"
        " there.expect(2**30); print(*(one.pid for one in there._processes), flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "any.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        started = [psutil.Process(int(one)) for one in parent.stdout.readline().split()]
        os.kill(parent.pid, signal.SIGKILL)
    if len(os.sched_getaffinity(0)) > 1:
        assert started
    _, left = psutil.wait_procs(started, WAIT)
    assert not left
