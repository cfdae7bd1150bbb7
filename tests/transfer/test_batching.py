"""How sessions are put together on their way."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, active_count

import pytest

from agnocli.records import SessionBundle
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session
from agnocli.transfer.batching import (
    LARGEST,
    PARCEL_BYTES,
    SMALLEST,
    Load,
    ReadAhead,
    Sizer,
    batches,
    parcels,
)


def weighing(session_id: str, size: int) -> SessionBundle:
    run = sample_run(session_id, 0, run_data=document({"content": "x" * size}))
    return SessionBundle(sample_session(session_id), (run,))


def lazy(session_id: str) -> SessionBundle:
    return SessionBundle(sample_session(session_id), iter([sample_run(session_id, 0)]))


def ids(bundles: list[SessionBundle]) -> list[str]:
    return [one.session.session_id for one in bundles]


def test_parcels_hold_all_in_order_and_are_bounded() -> None:
    given = [weighing(f"s{number}", 40_000) for number in range(40)]
    found = list(parcels(map(Load, given)))
    assert [one for parcel in found for one in ids(parcel.bundles)] == ids(given)
    assert all(parcel.bytes < PARCEL_BYTES + 50_000 for parcel in found)
    assert len(found) == 6


def test_a_stream_is_alone_in_its_parcel_and_batch() -> None:
    given = [sample_bundle("a"), sample_bundle("b"), lazy("c"), lazy("d"), sample_bundle("e")]
    assert [ids(one.bundles) for one in parcels(map(Load, given))] == [
        ["a", "b"],
        ["c"],
        ["d"],
        ["e"],
    ]
    given[2:4] = [lazy("c"), lazy("d")]
    with ReadAhead(iter(given), Load) as ahead:
        found = [(ids(one.bundles), one.lazy) for one in batches(ahead, Sizer(LARGEST))]
    assert found == [(["a", "b"], False), (["c"], True), (["d"], True), (["e"], False)]


def test_nothing_is_drawn_while_a_stream_is_out() -> None:
    drawn: list[str] = []

    def source() -> Iterator[SessionBundle]:
        for name in ("a", "b", "c"):
            drawn.append(name)
            yield lazy(name)

    with ReadAhead(source(), Load) as ahead:
        for number, parcel in enumerate(ahead):
            assert len(list(parcel.bundles[0].runs)) == 1
            assert len(drawn) == number + 1


def test_no_more_than_some_bytes_are_drawn_ahead() -> None:
    drawn, done = [], Event()

    def source() -> Iterator[SessionBundle]:
        for number in range(100):
            drawn.append(number)
            if len(drawn) == 30:
                done.set()
            yield weighing(f"s{number}", PARCEL_BYTES)

    with ReadAhead(source(), Load, limit=10 * PARCEL_BYTES) as ahead:
        steps = iter(ahead)
        next(steps)
        for _ in range(19):
            assert len(drawn) < 35
            next(steps)
        assert done.wait(60)
    assert len(drawn) < 40


def test_an_error_comes_after_what_was_drawn_before_it() -> None:
    def source() -> Iterator[SessionBundle]:
        yield sample_bundle("a")
        raise ValueError("the source broke")

    seen: list[str] = []
    with pytest.raises(ValueError, match="the source broke"), ReadAhead(source(), Load) as ahead:
        for parcel in ahead:
            seen += ids(parcel.bundles)
    assert seen == []  # the parcel was not full: it never left


def test_leaving_early_closes_the_source_and_ends_the_thread() -> None:
    closed = Event()

    def source() -> Iterator[SessionBundle]:
        try:
            for number in range(1000):
                yield weighing(f"s{number}", PARCEL_BYTES)
        finally:
            closed.set()

    before = active_count()
    with ReadAhead(source(), Load) as ahead:
        next(iter(ahead))
    assert closed.is_set()
    assert active_count() == before


def test_batches_grow_while_the_sink_is_quick_and_shrink_when_it_is_slow() -> None:
    sizer = Sizer(4 * 2**20)
    sizer.took(0.01)
    assert sizer.bytes == 5 * 2**20
    sizer.took(0.3)
    assert sizer.bytes == 5 * 2**20
    sizer.took(2.0)
    assert sizer.bytes == 5 * 2**19
    for _ in range(50):
        sizer.took(0.01)
    assert sizer.bytes == LARGEST
    for _ in range(50):
        sizer.took(9.0)
    assert sizer.bytes == SMALLEST
    assert Sizer(1).bytes == SMALLEST
