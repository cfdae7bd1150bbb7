"""The engine between two ends in memory: what arrives, what is told, what a failure leaves."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier, Lock, active_count
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli.abc import HELD_BYTES, Backend, Capabilities, ConflictPolicy, SessionQuery
from agnocli.errors import (
    BackendUnavailableError,
    CodecError,
    JobError,
    LayoutError,
    RecordRejectedError,
    SessionConflictError,
    SessionNotFoundError,
    UsageError,
)
from agnocli.records import SESSION_DOCUMENTS, SessionBundle
from agnocli.testing.base_suite import everything, given
from agnocli.testing.records import (
    EPOCH,
    document,
    sample_bundle,
    sample_run,
    sample_session,
)
from agnocli.transfer.engine import job_of
from agnocli.transfer.ledger import Job, Ledger
from agnocli.transfer.options import (
    Change,
    Phase,
    Progress,
    SetAside,
    Shard,
    TransferOptions,
    ValuePolicy,
    Verify,
)
from tests.transfer.conftest import named_memory
from tests.transfer.moving import Kept, Through, Times, move

SMALL = 256 * 1024
"""The least a batch can have."""


class Killed(BaseException):
    """The process ends here."""


def many(count: int = 60) -> list[SessionBundle]:
    return [sample_bundle(f"s{number:03}", number % 4) for number in range(count)]


def heavy(count: int) -> list[SessionBundle]:
    """Each a batch by itself, also when batches have grown for some time."""
    text = "x" * (6 * SMALL)
    return [
        SessionBundle(
            sample_session(f"h{number:02}"),
            (sample_run(f"h{number:02}", 0, run_data=document({"content": text})),),
        )
        for number in range(count)
    ]


def counts(report: Any, *names: str) -> tuple[int, ...]:
    return tuple(report.count(name).sessions for name in names)


def test_all_that_is_there_arrives_and_is_verified(source: Backend, target: Backend) -> None:
    source.write(many())
    report = move(source, target)
    assert everything(target) == given(*many(), by=target)
    assert counts(report, "read", "written", "verified", "identical") == (60, 60, 60, 0)
    assert report.count("written").runs == report.count("verified").runs == 90
    assert not report.is_mismatch
    assert not report.is_partial


def test_nothing_arrives_of_an_empty_source(source: Backend, target: Backend) -> None:
    report = move(source, target)
    assert counts(report, "read", "written", "verified") == (0, 0, 0)
    assert everything(target) == {}


def test_once_more_finds_everything_identical(source: Backend, target: Backend) -> None:
    source.write(many())
    move(source, target)
    report = move(source, target)
    assert counts(report, "written", "identical", "verified") == (0, 60, 60)


def test_a_conflict_is_told_before_anything_is_written(source: Backend, target: Backend) -> None:
    source.write(many())
    target.write([sample_bundle("s059", 1), sample_bundle("s007", 7), sample_bundle("own")])
    before = everything(target)
    with pytest.raises(SessionConflictError) as caught:
        move(source, target)
    assert caught.value.session_id in ("s059", "s007")
    assert "1 more" in caught.value.message
    assert everything(target) == before


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        (ConflictPolicy.SKIP, "skipped"),
        (ConflictPolicy.REPLACE, "replaced"),
        (ConflictPolicy.NEWER, "skipped"),
    ],
)
def test_what_wins_is_the_policys_choice(
    source: Backend, target: Backend, policy: ConflictPolicy, outcome: str
) -> None:
    source.write(many())
    other = sample_bundle("s007", 7)
    target.write([other, many()[8]])
    report = move(source, target, TransferOptions(policy=policy))
    assert counts(report, "written", "identical", outcome) == (58, 1, 1)
    assert report.count("verified").sessions == (60 if outcome == "replaced" else 59)
    wanted = many()
    if outcome == "skipped":
        wanted[7] = other
    assert everything(target) == given(*wanted, by=target)


@pytest.mark.parametrize("policy", [ConflictPolicy.REPLACE, ConflictPolicy.NEWER])
def test_another_users_session_is_set_aside_and_the_rest_goes_on(
    source: Backend, target: Backend, policy: ConflictPolicy
) -> None:
    source.write([*many(5), sample_bundle("theirs", updated_at=EPOCH + 999)])
    theirs = sample_bundle("theirs", user_id="bob")
    target.write([theirs])
    kept = Kept()
    report = move(source, target, TransferOptions(policy=policy), quarantine=kept)
    assert everything(target) == given(*many(5), theirs, by=target)
    assert [one.session_id for one in report.set_aside] == ["theirs"]
    assert "'bob'" in report.set_aside[0].reason
    assert [bundle.session.session_id for bundle, _, _ in kept.bundles] == ["theirs"]
    assert report.is_partial
    assert not report.is_mismatch


def test_sessions_that_only_the_target_has_are_counted(source: Backend, target: Backend) -> None:
    source.write(many(5))
    target.write([sample_bundle("own"), sample_bundle("s002", 2)])
    report = move(source, target)
    assert report.extra == 1


def strict(**can: Any) -> Capabilities:
    return replace(Capabilities(needs_setup=False), **can)


def bad_bundles() -> list[SessionBundle]:
    nul = document({"content": ["ok", {"text": "a\0b"}]})
    key = document({"k\0ey": 1})
    half = document({"content": "x\ud800y"})
    nan = document({"a": float("nan"), "b": [float("-inf")]})
    runs = {"nul": nul, "key": key, "half": half, "nan": nan}
    return [
        SessionBundle(
            sample_session(name), (sample_run(name, 0), sample_run(name, 1, run_data=one))
        )
        for name, one in runs.items()
    ]


class Strict(Through):
    """A backend in memory that holds what its capabilities say."""

    def __init__(self, backend: Any, can: Capabilities) -> None:
        super().__init__(backend)
        self._can = can

    @property
    def capabilities(self) -> Capabilities:
        return self._can

    def write(self, bundles: Any, policy: ConflictPolicy = ConflictPolicy.ERROR) -> Any:
        from agnocli.layout.portable import reject_unholdable

        held = [SessionBundle(session, tuple(runs)) for session, runs in bundles]
        for session, runs in held:
            reject_unholdable(session, self._can)
            for run in runs:
                reject_unholdable(run, self._can)
        return super().write(held, policy)


NOTHING_ODD = strict(
    holds_nul=False, holds_nul_in_keys=False, holds_surrogates=False, holds_nan=False
)


def test_what_the_target_cannot_hold_is_set_aside_whole_and_the_rest_goes_on(
    source: Backend, target: Backend
) -> None:
    source.write([*many(30), *bad_bundles()])
    kept = Kept()
    report = move(source, Strict(target, NOTHING_ODD), quarantine=kept)
    assert everything(target) == given(*many(30), by=target)
    assert {one.session_id: one.json_path for one in report.set_aside} == {
        "nul": "runs[1].run_data.content[1].text",
        "key": "runs[1].run_data.'k\\x00ey' (the key)",
        "half": "runs[1].run_data.content",
        "nan": "runs[1].run_data.a",
    }
    assert [one.reason for one in report.set_aside if one.session_id == "nul"] == [
        "holds a NUL character"
    ]
    found = {bundle.session.session_id: bundle for bundle, _, _ in kept.bundles}
    assert found == {one.session.session_id: one for one in bad_bundles()}
    assert counts(report, "read", "written", "quarantined", "verified") == (34, 30, 4, 30)
    assert report.is_partial


def test_values_are_changed_only_as_asked_and_each_change_is_noted(
    source: Backend, target: Backend, ledger_file: Path
) -> None:
    source.write([*many(3), *bad_bundles()])
    sink = Strict(target, NOTHING_ODD)
    options = TransferOptions(
        on_nul=ValuePolicy.REPLACE, on_surrogate=ValuePolicy.STRIP, on_nan=ValuePolicy.REPLACE
    )
    report = move(source, sink, options, ledger_file=ledger_file)
    assert report.set_aside == []
    assert counts(report, "written", "verified") == (7, 7)
    data = {name: list(target.runs(name))[1].run_data for name in ("nul", "key", "half", "nan")}
    assert data["nul"] == document({"content": ["ok", {"text": "a\u2400b"}]})
    assert data["key"] == document({"k\u2400ey": 1})
    assert data["half"] == document({"content": "xy"})
    assert data["nan"] == document({"a": "NaN", "b": ["-Infinity"]})
    from agnocli.transfer.engine import job_of

    with Ledger(ledger_file.with_name("copy"), job_of(source, sink, options)) as empty:
        assert list(empty.changes()) == []
    assert report.changes == 5


def test_the_changes_of_a_job_can_be_undone(tmp_path: Path) -> None:
    job = Job("a", "b", "")
    changes = [
        Change("s", "r", "run_data.a", "nul", '"a\\u0000b"'),
        Change("s", None, "b", "nan", "NaN"),
    ]
    with Ledger(tmp_path / "l", job) as ledger:
        ledger.note_changes("s", changes)
        ledger.note_changes("s", changes)
        ledger.note_changes("t", changes[:0])
    with Ledger(tmp_path / "l", job) as ledger:
        assert list(ledger.changes()) == changes
        assert ledger.count_changes() == 2


def test_only_what_is_meant_is_copied(source: Backend, target: Backend) -> None:
    source.write([*many(20), sample_bundle("x", user_id="bob"), sample_bundle("y", user_id="bob")])
    report = move(source, target, TransferOptions(query=SessionQuery(user_id="bob", limit=1)))
    assert set(everything(target)) == {"x", "y"}
    assert counts(report, "read", "verified") == (2, 2)
    move(source, target, TransferOptions(session_ids=("s003", "x")))
    assert set(everything(target)) == {"x", "y", "s003"}
    with pytest.raises(SessionNotFoundError):
        move(source, target, TransferOptions(session_ids=("s003", "nobody")))


def test_shards_part_the_sessions_and_all_of_them_are_everything(
    source: Backend, target: Backend
) -> None:
    source.write(many())
    seen: list[set[str]] = []
    for index in (1, 2, 3):
        part = named_memory("memory://part")
        options = TransferOptions(shard=Shard(index, 3))
        report = move(source, part, options)
        assert report.count("verified").sessions == len(everything(part))
        move(source, target, options)
        seen.append(set(everything(part)))
    assert [len(one) > 5 for one in seen] == [True] * 3
    assert sum(map(len, seen)) == 60
    assert everything(target) == given(*many(), by=target)


def test_a_killed_job_goes_on_where_it_was(
    source: Backend, target: Backend, ledger_file: Path
) -> None:
    source.write(heavy(12))
    options = TransferOptions(batch_bytes=SMALL)
    written: list[str] = []
    with pytest.raises(Killed):
        move(source, Through(target, write=Times(5, Killed())), options, ledger_file=ledger_file)
    assert len(everything(target)) == 5
    sink = Through(target, written=lambda result: written.extend(result.written))
    report = move(source, sink, options, ledger_file=ledger_file)
    assert report.resumed
    assert len(written) == 7
    assert counts(report, "read", "written", "verified") == (12, 12, 12)
    assert everything(target) == given(*heavy(12), by=target)


def test_what_was_written_but_not_yet_noted_is_identical_when_a_job_goes_on(
    source: Backend, target: Backend, ledger_file: Path
) -> None:
    source.write(heavy(6))
    options = TransferOptions(batch_bytes=SMALL)
    with pytest.raises(Killed):
        sink = Through(target, written=Times(3, Killed()))
        move(source, sink, options, ledger_file=ledger_file)
    assert len(everything(target)) == 4
    report = move(source, target, options, ledger_file=ledger_file)
    assert counts(report, "written", "identical", "verified") == (5, 1, 6)


def test_a_finished_job_begins_anew(source: Backend, target: Backend, ledger_file: Path) -> None:
    source.write(many(5))
    move(source, target, ledger_file=ledger_file)
    report = move(source, target, ledger_file=ledger_file)
    assert not report.resumed
    assert counts(report, "written", "identical") == (0, 5)


def test_a_job_that_is_told_to_begins_anew(
    source: Backend, target: Backend, ledger_file: Path
) -> None:
    source.write(heavy(4))
    options = TransferOptions(batch_bytes=SMALL)
    with pytest.raises(Killed):
        move(source, Through(target, write=Times(2, Killed())), options, ledger_file=ledger_file)
    report = move(source, target, options, ledger_file=ledger_file, restart=True)
    assert not report.resumed
    assert counts(report, "written", "identical") == (2, 2)


def test_a_target_that_lost_what_was_copied_is_noticed(
    source: Backend, target: Backend, ledger_file: Path
) -> None:
    source.write(heavy(4))
    options = TransferOptions(batch_bytes=SMALL)
    with pytest.raises(Killed):
        move(source, Through(target, write=Times(2, Killed())), options, ledger_file=ledger_file)
    with pytest.raises(SessionConflictError) as caught:
        move(source, named_memory(target.address), options, ledger_file=ledger_file)
    assert "--restart" in (caught.value.hint or "")


def test_two_processes_cannot_work_on_one_job(ledger_file: Path) -> None:
    job = Job("a", "b", "")
    with Ledger(ledger_file, job), pytest.raises(JobError):
        Ledger(ledger_file, job)
    with Ledger(ledger_file, job):
        pass


def test_the_ledger_of_another_job_is_refused(ledger_file: Path) -> None:
    with Ledger(ledger_file, Job("a", "b", "")):
        pass
    with pytest.raises(JobError) as caught:
        Ledger(ledger_file, Job("a", "c", ""))
    assert "another job" in caught.value.message


def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(ledger_file: Path) -> None:
    ledger_file.parent.mkdir(parents=True)
    ledger_file.write_text("my diary\n" * 100)
    with pytest.raises(JobError):
        Ledger(ledger_file, Job("a", "b", ""))
    assert ledger_file.read_text() == "my diary\n" * 100


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agnocli.transfer.reading.PAUSES", (0.0,) * 4)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("where", ["write", "written", "scan", "read"])
def test_an_end_that_was_away_for_a_moment_is_asked_again(
    source: Backend, target: Backend, where: str
) -> None:
    source.write([*heavy(5), *many(10)])
    away = Times(3, BackendUnavailableError("the server is restarting"), times=3)
    ends: list[Any] = [source, target]
    ends[where != "scan"] = Through(ends[where != "scan"], **{where: away})
    report = move(ends[0], ends[1], TransferOptions(batch_bytes=SMALL))
    assert report.count("verified").sessions == 15
    assert everything(target) == given(*heavy(5), *many(10), by=target)


@pytest.mark.usefixtures("impatient")
def test_an_end_that_stays_away_is_an_error_and_what_was_copied_stays(
    source: Backend, target: Backend, ledger_file: Path
) -> None:
    source.write(heavy(4))
    options = TransferOptions(batch_bytes=SMALL)
    away = Times(2, BackendUnavailableError("gone"), times=99)
    with pytest.raises(BackendUnavailableError):
        move(source, Through(target, write=away), options, ledger_file=ledger_file)
    assert len(everything(target)) == 2
    report = move(source, target, options, ledger_file=ledger_file)
    assert report.resumed
    assert report.count("verified").sessions == 4


def test_a_session_nobody_can_read_is_told_of_and_the_rest_goes_on(
    source: Backend, target: Backend
) -> None:
    source.write(many(12))

    def broken(what: Any) -> None:
        if (what if isinstance(what, str) else what.session.session_id) == "s005":
            raise CodecError("not JSON")

    class Broken(Through):
        def scan(self, **how: Any) -> Any:
            return super().scan(**how)

    kept = Kept()
    report = move(Broken(source, scan=broken, read=broken), target, quarantine=kept)
    aside = SetAside("s005", "session", "cannot be read: not JSON", unreadable=True)
    assert report.set_aside == [aside]
    assert kept.raw == [("s005", [], "session", "cannot be read: not JSON")]
    assert report.count("verified").sessions == 11
    assert set(everything(target)) == {one.session.session_id for one in many(12)} - {"s005"}


def test_a_source_that_changes_meanwhile_is_copied_again(source: Backend, target: Backend) -> None:
    source.write(many(10))

    def change(result: Any) -> None:
        if "s001" in result.written:
            source.append_run(sample_run("s001", 77))
            source.write([sample_bundle("new", 2)])

    report = move(source, Through(target, written=change))
    assert everything(target) == everything(source)
    assert report.count("verified").sessions == 11
    assert not report.unsettled
    assert not report.is_mismatch


def test_a_source_that_never_rests_is_told_of(source: Backend, target: Backend) -> None:
    source.write(many(3))
    numbers = iter(range(100, 200))

    def change(result: Any) -> None:
        source.append_run(sample_run("s001", next(numbers)))

    report = move(source, Through(target, written=change))
    assert report.unsettled == ["s001"]
    assert report.is_partial


def test_a_copy_that_differs_from_what_was_written_is_a_mismatch(
    source: Backend, target: Backend
) -> None:
    source.write(many(10))

    def spoil(result: Any) -> None:
        target.update("s002", {"agent_id": "someone else"})
        target.delete(["s003"])
        target.delete_runs("s005", ["s005.run-0"])

    report = move(source, Through(target, written=spoil))
    assert {one.session_id: one.where for one in report.different} == {
        "s002": "agent_id",
        "s005": "updated_at",
    }
    assert report.missing == ["s003"]
    assert report.is_mismatch
    assert report.count("verified").sessions == 7


def test_counting_finds_what_is_missing_and_sampling_looks_at_some(
    source: Backend, target: Backend
) -> None:
    source.write(many(10))

    def spoil(result: Any) -> None:
        target.delete(["s003"])
        target.delete_runs("s005", ["s005.run-0"])

    report = move(source, Through(target, written=spoil), TransferOptions(verify=Verify.COUNT))
    assert report.missing == ["s003"]
    assert [one.session_id for one in report.different] == ["s005"]
    fine = named_memory("memory://fine")
    assert not move(source, fine, TransferOptions(verify=Verify.SAMPLE)).is_mismatch
    report = move(source, named_memory("memory://x"), TransferOptions(verify=Verify.NONE))
    assert counts(report, "written", "verified") == (10, 0)


def test_a_session_bigger_than_what_is_held_passes_in_a_stream(
    source: Backend, target: Backend
) -> None:
    text = "y" * 2**20
    runs = tuple(
        sample_run("big", number, run_data=document({"n": number, "content": text}))
        for number in range(HELD_BYTES // 2**20 + 2)
    )
    big = SessionBundle(sample_session("big"), runs)
    source.write([*many(3), big, sample_bundle("z", 2)])
    report = move(source, target)
    assert report.count("verified").sessions == 5
    assert everything(target) == given(*many(3), big, sample_bundle("z", 2), by=target)


@pytest.mark.usefixtures("impatient")
def test_a_streamed_session_is_read_again_when_the_sink_was_away(
    source: Backend, target: Backend
) -> None:
    text = "y" * 2**20
    runs = tuple(
        sample_run("big", number, run_data=document({"n": number, "content": text}))
        for number in range(HELD_BYTES // 2**20 + 2)
    )
    source.write([SessionBundle(sample_session("big"), runs)])

    class Fails(Through):
        failed = False

        def write(self, bundles: Any, policy: ConflictPolicy = ConflictPolicy.ERROR) -> Any:
            held = [SessionBundle(session, tuple(runs)) for session, runs in bundles]
            if not self.failed:
                self.failed = True
                raise BackendUnavailableError("restarting")
            return super().write(held, policy)

    report = move(source, Fails(target))
    assert report.count("verified").sessions == 1
    assert everything(target) == everything(source)


def test_a_streamed_session_that_is_refused_is_set_aside_whole(
    source: Backend, target: Backend
) -> None:
    text = "y" * 2**20
    runs = [
        sample_run("big", number, run_data=document({"n": number, "content": text}))
        for number in range(HELD_BYTES // 2**20 + 2)
    ]
    runs[-1] = replace(runs[-1], run_data=document({"content": "a\0b"}))
    big = SessionBundle(sample_session("big"), tuple(runs))
    source.write([big, sample_bundle("small")])
    kept = Kept()
    report = move(source, Strict(target, NOTHING_ODD), quarantine=kept)
    assert [one.session_id for one in report.set_aside] == ["big"]
    assert kept.bundles[0][0] == big
    assert set(everything(target)) == {"small"}
    changed = move(source, Strict(target, NOTHING_ODD), TransferOptions(on_nul=ValuePolicy.STRIP))
    assert changed.count("verified").sessions == 2
    assert list(target.runs("big"))[-1].run_data == document({"content": "ab"})


def test_bytes_are_those_of_the_documents_in_every_count(source: Backend, target: Backend) -> None:
    source.write(many(5))
    report = move(source, target)
    documents = [
        len(one)
        for _, (session, runs) in source.scan()
        for one in (
            *(getattr(session, name) for name in SESSION_DOCUMENTS),
            *(run.run_data for run in runs),
        )
        if one is not None
    ]
    found = {name: report.count(name).bytes for name in ("read", "written", "verified")}
    assert found == dict.fromkeys(found, sum(documents))


def test_progress_counts_only_what_is_there(source: Backend, target: Backend) -> None:
    source.write(heavy(4))
    seen: list[tuple[Progress, int]] = []

    def look(progress: Progress) -> None:
        seen.append((progress, len(everything(target))))

    move(source, target, TransferOptions(batch_bytes=SMALL), observer=look)
    copied = [(one.sessions, there) for one, there in seen if one.phase is Phase.COPY]
    assert copied == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert seen[-1][0].phase is Phase.VERIFY
    assert seen[-1][0].sessions == seen[-1][0].total == 4


def test_a_place_is_not_copied_onto_itself(source: Backend) -> None:
    with pytest.raises(UsageError):
        move(source, source)


def test_an_error_leaves_no_thread_behind(source: Backend, target: Backend) -> None:
    source.write(heavy(40))
    before = active_count()
    with pytest.raises(RecordRejectedError), pytest.MonkeyPatch.context() as patch:
        error = RecordRejectedError("nobody", "x", "y")
        patch.setattr("agnocli.transfer.copying.Copier._fits", Times(0, error, times=99))
        move(source, Through(target, write=Times(2, error, times=99)))
    assert active_count() == before


# side by side


class Watched:
    """Counts the writes that go on at once; from the second on each waits for another beside it."""

    def __init__(self) -> None:
        self.number, self.going_on, self.most = 0, 0, 0
        self._lock, self._pair = Lock(), Barrier(2)

    def begin(self, bundles: list[SessionBundle]) -> None:
        with self._lock:
            self.number += 1
            number = self.number
            self.going_on += 1
            self.most = max(self.most, self.going_on)
        if number > 1 and all(isinstance(one.runs, tuple) for one in bundles):
            self._pair.wait(30)

    def end(self, result: object) -> None:
        with self._lock:
            self.going_on -= 1

    def over(self, backend: Backend) -> Through:
        return Through(backend, write=self.begin, written=self.end)


def test_two_batches_are_written_at_once_but_the_first_is_written_alone(
    source: Backend, target: Backend
) -> None:
    source.write(heavy(5))
    watched = Watched()
    sinks = [watched.over(target), watched.over(target)]
    seen: list[int] = []
    report = move(
        source,
        sinks[0],
        TransferOptions(batch_bytes=SMALL),
        beside=sinks[1:],
        observer=lambda one: seen.append(one.sessions),
    )
    assert watched.most == 2
    assert counts(report, "read", "written", "verified") == (5, 5, 5)
    assert everything(target) == everything(source)
    assert 5 in seen


def test_a_batch_that_fails_takes_none_with_it_that_was_written_beside_it(
    source: Backend, target: Backend, ledger_file: Path
) -> None:
    source.write(heavy(3))
    both_there = Barrier(2)

    def fail(bundles: list[SessionBundle]) -> None:
        if bundles[0].session.session_id != "h00":
            both_there.wait(30)
        if bundles[0].session.session_id == "h01":
            raise RecordRejectedError("nobody", "x", "y")

    options = TransferOptions(batch_bytes=SMALL)
    sinks = [Through(target, write=fail), Through(target, write=fail)]
    with pytest.MonkeyPatch.context() as patch:
        error = LayoutError("broken")
        patch.setattr("agnocli.transfer.copying.Copier._fits", Times(0, error, times=99))
        with pytest.raises(LayoutError):
            move(source, sinks[0], options, beside=sinks[1:], ledger_file=ledger_file)
    with Ledger(ledger_file, job_of(source, target, options)) as ledger:
        assert [one.session_id for one in ledger.entries()] == ["h00", "h02"]
    report = move(source, target, options, ledger_file=ledger_file)
    assert counts(report, "written", "verified") == (3, 3)


def test_a_stream_is_written_while_nothing_else_is(source: Backend, target: Backend) -> None:
    runs = [
        sample_run("h02x", number, run_data=document({"content": "y" * 2**20}))
        for number in range(HELD_BYTES // 2**20 + 1)
    ]
    source.write([*heavy(5), SessionBundle(sample_session("h02x"), tuple(runs))])
    alone: list[int] = []
    watched = Watched()

    def begin(bundles: Any) -> None:
        watched.begin(bundles)
        if bundles[0].session.session_id == "h02x":
            alone.append(watched.going_on)

    def sink() -> Through:
        return Through(target, write=begin, written=watched.end)

    move(source, sink(), TransferOptions(batch_bytes=SMALL), beside=[sink()])
    assert alone == [1]
    assert everything(target) == everything(source)
