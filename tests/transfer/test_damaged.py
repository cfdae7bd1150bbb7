"""Sessions that their source cannot read: kept as they are stored, while the others arrive."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from agnocli.abc import HELD_BYTES, Backend
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import (
    BackendError,
    BackendUnavailableError,
    CodecError,
    FileFormatError,
    RecordRejectedError,
    SessionNotFoundError,
)
from agnocli.formats.quarantine import QuarantineWriter
from agnocli.formats.registry import open_file
from agnocli.records import RawPiece, SessionBundle
from agnocli.testing.base_suite import Part, everything, given
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session
from agnocli.transfer.engine import job_of
from agnocli.transfer.ledger import Ledger
from agnocli.transfer.options import Phase, Progress, SetAside, TransferOptions, TransferReport
from agnocli.transfer.plan import plan
from agnocli.transfer.whole import compare
from tests.transfer.conftest import named_memory
from tests.transfer.moving import Kept, Through, Times, move
from tests.transfer.places import KINDS, Place, place

DAMAGES: list[tuple[str, Part]] = [
    ("sqlite", "old runs"),
    ("postgres", "old runs"),
    ("mysql", "old runs"),
    ("redis", "session"),
    ("redis", "run"),
    ("redis", "old runs"),
    ("mongo", "session"),
    ("mongo", "old runs"),
]
IDS = ("a", "b", "c", "d")
Stored = dict[str, Any]


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "aside.jsonl"


@pytest.fixture(params=DAMAGES, ids=[f"{part} on {kind}" for kind, part in DAMAGES])
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, bytes]]:
    """A place with four sessions, of which `b` cannot be read, and what stands in it."""
    kind, part = request.param
    with place("one", kind, tmp_path) as here:
        with here.open() as backend:
            backend.write([sample_bundle(one, 2) for one in IDS])
        stored = here.damage("b", part)
        assert stored is not None
        yield here, stored


@pytest.fixture
def old_runs(tmp_path: Path) -> Iterator[Backend]:
    """The same on SQLite, with no server."""
    with place("one", "sqlite", tmp_path) as here:
        with here.open() as backend:
            backend.write([sample_bundle(one, 2) for one in IDS])
        here.damage("b", "old runs")
        with here.open() as backend:
            yield backend


def copied(
    source: Any, target: Any, kept: Path, options: TransferOptions | None = None, **how: Any
) -> TransferReport:
    writer = QuarantineWriter(kept, backend=target.address)
    return move(source, target, options, quarantine=writer, **how)


def entries(kept: Path) -> list[Stored]:
    return [json.loads(line) for line in kept.read_bytes().splitlines()[1:]]


def raw_bytes(entry: Stored) -> dict[str, bytes]:
    return {
        one["place"]: b64decode(one["base64"]) if "base64" in one else one["text"].encode()
        for one in entry["raw"]
        if "reason" not in one
    }


def test_its_bytes_are_kept_and_the_others_arrive(
    damaged: tuple[Place, bytes], target: Backend, kept: Path
) -> None:
    here, stored = damaged
    with here.open() as source:
        report = copied(source, target, kept)
        others = {bundle.session.session_id for bundle in source.read(["a", "c", "d"])}
        assert set(everything(target)) == others == {"a", "c", "d"}
        address = source.address
    assert [one.session_id for one in report.set_aside] == ["b"]
    assert report.set_aside[0].unreadable
    assert report.is_partial
    assert not report.is_mismatch
    counted = {name: report.count(name).sessions for name in ("read", "quarantined", "verified")}
    assert counted == {"read": 4, "quarantined": 1, "verified": 3}
    (entry,) = entries(kept)
    assert entry["session_id"] == "b"
    assert entry["error"]["backend"] == address
    assert entry["error"]["reason"] == report.set_aside[0].reason
    assert entry["error"]["json_path"] == report.set_aside[0].json_path
    assert any(stored in data for data in raw_bytes(entry).values())
    assert b"answer 0" in b"".join(raw_bytes(entry).values())


def test_when_it_is_mended_in_the_source_the_same_command_completes_the_job(
    damaged: tuple[Place, bytes], target: Backend, kept: Path
) -> None:
    here, _ = damaged
    with here.open() as source:
        copied(source, target, kept)
        source.delete(["b"])
        source.write([sample_bundle("b", 2)])
        report = copied(source, target, kept)
    assert report.set_aside == []
    assert report.count("verified").sessions == 4
    assert set(everything(target)) == {*IDS}


@pytest.mark.parametrize("kind", [*KINDS, "file"])
def test_whatever_the_target_is_nothing_of_it_arrives(
    old_runs: Backend, kept: Path, kind: str, tmp_path: Path
) -> None:
    """Runs from the session's own row fail while the target writes."""
    with ExitStack() as stack:
        if kind == "file":
            target: Any = open_file(str(tmp_path / "out.jsonl.gz"))
        else:
            target = stack.enter_context(stack.enter_context(place("two", kind, tmp_path)).open())
        report = copied(old_runs, target, kept)
        assert [one.session_id for one in report.set_aside] == ["b"]
        assert report.count("verified").sessions == 3
        assert not report.is_mismatch
        assert [bundle.session.session_id for _, bundle in target.scan()] == ["a", "c", "d"]


