"""get, runs, scan."""

from __future__ import annotations

import random
import threading

import pytest
from msgspec.structs import replace

from agnocli.abc import HELD_BYTES, Backend, SessionQuery
from agnocli.errors import SessionNotFoundError
from agnocli.records import Run, SessionBundle
from agnocli.testing.base_suite import Suite, everything, given, same
from agnocli.testing.records import (
    EPOCH,
    document,
    numbered,
    sample_bundle,
    sample_run,
    sample_session,
    whole,
)

STRANGE_IDS = (
    "Abc",
    "abc",
    "abc ",
    " abc",
    "a%c",
    "a_c",
    "a'c",
    'a"c',
    "a`c",
    "a b",
    "a:c",
    "a/c",
    "a*",
    "a?",
    "[abc]",
    "a\\c",
    "a.c",
    "$set",
    "index:foo",
    "{0}",
    "?",
    "%s",
    ":1",
    "-- x",
    "1",
    "01",
    "1.0",
    "null",
    "\u00e9t\u00e9",
    "e\u0301te\u0301",
    "\N{GRINNING FACE}",
    "\u202eabc",
    "\n",
    "x" * 120,
)


def strange_ids(backend: Backend) -> list[str]:
    """Those that a backend does not refuse."""
    return [
        one for one in STRANGE_IDS if not one.startswith(backend.capabilities.reserved_id_prefixes)
    ]


def tied_runs(session_id: str) -> list[Run]:
    """Runs in their order: without index first, then by index, creation and id; most have a tie."""
    places = [
        (None, 5, "c"),
        (None, 5, "d"),
        (None, 9, "a"),
        (0, 7, "f"),
        (1, 3, "z"),
        (1, 4, "b"),
        (1, 4, "e"),
        (1, 4, "y"),
        (4, 1, "x"),
        (4, 1, "z2"),
        (9, 0, "0"),
    ]
    return [
        sample_run(session_id, run_id=run_id, run_index=index, created_at=EPOCH + created)
        for index, created, run_id in places
    ]


