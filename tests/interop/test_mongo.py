"""We and the real agno on one MongoDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from agnocli import codec
from agnocli.records import RUN_COLUMNS
from agnocli.testing.openai_server import Answer, tool_call
from tests.harness import mongo, mongo_replica_set
from tests.interop.conftest import Serve
from tests.interop.sides import Ours, RealAgno, said

OPTIONS: dict[str, Any] = {"add_history_to_context": True, "num_history_runs": 20}
Raw = Database[dict[str, Any]]


class InMongo(Ours):
    """Our command line on a MongoDB."""

    def __init__(self, harness: mongo.Harness, home: Path) -> None:
        super().__init__(home / "unused", home)
        self.backend = f"{harness.url}&db_name={harness.database}"

    def command(self, *arguments: str) -> list[str]:
        command = super().command(*arguments)
        command[command.index("-b") + 1] = self.backend
        return command


@pytest.fixture(params=[mongo.Harness, mongo_replica_set.Harness], ids=["alone", "replica-set"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[mongo.Harness]:
    found: mongo.Harness = request.param(tmp_path)
    yield found
    found.close()


@pytest.fixture
def place(harness: mongo.Harness) -> tuple[str, str]:
    return harness.url, harness.database


@pytest.fixture
def raw(harness: mongo.Harness) -> Iterator[Raw]:
    with harness.client() as client:
        yield client[harness.database]


@pytest.fixture
def ours(harness: mongo.Harness, tmp_path: Path) -> InMongo:
    home = tmp_path / "home"
    home.mkdir()
    return InMongo(harness, home)


def turn(number: int) -> list[tuple[str, str]]:
    return [("user", f"question {number} ☕"), ("assistant", f"answer {number} {{x}}")]


def test_we_it_we_it(
    agno_3: RealAgno, ours: InMongo, place: tuple[str, str], raw: Raw, serve: Serve
) -> None:
    server = serve(*(Answer(f"answer {n} {{x}}", usage=(5, 2)) for n in range(4)))
    past: list[tuple[str, str]] = []
    for n in range(4):
        words = f"question {n} ☕"
        if n % 2:
            agno_3("in_mongo.run", place, server.base_url, "s1", [words], **OPTIONS)
        else:
            ours.chat("s1", words, at=server.base_url)
        assert said(server.requests[n]) == [*past, ("user", words)]
        past += turn(n)
    assert agno_3("in_mongo.history", place, "s1") == [[role, text] for role, text in past]
    found = ours.inspect("s1")
    assert [(m["role"], m["content"]) for run in found["runs"] for m in run["messages"]] == past
    assert found["session_data"]["session_metrics"]["total_tokens"] == 28
    order = raw.agno_runs.find({"session_id": "s1"}).sort("created_at")
    assert sorted(one["run_index"] for one in order) == [0, 1, 2, 3]
    assert ours.list()["s1"]["runs"] == 4
    assert agno_3.warnings == []


def test_our_documents_have_the_fields_and_kinds_of_its_own(
    agno: RealAgno, ours: InMongo, place: tuple[str, str], raw: Raw, serve: Serve
) -> None:
    server = serve(Answer("ours"), Answer("its"))
    ours.chat("our", "Hi", at=server.base_url)
    agno("in_mongo.run", place, server.base_url, "its", ["Hi"])
    kinds = []
    for session_id in ("our", "its"):
        where = {"session_id": session_id}
        session, run = raw.agno_sessions.find_one(where), raw.agno_runs.find_one(where)
        assert session is not None
        assert run is not None
        assert {*run} == {"_id", *RUN_COLUMNS}
        kinds.append([{name: type(value) for name, value in one.items()} for one in (session, run)])
    assert kinds[0] == kinds[1]
    indexes = [raw[name].index_information() for name in ("agno_sessions", "agno_runs")]
    agno("in_mongo.session", place, "our")
    assert indexes == [raw[name].index_information() for name in ("agno_sessions", "agno_runs")]


def test_it_reads_our_session_whole(
    agno_3: RealAgno, ours: InMongo, place: tuple[str, str], serve: Serve
) -> None:
    server = serve(Answer("one"), Answer("two"))
    ours.chat("s1", "first", at=server.base_url, arguments=("--name", "Tea", "--user", "alice"))
    ours.chat("s1", "second", at=server.base_url, arguments=("--user", "alice"))
    theirs, own = agno_3("in_mongo.session", place, "s1"), ours.inspect("s1")
    assert theirs["class"] == "AgentSession"
    assert (theirs["user_id"], theirs["agent_id"]) == ("alice", "assistant")
    for name in ("session_data", "agent_data", "created_at", "updated_at"):
        assert theirs[name] == own[name]
    spoken = [[m["content"] for m in run["messages"]] for run in theirs["runs"]]
    assert spoken == [["first", "one"], ["second", "two"]]


def test_name_and_state_survive_each_other(
    agno: RealAgno, ours: InMongo, place: tuple[str, str], serve: Serve
) -> None:
    add = tool_call("add_item", {"item": "milk"})
    server = serve(
        Answer("Hello"),
        Answer("", tool_calls=[add], finish_reason="tool_calls"),
        Answer("Added"),
        Answer("Milk"),
    )
    ours.chat("s1", "Hi there", at=server.base_url)
    agno("in_mongo.run", place, server.base_url, "s1", ["Add milk"], tools=["add_item"])
    ours("sessions", "rename", "s1", "Shopping")
    ours.chat("s1", "What is on it?", at=server.base_url)
    data = ours.inspect("s1")["session_data"]
    assert data["session_name"] == "Shopping"
    assert data["session_state"] == {"items": ["milk"]}
    agno("in_mongo.rename", place, "s1", "Renamed")
    assert ours.list()["s1"]["name"] == "Renamed"
    ours("sessions", "delete", "s1", "--yes")
    assert agno("in_mongo.session", place, "s1") is None


def test_sessions_of_agno_2_are_read_continued_and_migrated(
    agno: RealAgno,
    agno_2: RealAgno,
    ours: InMongo,
    place: tuple[str, str],
    raw: Raw,
    serve: Serve,
) -> None:
    server = serve(*(Answer(f"answer {n} {{x}}") for n in range(4)))
    where = {"session_id": "s1"}
    for n in (0, 1):
        agno_2("in_mongo.run", place, server.base_url, "s1", [f"question {n} ☕"], **OPTIONS)
    assert len((raw.agno_sessions.find_one(where) or {})["runs"]) == 2
    assert ours.list()["s1"]["runs"] == 2
    ours.chat("s1", "question 2 ☕", at=server.base_url)
    past = [pair for n in (0, 1, 2) for pair in turn(n)]
    assert said(server.requests[2]) == past[:-1]
    assert len((raw.agno_sessions.find_one(where) or {})["runs"]) == 2
    agno("in_mongo.run", place, server.base_url, "s1", ["question 3 ☕"], **OPTIONS)
    assert said(server.requests[3])[:-1] == past
    before = ours.inspect("s1")
    agno("in_mongo.migrate", place)
    assert raw.agno_runs.count_documents(where) == 4
    after = ours.inspect("s1")
    assert [codec.line(run) for run in after["runs"]] == [codec.line(run) for run in before["runs"]]
    assert ours.list()["s1"]["runs"] == 4