def test_where_it_is_known_the_path_says_what_cannot_be_read(
    old_runs: Backend, target: Backend, kept: Path
) -> None:
    (aside,) = copied(old_runs, target, kept).set_aside
    assert aside.json_path == "runs"
    assert aside.reason.startswith("cannot be read: not JSON: ")


def test_a_plan_says_what_would_be_set_aside(damaged: tuple[Place, bytes], target: Backend) -> None:
    with damaged[0].open() as source:
        found = plan(source, target, TransferOptions(), lambda progress: None)
    assert [(one.session_id, one.unreadable) for one in found.set_aside] == [("b", True)]
    assert found.new.sessions == 3


def test_a_copy_of_it_from_before_is_no_conflict(
    damaged: tuple[Place, bytes], target: Backend, kept: Path
) -> None:
    target.write([sample_bundle("b", 2)])
    with damaged[0].open() as source:
        report = copied(source, target, kept)
        found = compare(source, target, lambda progress: None)
    assert report.count("written").sessions == 3
    assert [one.session_id for one in report.set_aside] == ["b"]
    assert ("b", "unreadable") in [one[:2] for one in found.findings]
    assert everything(target)["b"] == given(sample_bundle("b", 2), by=target)["b"]


def test_a_job_that_goes_on_keeps_it_once(
    old_runs: Backend, target: Backend, kept: Path, ledger_file: Path
) -> None:
    class Dying(QuarantineWriter):
        def add_raw(self, *arguments: Any, **how: Any) -> None:
            super().add_raw(*arguments, **how)
            raise Killed

    writer = Dying(kept, backend=target.address)
    with pytest.raises(Killed):
        move(old_runs, target, quarantine=writer, ledger_file=ledger_file)
    assert len(entries(kept)) == 1
    for _ in range(2):
        report = copied(old_runs, target, kept, ledger_file=ledger_file)
        assert [one.session_id for one in report.set_aside] == ["b"]
        assert len(entries(kept)) == 1
    assert set(everything(target)) == {"a", "c", "d"}


def test_what_is_not_in_the_file_is_not_written_down(
    old_runs: Backend, target: Backend, kept: Path, ledger_file: Path
) -> None:
    class Full(Kept):
        def add_raw(self, *arguments: Any, **how: Any) -> None:
            raise BackendError("no room")

    with pytest.raises(BackendError):
        move(old_runs, target, quarantine=Full(), ledger_file=ledger_file)
    with Ledger(ledger_file, job_of(old_runs, target, TransferOptions())) as ledger:
        assert ledger.all_set_aside() == []
    report = copied(old_runs, target, kept, ledger_file=ledger_file)
    assert [one.session_id for one in report.set_aside] == ["b"]
    assert len(entries(kept)) == 1


