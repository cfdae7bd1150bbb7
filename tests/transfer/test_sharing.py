"""A ledger that is kept in the target too: what another machine finds there, and what it leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agnocli.abc import Backend, Capabilities
from agnocli.db.memory import MemoryDb
from agnocli.records import SessionBundle
from agnocli.testing.base_suite import everything, given
from agnocli.testing.records import document, sample_run, sample_session
from agnocli.transfer.engine import Transfer, job_of
from agnocli.transfer.ledger import Ledger
from agnocli.transfer.options import Observer, Shard, TransferOptions, TransferReport, ValuePolicy
from tests.transfer.moving import Through, Times
from tests.transfer.test_engine import NOTHING_ODD, Strict


class Held(MemoryDb):
    """With notes."""

    address = "memory://held"

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, list[bytes]] = defaultdict(list)

    def notes(self, job: str) -> Iterator[bytes]:
        return iter(self.held[job])

    def note(self, job: str, text: bytes) -> None:
        assert text.isascii()
        self.held[job].append(text)

    def forget_notes(self, job: str) -> None:
        self.held.pop(job, None)


class Machine:
    """Does one job with a ledger of its own."""

    def __init__(self, source: Backend, target: Held, ledger: Path) -> None:
        self.source, self.target, self.ledger = source, target, ledger

    def move(
        self,
        options: TransferOptions,
        *,
        restart: bool = False,
        observer: Observer = lambda progress: None,
        can: Capabilities | None = None,
        **before: Any,
    ) -> TransferReport:
        job = job_of(self.source, self.target, options)
        sink = Strict(self.target, can) if can else Through(self.target, **before)
        with Ledger(self.ledger, job, restart=restart) as ledger:
            ledger.share(self.target)
            transfer = Transfer(
                self.source, sink, options, ledger, copy=self.target, observer=observer
            )
            return transfer.run()


SMALL = TransferOptions(batch_bytes=2**18, shard=Shard(1, 1))
IDS = [f"h{number}" for number in range(6)]


@pytest.fixture
def target() -> Held:
    return Held()


@pytest.fixture
def machines(source: Backend, target: Held, tmp_path: Path) -> list[Machine]:
    """Of one job."""
    source.write([heavy(one) for one in IDS])
    return [Machine(source, target, tmp_path / name) for name in ("one", "two")]


def heavy(session_id: str, text: str = "x") -> SessionBundle:
    """A batch by itself."""
    body = document({"content": text * 1_600_000})
    return SessionBundle(sample_session(session_id), (sample_run(session_id, 0, run_data=body),))


def stopped(machine: Machine, good: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        machine.move(SMALL, write=Times(good, KeyboardInterrupt()))


def test_another_machine_goes_on_behind_what_was_copied(
    machines: list[Machine], target: Held
) -> None:
    one, two = machines
    stopped(one, 3)
    written: list[str] = []
    report = two.move(SMALL, written=lambda result: written.extend(result.written))
    assert report.resumed
    assert written == IDS[3:]
    assert report.count("written").sessions == 6
    assert report.count("verified").sessions == 6
    assert everything(target) == given(*map(heavy, IDS), by=target)


def test_a_machine_that_comes_back_knows_what_another_one_did_meanwhile(
    machines: list[Machine],
) -> None:
    one, two = machines
    stopped(one, 2)
    stopped(two, 2)
    written: list[str] = []
    report = one.move(SMALL, written=lambda result: written.extend(result.written))
    assert written == IDS[4:]
    assert report.count("written").sessions == 6


def test_a_job_that_is_done_leaves_no_notes_and_begins_anew(
    machines: list[Machine], target: Held
) -> None:
    one, two = machines
    one.move(SMALL)
    assert not target.held
    report = two.move(SMALL)
    assert not report.resumed
    assert report.count("identical").sessions == 6


def test_a_job_that_is_told_to_begins_anew_everywhere(
    machines: list[Machine], target: Held
) -> None:
    one, two = machines
    stopped(one, 3)
    target.delete([*target.ids()])
    report = two.move(SMALL, restart=True)
    assert not report.resumed
    assert report.count("written").sessions == 6
    assert not target.held


def test_what_a_policy_changed_is_known_to_another_machine(
    source: Backend, target: Held, tmp_path: Path
) -> None:
    source.write([heavy("a"), heavy("b", "\0"), heavy("c")])
    options = TransferOptions(batch_bytes=2**18, shard=Shard(1, 1), on_nul=ValuePolicy.REPLACE)
    one, two = (Machine(source, target, tmp_path / name) for name in ("one", "two"))
    with pytest.raises(KeyboardInterrupt):
        one.move(options, can=NOTHING_ODD, observer=Times(1, KeyboardInterrupt()))
    assert list(target.ids()) == ["a", "b"]
    report = two.move(options, can=NOTHING_ODD)
    assert report.resumed
    assert not report.is_mismatch
    assert report.count("verified").sessions == 3
