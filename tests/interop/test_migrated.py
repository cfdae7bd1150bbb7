"""Sessions of the real agno, moved by us: it reads the same from both places."""

from __future__ import annotations

from pathlib import Path

import pytest

from agnocli.db.sqlite import SqliteDb
from agnocli.testing.openai_server import Answer
from tests.benchmarks.test_servers import Store
from tests.interop.conftest import Serve
from tests.interop.sides import RealAgno
from tests.transfer.moving import move

SESSIONS = ("statuses", "spoken")


# on MariaDB agno cannot read what it stores itself: its driver layer takes the JSON there for text
@pytest.mark.parametrize("kind", ["postgres", "redis", "mongo", "sqlite"])
def test_agno_reads_the_same_sessions_from_source_and_target(
    kind: str, agno_3: RealAgno, serve: Serve, tmp_path: Path
) -> None:
    server = serve(Answer("Tea: caf\u00e9 \u2615"), Answer("And \N{GRINNING FACE}"))
    file = str(tmp_path / "agno.db")
    agno_3("kinds.statuses", file, "statuses")
    agno_3("agents.run", file, server.base_url, "spoken", ["What?", "And then?"])
    store = Store(kind, tmp_path / "target")
    try:
        with SqliteDb(file, read_only=True) as source, store.open() as target:
            report = move(source, target)
        assert report.count("verified").sessions == 2
        for session_id in SESSIONS:
            for question in ("moved.session", "moved.history"):
                before = agno_3(question, "sqlite", {"file": file}, session_id)
                assert before
                assert agno_3(question, kind, store.for_agno(), session_id) == before
    finally:
        store.harness.close()


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_a_store_of_agno_2_arrives_as_one_of_agno_3(
    kind: str, agno_2: RealAgno, agno: RealAgno, serve: Serve, tmp_path: Path
) -> None:
    server = serve(Answer("one"), Answer("two"))
    file = str(tmp_path / "agno.db")
    agno_2("agents.run", file, server.base_url, "spoken", ["What?", "And then?"])
    before = agno_2("stored.history", file, "spoken")
    store = Store(kind, tmp_path / "target")
    try:
        with SqliteDb(file, read_only=True) as source, store.open() as target:
            assert source.inspect().layout == "v2"
            assert move(source, target).count("verified").runs == 2
            assert target.inspect().layout == "v3"
        found = agno("moved.history", kind, store.for_agno(), "spoken")
        assert [one[:2] for one in found] == before
    finally:
        store.harness.close()
