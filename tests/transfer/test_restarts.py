"""A database server that goes away in the middle of a migration and comes back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from agnocli.abc import Backend
from agnocli.db.mysql import MySQLDb
from agnocli.db.postgres import PostgresDb
from agnocli.transfer.options import TransferOptions
from tests.harness.servers import OwnServer
from tests.transfer.moving import Through, move
from tests.transfer.test_kills import SESSIONS, bundles

KINDS = {"postgres": (PostgresDb, signal.SIGINT), "mysql": (MySQLDb, signal.SIGTERM)}
"""With what ends such a server in good order, its clients notwithstanding."""

Server = tuple[OwnServer, signal.Signals, Backend]


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    kind, how = KINDS[request.param]
    own = OwnServer(request.param)
    try:
        with kind(own.url) as backend:
            yield own, how, backend
    finally:
        own.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", ["write", "written", "read"])
def test_a_server_that_is_restarted_meanwhile_costs_nothing(
    server: Server, source: Backend, end: str
) -> None:
    own, how, target = server
    source.write(bundles())
    calls = iter(range(1000))

    def restart(*arguments: Any) -> None:
        if next(calls) == 3:
            own.restart(how)

    options = TransferOptions(batch_bytes=256 * 1024)
    report = move(source, Through(target, **{end: restart}), options)
    assert report.count("verified").sessions == SESSIONS
    assert not report.is_mismatch
    assert sorted(target.ids()) == sorted(source.ids())
