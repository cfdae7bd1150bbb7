"""Every pair of backends, with sessions that storage is known to lose. AGNOCLI_TEST_SESSIONS sets how many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from agnocli.abc import Backend, Capabilities
from agnocli.records import SessionBundle
from agnocli.testing.records import Whole, contents, whole
from agnocli.testing.tricky import holdable, tricky_sessions
from agnocli.transfer.batching import SMALLEST
from agnocli.transfer.options import TransferOptions, Verify
from tests.transfer.moving import Kept, move
from tests.transfer.places import KINDS, Place, place

SESSIONS = int(os.environ.get("AGNOCLI_TEST_SESSIONS", "130"))
BATCH = 50

PAIRS = [(one, other) for one in KINDS for other in KINDS]


@pytest.fixture(params=PAIRS, ids=[f"{one} to {other}" for one, other in PAIRS])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    one, other = request.param
    with place("one", one, tmp_path) as source, place("other", other, tmp_path) as target:
        yield source, target


def common(*places: Backend) -> Capabilities:
    """What all of these keep."""
    every = [one.capabilities for one in places]
    return replace(
        every[0],
        keeps_json_text=all(one.keeps_json_text for one in every),
        keeps_null_kind=all(one.keeps_null_kind for one in every),
        keeps_expiry=all(one.keeps_expiry for one in every),
    )


def fill(backend: Backend) -> list[SessionBundle]:
    """All that it can hold."""
    held = [one for one in tricky_sessions(SESSIONS) if holdable(one, backend.capabilities)]
    for start in range(0, len(held), BATCH):
        backend.write(held[start : start + BATCH])
    return held


def wanted(bundles: list[SessionBundle], can: Capabilities) -> dict[str, Whole]:
    return {one.session.session_id: whole(one, can) for one in bundles}


def test_what_the_target_can_hold_arrives_unchanged_and_comes_back_unchanged(
    pair: tuple[Place, Place], tmp_path: Path
) -> None:
    with pair[0].open() as source, pair[1].open() as target, pair[1].open() as second:
        source.setup()
        target.setup()
        held = fill(source)
        kept = Kept()
        beside = [second] if target.capabilities.writes_beside else []
        small = TransferOptions(batch_bytes=SMALLEST)
        report = move(source, target, small, beside=beside, quarantine=kept)
        fits = [one for one in held if holdable(one, target.capabilities)]
        refused = {one.session.session_id for one in held} - set(wanted(fits, common(target)))
        assert {one.session_id for one in report.set_aside} == refused
        assert {bundle.session.session_id for bundle, _, _ in kept.bundles} == refused
        assert not report.is_mismatch
        assert report.count("verified").sessions == len(fits)
        can = common(source, target)
        assert contents(target, can) == wanted(fits, can)
        with place("back", pair[0].kind, tmp_path) as again, again.open() as back:
            report = move(target, back, TransferOptions(verify=Verify.NONE))
            assert report.set_aside == []
            assert contents(back, can) == wanted(fits, can)