def test_a_job_that_goes_on_knows_what_was_set_aside(
    old_runs: Backend, target: Backend, kept: Path, ledger_file: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.phase is Phase.VERIFY:
            raise Killed

    with pytest.raises(Killed):
        copied(old_runs, target, kept, ledger_file=ledger_file, observer=stop)
    kept.unlink()
    report = copied(old_runs, target, kept, ledger_file=ledger_file)
    assert report.resumed
    assert [(one.session_id, one.unreadable) for one in report.set_aside] == [("b", True)]
    assert not kept.exists()


def test_a_ledger_of_an_earlier_version_is_gone_on_with(
    old_runs: Backend, target: Backend, kept: Path, ledger_file: Path
) -> None:
    copied(old_runs, target, kept, ledger_file=ledger_file)
    with closing(sqlite3.connect(ledger_file)) as database, database:
        database.execute("ALTER TABLE set_aside DROP COLUMN unreadable")
        database.execute("DELETE FROM job WHERE key = 'finished'")
    job = job_of(old_runs, target, TransferOptions())
    with Ledger(ledger_file, job) as ledger:
        assert [(one.session_id, one.unreadable) for one in ledger.all_set_aside()] == [
            ("b", False)
        ]
        ledger.set_aside(SetAside("c", "session", "cannot be read", unreadable=True))
        assert [one.unreadable for one in ledger.all_set_aside()] == [False, True]


def test_a_source_that_gives_no_bytes_is_told_of_all_the_same(
    source: Backend, target: Backend, kept: Path
) -> None:
    source.write([sample_bundle(one) for one in IDS])

    def broken(what: Any) -> None:
        if (what if isinstance(what, str) else what.session.session_id) == "b":
            raise CodecError("not JSON", json_path="metadata")

    report = copied(Through(source, scan=broken, read=broken), target, kept)
    (entry,) = entries(kept)
    assert (entry["session_id"], entry["raw"]) == ("b", [])
    assert entry["error"]["json_path"] == report.set_aside[0].json_path == "metadata"


def test_one_that_is_gone_when_its_bytes_are_asked_for_is_not_set_aside(
    old_runs: Backend, target: Backend, kept: Path
) -> None:
    class Gone(Through):
        def raw(self, session_id: str) -> Iterator[RawPiece]:
            old_runs.delete([session_id])
            raise SessionNotFoundError(session_id)

    report = copied(Gone(old_runs), target, kept)
    assert report.set_aside == []
    assert set(everything(target)) == {"a", "c", "d"}


def test_a_source_that_is_away_for_a_moment_is_asked_again_for_its_bytes(
    old_runs: Any, target: Backend, kept: Path
) -> None:
    away = Times(0, BackendUnavailableError("gone"), times=2)

    class Away(Through):
        def raw(self, session_id: str) -> Iterator[RawPiece]:
            pieces = iter(old_runs.raw(session_id))
            yield next(pieces)
            away()
            yield from pieces

    copied(Away(old_runs), target, kept)
    (entry,) = entries(kept)
    assert len(entry["raw"]) == len(list(old_runs.raw("b")))


def big_runs(session_id: str) -> SessionBundle:
    text = "y" * 2**20
    runs = (
        sample_run(session_id, number, run_data=document({"n": number, "content": text}))
        for number in range(HELD_BYTES // 2**20 + 2)
    )
    return SessionBundle(sample_session(session_id), tuple(runs))


def test_a_run_deep_within_a_long_session_sets_aside_that_one(
    tmp_path: Path, target: Backend, kept: Path
) -> None:
    """Its runs are a stream, and the target is in the middle of writing them."""
    with place("one", "redis", tmp_path) as here, here.open() as source:
        source.write([sample_bundle("a"), big_runs("b"), sample_bundle("c")])
        stored = here.damage("b", "run")
        assert stored is not None
        report = copied(source, target, kept)
        assert set(everything(target)) == {"a", "c"}
    assert [one.session_id for one in report.set_aside] == ["b"]
    (entry,) = entries(kept)
    assert len(entry["raw"]) == 1 + HELD_BYTES // 2**20 + 2
    assert stored in raw_bytes(entry).values()


def test_what_the_target_refused_and_cannot_be_read_to_its_end_is_kept_as_stored(
    tmp_path: Path, target: Backend, kept: Path
) -> None:
    class Refusing(Through):
        def write(self, bundles: Iterable[SessionBundle], *policy: Any) -> Any:
            for session, runs in (held := list(bundles)):
                if session.session_id == "b":
                    next(iter(runs))
                    raise RecordRejectedError("b", "run_data", "is not wanted")
            return super().write(held, *policy)

    with place("one", "redis", tmp_path) as here, here.open() as source:
        source.write([big_runs("b"), sample_bundle("c")])
        here.damage("b", "run")
        report = copied(source, Refusing(target), kept)
        assert set(everything(target)) == {"c"}
    assert [(one.session_id, one.unreadable) for one in report.set_aside] == [("b", True)]
    (entry,) = entries(kept)
    assert "raw" in entry


def test_a_damaged_page_of_a_file_costs_its_own_run_alone(
    tmp_path: Path, target: Backend, kept: Path
) -> None:
    file = tmp_path / "agno.db"
    marked = sample_run("b", 1, run_data=document({"content": "MARK" + "y" * 100_000}))
    with SqliteDb(file) as source:
        source.write([sample_bundle("a"), sample_bundle("c")])
        bundle = SessionBundle(sample_session("b"), (*sample_bundle("b", 1).runs, marked))
        source.write([bundle])
    with closing(sqlite3.connect(file)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    text = bytearray(file.read_bytes())
    page = text.rindex(b"yyyyyyyyy") // size - 3
    assert text[page * size + 4 : page * size + 20] == b"y" * 16
    text[page * size : page * size + 4] = b"\x7f\xff\xff\xff"  # where it goes on
    file.write_bytes(text)
    with SqliteDb(file) as source:
        report = copied(source, target, kept)
    assert [one.session_id for one in report.set_aside] == ["b"]
    assert set(everything(target)) == {"a", "c"}
    (entry,) = entries(kept)
    found = raw_bytes(entry)
    assert b"answer 0" in found["agno_runs[b.run-0].run_data"]
    assert found["agno_runs[b.run-1].status"] == b"COMPLETED"
    lost = {one["place"]: one["reason"] for one in entry["raw"] if "reason" in one}
    assert "damaged" in lost["agno_runs[b.run-1].run_data"]


def test_the_file_of_it_is_refused_until_a_session_stands_in_its_place(
    damaged: tuple[Place, bytes], target: Backend, kept: Path
) -> None:
    with damaged[0].open() as source:
        copied(source, target, kept)
    with pytest.raises(FileFormatError, match="'b' is here only as the bytes") as caught:
        list(open_file(str(kept)).scan())
    assert caught.value.line == 2
    assert caught.value.hint is not None
    QuarantineWriter(kept, backend="x").add(sample_bundle("b", 2), json_path="x", reason="y")
    header, _, mended = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(header + mended)
    with named_memory("memory://again") as again:
        move(open_file(str(kept)), again)
        assert everything(again) == given(sample_bundle("b", 2), by=again)


def test_what_is_kept_is_told_to_a_quarantine_in_memory(old_runs: Any, target: Backend) -> None:
    kept = Kept()
    move(old_runs, target, quarantine=kept)
    assert kept.raw[0][1] == list(old_runs.raw("b"))