class ReadingSuite(Suite):
    def test_a_session_is_read_as_it_was_written(self, backend: Backend) -> None:
        backend.write([sample_bundle("a"), sample_bundle("b", name="Coffee", user_id=None)])
        assert same(backend.get("a"), sample_session("a"), backend)
        assert same(backend.get("b"), sample_session("b", name="Coffee", user_id=None), backend)

    @pytest.mark.parametrize(
        "unknown", ["", "session", "session-10", "SESSION-1", "session-1 ", "%"]
    )
    def test_an_unknown_id_is_not_found(self, backend: Backend, unknown: str) -> None:
        backend.write([sample_bundle()])
        with pytest.raises(SessionNotFoundError) as caught:
            backend.get(unknown)
        assert caught.value.session_id == unknown

    def test_runs_of_an_unknown_session_are_not_found_at_the_call(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFoundError):
            backend.runs("nobody")
        with pytest.raises(SessionNotFoundError):
            backend.runs("nobody", last=3)

    def test_ids_are_taken_to_the_letter(self, backend: Backend) -> None:
        bundles = [sample_bundle(session_id, 1) for session_id in strange_ids(backend)]
        random.Random(5).shuffle(bundles)
        backend.write(bundles)
        for session_id in strange_ids(backend):
            assert backend.get(session_id).session_id == session_id
            assert numbered(backend.runs(session_id)) == [(0, f"{session_id}.run-0")]
        assert everything(backend) == given(*bundles, by=backend)

    @pytest.mark.parametrize("gone", STRANGE_IDS)
    def test_deleting_an_id_spares_those_that_look_like_it(
        self, backend: Backend, gone: str
    ) -> None:
        if gone not in (ids := strange_ids(backend)):
            return
        backend.write([sample_bundle(session_id, 1) for session_id in ids])
        assert backend.delete([gone]) == 1
        kept = set(ids) - {gone}
        assert set(everything(backend)) == kept
        assert backend.inspect().runs == len(kept)

    def test_a_session_without_runs_has_none(self, backend: Backend) -> None:
        backend.write([sample_bundle("empty", 0), sample_bundle("full", 2)])
        assert list(backend.runs("empty")) == []
        assert list(backend.runs("empty", last=5)) == []

    def test_runs_come_in_order_whatever_order_they_were_written_in(self, backend: Backend) -> None:
        ordered = tied_runs("s")
        for seed in range(5):
            shuffled = random.Random(seed).sample(ordered, len(ordered))
            backend.write([SessionBundle(sample_session("s"), shuffled)])
            assert numbered(backend.runs("s")) == numbered(ordered)
            backend.delete(["s"])

    def test_the_last_runs_are_the_end_of_all_runs(self, backend: Backend) -> None:
        ordered = tied_runs("s")
        shuffled = random.Random(1).sample(ordered, len(ordered))
        backend.write([SessionBundle(sample_session("s"), shuffled), sample_bundle("t", 20)])
        for last in range(len(ordered) + 3):
            wanted = ordered[max(0, len(ordered) - last) :]
            assert numbered(backend.runs("s", last=last)) == numbered(wanted)

    def test_a_scan_yields_every_session_once(self, backend: Backend) -> None:
        bundles = [sample_bundle(f"s{number}", number % 3) for number in range(25)]
        backend.write(random.Random(2).sample(bundles, len(bundles)))
        seen = [bundle.session.session_id for _, bundle in backend.scan()]
        assert sorted(seen) == sorted(f"s{number}" for number in range(25))
        assert everything(backend) == given(*bundles, by=backend)

    def test_a_scan_goes_on_behind_every_one_of_its_cursors(self, backend: Backend) -> None:
        backend.write([sample_bundle(session_id, 1) for session_id in strange_ids(backend)])
        steps = [(cursor, bundle.session.session_id) for cursor, bundle in backend.scan()]
        ids = [session_id for _, session_id in steps]
        for place, (cursor, _) in enumerate(steps):
            rest = [bundle.session.session_id for _, bundle in backend.scan(after=cursor)]
            assert rest == ids[place + 1 :]

    def test_a_scan_goes_on_from_another_backend_and_over_a_deleted_session(
        self, backend: Backend, another: Backend
    ) -> None:
        backend.write([sample_bundle(f"s{number}", 1) for number in range(6)])
        steps = [(cursor, bundle.session.session_id) for cursor, bundle in backend.scan()]
        cursor, seen = steps[2]
        backend.delete([seen])
        rest = [bundle.session.session_id for _, bundle in another.scan(after=cursor)]
        assert rest == [session_id for _, session_id in steps[3:]]

    def test_a_scan_of_many_sessions_is_complete(self, backend: Backend) -> None:
        ids = [f"{number:04}" for number in range(1200)]
        backend.write(sample_bundle(session_id, 0) for session_id in ids)
        assert sorted(bundle.session.session_id for _, bundle in backend.scan()) == ids

    def test_a_scan_reads_only_what_is_wanted(self, backend: Backend) -> None:
        backend.write([sample_bundle(f"s{number}", number % 3) for number in range(9)])
        steps = [(cursor, bundle.session.session_id) for cursor, bundle in backend.scan()]
        asked: list[str] = []

        def wanted(session_id: str) -> bool:
            asked.append(session_id)
            return session_id in {"s1", "s5", "s8"}

        found = dict(backend.scan(wanted=wanted))
        assert [one.session.session_id for one in found.values()] == ["s1", "s5", "s8"]
        assert sorted(asked) == [f"s{number}" for number in range(9)]
        rest = backend.scan(after=next(iter(found)), wanted=wanted)
        assert [bundle.session.session_id for _, bundle in rest] == ["s5", "s8"]
        assert [cursor for cursor, _ in steps if cursor in found] == list(found)
        assert list(backend.scan(wanted=lambda session_id: False)) == []

    def test_the_ids_are_those_of_a_scan_in_its_order(self, backend: Backend) -> None:
        backend.write([sample_bundle(session_id, 1) for session_id in strange_ids(backend)])
        scanned = [bundle.session.session_id for _, bundle in backend.scan()]
        assert list(backend.ids()) == scanned
        assert sorted(scanned) == sorted(strange_ids(backend))

    def test_chosen_sessions_are_read_whole_and_once(self, backend: Backend) -> None:
        bundles = [sample_bundle(f"s{number}", number % 4) for number in range(12)]
        backend.write(bundles)
        found = list(backend.read(["s3", "nobody", "s7", "S3", "s3", "s0"]))
        read = {one.session.session_id: whole(one, backend.capabilities) for one in found}
        assert len(found) == 3
        assert read == given(*(bundles[number] for number in (0, 3, 7)), by=backend)
        assert list(backend.read([])) == []
        assert list(backend.read(["nobody"])) == []

    def test_strange_ids_are_read_together(self, backend: Backend) -> None:
        bundles = [sample_bundle(session_id, 2) for session_id in strange_ids(backend)]
        backend.write(bundles)
        found = backend.read([*STRANGE_IDS, "nobody's", "x" * 121])
        read = {one.session.session_id: whole(one, backend.capabilities) for one in found}
        assert read == given(*bundles, by=backend)

    def test_runs_with_ties_are_read_in_order_beside_other_sessions(self, backend: Backend) -> None:
        tied = [replace(run, run_id=f"t.{run.run_id}") for run in tied_runs("t")]
        shuffled = random.Random(3).sample(tied_runs("s"), len(tied))
        backend.write([sample_bundle("r", 3), SessionBundle(sample_session("s"), shuffled)])
        backend.write([SessionBundle(sample_session("t"), reversed(tied))])
        found = {
            one.session.session_id: numbered(one.runs) for one in backend.read(["t", "r", "s"])
        }
        assert found["s"] == numbered(tied_runs("s"))
        assert found["t"] == numbered(tied)
        scanned = {one.session.session_id: numbered(one.runs) for _, one in backend.scan()}
        assert scanned == found

    def test_many_sessions_are_read_together(self, backend: Backend) -> None:
        ids = [f"{number:04}" for number in range(1200)]
        backend.write(
            sample_bundle(session_id, number % 2) for number, session_id in enumerate(ids)
        )
        found = {one.session.session_id: list(one.runs) for one in backend.read(ids)}
        assert sorted(found) == ids
        assert [len(found[one]) for one in ids] == [number % 2 for number in range(1200)]

    def test_a_scan_is_of_one_moment(self, backend: Backend, another: Backend) -> None:
        bundles = [sample_bundle(f"s{number}", 2) for number in range(8)]
        backend.write(bundles)
        scan = backend.scan()
        seen = [next(scan)[1]]
        another.write([sample_bundle("r0"), sample_bundle("z9")])
        another.append_run(sample_run("s6", 2))
        another.delete(["s7", "s3"])
        seen += [bundle for _, bundle in scan]
        if not backend.capabilities.one_moment:
            assert len({bundle.session.session_id for bundle in seen}) == len(seen)
            return
        found = {one.session.session_id: whole(one, backend.capabilities) for one in seen}
        assert found == given(*bundles, by=backend)

    def test_a_session_too_big_to_be_held_is_handed_over_in_a_stream(
        self, backend: Backend
    ) -> None:
        text = "long " * 200_000
        runs = [
            sample_run("big", number, run_data=document({"n": number, "content": text}))
            for number in range(HELD_BYTES // 1_000_000 + 2)
        ]
        for run in runs:
            backend.write([SessionBundle(sample_session(f"small-{run.run_index}"), ())])
        backend.write([SessionBundle(sample_session("big"), runs), sample_bundle("after", 3)])
        for bundles in (
            backend.read(["small-1", "big", "after"]),
            (one for _, one in backend.scan(wanted=lambda one: not one.startswith("small-2"))),
        ):
            held: dict[str, bool] = {}
            for bundle in bundles:
                session_id = bundle.session.session_id
                held[session_id] = isinstance(bundle.runs, tuple)
                read = [(run.run_index, len(run.run_data)) for run in bundle.runs]
                if session_id == "big":
                    assert [index for index, _ in read] == list(range(len(runs)))
                    assert min(size for _, size in read) > len(text)
            assert held["big"] is False
            assert held["after"] is True
            assert held["small-1"] is True

    def test_a_reading_left_half_way_blocks_neither_writing_nor_closing(
        self, backend: Backend, another: Backend
    ) -> None:
        backend.write([sample_bundle("s", 50), sample_bundle("t", 50)])
        runs, scan = backend.runs("s"), backend.scan()
        assert next(runs).run_index == 0
        _, bundle = next(scan)
        assert next(iter(bundle.runs)).run_index == 0
        assert another.append_run(sample_run("s", 50)).run_index == 50
        assert backend.append_run(sample_run("s", 51)).run_index == 51
        assert backend.delete(["t"]) == 1
        backend.close()
        assert len(list(backend.runs("s"))) == 52

    def test_readers_in_other_threads_do_not_wait_for_a_long_write(self, backend: Backend) -> None:
        backend.write([sample_bundle("there")])
        writing, read = threading.Event(), threading.Event()
        waited: list[bool] = []

        def slow_runs() -> list[Run]:
            writing.set()
            waited.append(read.wait(60))
            return [sample_run("new", 0)]

        def read_something() -> None:
            if writing.wait(60) and list(backend.runs("there")) and _ids(backend):
                read.set()

        reader = threading.Thread(target=read_something)
        reader.start()
        backend.write(SessionBundle(sample_session(one), slow_runs()) for one in ["new"])
        reader.join(60)
        assert waited == [True]
        assert not reader.is_alive()


def _ids(backend: Backend) -> list[str]:
    return [info.session_id for info in backend.find(SessionQuery()).items]
