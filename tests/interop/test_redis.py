"""We and the real agno on one Redis server, and on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from agnocli import codec
from agnocli.agent.history import wire_messages
from agnocli.db.redis import RedisDb
from agnocli.testing.openai_server import Answer, tool_call
from agnocli.testing.records import document
from tests.harness.redis_server import the_cluster, the_server
from tests.interop.conftest import Serve
from tests.interop.sides import Ours, RealAgno, said

OPTIONS: dict[str, Any] = {"add_history_to_context": True, "num_history_runs": 20}


class OursOnRedis(Ours):
    def __init__(self, url: str, prefix: str, home: Path) -> None:
        super().__init__(home / "none", home)
        self.url, self.prefix = url, prefix

    def command(self, *arguments: str) -> list[str]:
        command = super().command(*arguments)
        command[4] = self.url if self.prefix == "cluster" else f"{self.url}?prefix={self.prefix}"
        return command

    @property
    def place(self) -> tuple[str, str]:
        return self.url, self.prefix

    def open(self) -> RedisDb:
        prefix = "agno" if self.prefix == "cluster" else self.prefix
        return RedisDb(db_url=self.url, db_prefix=prefix)


@pytest.fixture(params=["one server", "cluster"])
def ours(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OursOnRedis]:
    (home := tmp_path / "home").mkdir()
    with ExitStack() as stack:
        if request.param == "cluster":
            ours = OursOnRedis(the_cluster(), "cluster", home)
            client: Any = redis.RedisCluster.from_url(ours.url)
        else:
            ours = OursOnRedis(the_server(), f"interop-{uuid4().hex[:8]}", home)
            client = redis.Redis.from_url(ours.url)
        stack.enter_context(client)
        start = "agno" if ours.prefix == "cluster" else ours.prefix
        yield ours
        for key in list(client.scan_iter(match=f"{start}:*")):
            client.delete(key)


on_one_server = pytest.mark.parametrize("ours", ["one server"], indirect=True)


def test_we_it_we_it(agno_3: RealAgno, ours: OursOnRedis, serve: Serve) -> None:
    server = serve(*(Answer(f"answer {n} ☕", usage=(5, 2)) for n in range(4)))
    past: list[tuple[str, str]] = []
    for n in range(4):
        words = f"we or it asks {n} ü"
        if n % 2:
            arguments = (*ours.place, server.base_url, "s1", [words])
            agno_3("on_redis.run", *arguments, **OPTIONS)
        else:
            assert ours.chat("s1", words, at=server.base_url) == f"answer {n} ☕"
        assert said(server.requests[n]) == [*past, ("user", words)]
        past += [("user", words), ("assistant", f"answer {n} ☕")]
    runs = ours.inspect("s1")["runs"]
    assert [(m["role"], m["content"]) for run in runs for m in run["messages"]] == past
    assert agno_3("on_redis.history", *ours.place, "s1") == [list(pair) for pair in past]
    assert agno_3("on_redis.session_ids", *ours.place) == ["s1"] == list(ours.list())
    with ours.open() as db:
        assert [run.run_index for run in db.runs("s1")] == [0, 1, 2, 3]
    assert agno_3.warnings == []


def test_it_reads_what_we_wrote_whole(agno_3: RealAgno, ours: OursOnRedis, serve: Serve) -> None:
    server = serve(Answer("“Hi” ☕"))
    ours.chat("s1", "Zoë?", at=server.base_url, arguments=("--name", "Café", "-u", "zoë"))
    ours("sessions", "rename", "s1", "Tee ☕")
    found = agno_3("on_redis.session", *ours.place, "s1")
    assert (found["class"], found["user_id"]) == ("AgentSession", "zoë")
    assert found["session_data"]["session_name"] == "Tee ☕"
    assert [one["content"] for one in found["runs"][0]["messages"]] == ["Zoë?", "“Hi” ☕"]
    assert agno_3.warnings == []


def test_its_state_and_tools_go_on_with_us(
    agno_3: RealAgno, ours: OursOnRedis, serve: Serve
) -> None:
    call = tool_call("add_item", {"item": "milk"})
    server = serve(
        Answer("", tool_calls=[call], finish_reason="tool_calls"), Answer("Done"), Answer("Yes")
    )
    agno_3("on_redis.run", *ours.place, server.base_url, "s1", ["Add"], tools=["add_item"])
    ours.chat("s1", "Milk?", at=server.base_url)
    assert ours.inspect("s1")["session_data"]["session_state"] == {"items": ["milk"]}
    assert (
        server.requests[2]["messages"][:3]
        == [
            {"role": "user", "content": "Add"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "added milk", "tool_call_id": "call_1"},
        ]
        or codec.line(server.requests[2]["messages"]).count("added milk") == 1
    )


def test_what_either_deletes_is_gone_for_the_other(
    agno: RealAgno, ours: OursOnRedis, serve: Serve
) -> None:
    server = serve(Answer("a"), Answer("b"))
    ours.chat("s1", "one", at=server.base_url)
    agno("on_redis.run", *ours.place, server.base_url, "s2", ["two"])
    ours("sessions", "delete", "s2", "--yes")
    assert agno("on_redis.session", *ours.place, "s2") is None
    assert agno("on_redis.delete", *ours.place, "s1") is True
    assert ours.list() == {}
    assert ours.json("backends", "check")["runs"] == 0


@on_one_server
def test_its_runs_of_agno_2_are_read_before_and_after_it_migrates(
    agno_2: RealAgno, agno: RealAgno, ours: OursOnRedis, serve: Serve
) -> None:
    server = serve(*(Answer(f"answer {n}") for n in range(4)))
    made = agno_2("on_redis.run", *ours.place, server.base_url, "old", ["zero", "one"])
    assert ours.json("backends", "check")["layout"] == "v2"
    assert ours.list()["old"]["runs"] == 2
    ours("sessions", "rename", "old", "Old one")
    ours.chat("old", "two", at=server.base_url)
    asked = [
        ("user", "zero"),
        ("assistant", "answer 0"),
        ("user", "one"),
        ("assistant", "answer 1"),
    ]
    assert said(server.requests[2]) == [*asked, ("user", "two")]
    with ours.open() as db:
        run_ids = [run.run_id for run in db.runs("old")]
    assert run_ids[:2] == [run["run_id"] for run in made]
    for _ in range(2):
        with ours.open() as db:
            assert [run.run_id for run in db.runs("old")] == run_ids
            messages = [(one["role"], one["content"]) for one in wire_messages(db.runs("old"))]
        assert messages == [*asked, ("user", "two"), ("assistant", "answer 2")]
        agno("on_redis.migrate", *ours.place)
    assert ours.list()["old"]["name"] == "Old one"
    assert ours.json("backends", "check")["versions"]["agno_sessions"] == "3.0.0"
    agno("on_redis.run", *ours.place, server.base_url, "old", ["three"], **OPTIONS)
    with ours.open() as db:
        assert [run.run_index for run in db.runs("old")] == [0, 1, 2, 3]
        first = next(db.runs("old")).run_id
        assert db.delete_runs("old", [first]) == 1
        assert [run.run_index for run in db.runs("old", last=9)] == [0, 1, 2]
    contents = [one[1] for one in agno("on_redis.history", *ours.place, "old")]
    assert contents[::2] == ["one", "two", "three"]


@on_one_server
def test_its_keys_and_records_look_like_ours(
    agno: RealAgno, ours: OursOnRedis, serve: Serve
) -> None:
    server = serve(Answer("ü"), Answer("ü"))
    agno("on_redis.run", *ours.place, server.base_url, "its", ["é"], user_id="zoë")
    ours.chat("our", "é", at=server.base_url, arguments=("-u", "zoë"))
    with redis.Redis.from_url(ours.url, decode_responses=True) as client:
        runs = {
            one: client.zrange(f"{ours.prefix}:runs:by_session:{one}", 0, -1)[0]
            for one in ("its", "our")
        }
        keys = {who: set[str]() for who in runs}
        for key in client.scan_iter(match=f"{ours.prefix}:*"):
            members = client.smembers(key) if ":index:" in key else {key}
            for who, run_id in runs.items():
                if any(name in one for name in (who, run_id) for one in members):
                    keys[who].add(key.replace(run_id, "RUN").replace(f":{who}", ":WHO"))
        # agno leaves a run in the set of every status it went through
        assert keys["our"] ^ keys["its"] <= {f"{ours.prefix}:runs:index:status:RUNNING"}
        for what in ("sessions", "runs"):
            names = {"its": "its", "our": "our"} if what == "sessions" else runs
            its, our = (client.get(f"{ours.prefix}:{what}:{names[who]}") for who in ("its", "our"))
            assert list(codec.decode(its)) == list(codec.decode(our))
            assert '"zoë"' in our and "\\u00" not in our


@on_one_server
def test_a_prefix_with_a_colon_is_the_same_to_both(
    agno: RealAgno, ours: OursOnRedis, serve: Serve
) -> None:
    server = serve(Answer("a"))
    prefix = f"{ours.prefix}:"
    agno("on_redis.run", ours.url, prefix, server.base_url, "s1", ["hi"])
    with RedisDb(db_url=ours.url, db_prefix=prefix) as db:
        assert db.get("s1").session_id == "s1"
        db.update("s1", {"metadata": document({"tags": ["x"]})})
    assert agno("on_redis.session", ours.url, prefix, "s1")["metadata"] == {"tags": ["x"]}
