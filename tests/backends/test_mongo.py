"""What only MongoDB has: its own layouts and values, servers that fail, users that may not."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.binary import UUID_SUBTYPE
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from msgspec.structs import replace
from pymongo import MongoClient
from pymongo.database import Database

from agnocli import codec
from agnocli.abc import Backend, ConflictPolicy, SessionQuery, Sort
from agnocli.db._mongo import locks, writing
from agnocli.db._mongo.place import LOCKS
from agnocli.db.mongo import MongoDb
from agnocli.errors import (
    BackendReadOnlyError,
    BackendUnavailableError,
    ConfigError,
    LayoutError,
    RecordRejectedError,
    RunNotFoundError,
    SessionConflictError,
)
from agnocli.records import Document, SessionBundle
from agnocli.testing.base_suite import everything, given
from agnocli.testing.concurrency_suite import append_in_process, at_once, in_processes
from agnocli.testing.records import (
    EPOCH,
    document,
    numbered,
    sample_bundle,
    sample_run,
    sample_session,
)
from tests.harness import mongo, mongo_replica_set, mongo_server
from tests.harness.servers import needed

SESSION_FIELDS = [
    "_id", "session_id", "session_type", "agent_id", "user_id", "agent_data", "session_data",
    "summary", "metadata", "created_at", "updated_at",
]  # fmt: skip
RUN_FIELDS = [
    "_id", "run_id", "session_id", "run_type", "agent_id", "team_id", "workflow_id", "user_id",
    "parent_run_id", "status", "run_index", "run_data", "created_at", "updated_at",
]  # fmt: skip


@pytest.fixture(params=[mongo.Harness, mongo_replica_set.Harness], ids=["alone", "replica-set"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[mongo.Harness]:
    found: mongo.Harness = request.param(tmp_path)
    yield found
    found.close()


@pytest.fixture
def backend(harness: mongo.Harness) -> Iterator[MongoDb]:
    with harness.open() as backend:
        yield backend


@pytest.fixture
def raw(harness: mongo.Harness) -> Iterator[Database[dict[str, Any]]]:
    """The database, past our own code."""
    with harness.client() as client:
        yield client[harness.database]


def in_blob(number: int, **changes: object) -> dict[str, object]:
    return {
        "run_id": f"old-{number}",
        "agent_id": "assistant",
        "status": "COMPLETED",
        "created_at": EPOCH + number,
        "messages": [{"role": "user", "content": f"question {number}"}],
        **changes,
    }


def of_agno_2(session_id: str = "v2", **fields: object) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "session_type": "agent",
        "agent_id": "assistant",
        "user_id": None,
        "runs": [in_blob(0), in_blob(1), {"no": "id"}],
        "session_data": {"session_name": "Old"},
        "created_at": EPOCH,
        "updated_at": EPOCH + 9,
        **fields,
    }


class TestLayout:
    def test_documents_and_indexes_are_agnos(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        backend.write([sample_bundle("s", 1)])
        (session,), (run,) = raw.agno_sessions.find(), raw.agno_runs.find()
        assert list(session) == SESSION_FIELDS
        assert list(run) == RUN_FIELDS
        assert isinstance(session["_id"], ObjectId)
        assert session["session_data"] == {"session_name": "Tea", "session_state": {"cups": 2}}
        assert session["summary"] is None
        assert set(raw.agno_sessions.index_information()) == {
            "_id_", "session_id_1", "user_id_1", "session_type_1", "agent_id_1", "team_id_1",
            "workflow_id_1", "created_at_1", "updated_at_1",
        }  # fmt: skip
        assert set(raw.agno_runs.index_information()) == {
            "_id_", "run_id_1", "session_id_1", "run_type_1", "agent_id_1", "team_id_1",
            "workflow_id_1", "user_id_1", "parent_run_id_1", "status_1", "created_at_1",
            "updated_at_1", "session_id_1_run_index_1",
        }  # fmt: skip
        unique = [raw.agno_sessions.index_information()["session_id_1"].get("unique")]
        unique.append(raw.agno_runs.index_information()["run_id_1"].get("unique"))
        assert unique == [True, True]

    def test_a_renamed_collection_takes_its_runs_along(self, harness: mongo.Harness) -> None:
        with MongoDb(
            db_url=harness.url, db_name=harness.database, collection_name="chats"
        ) as backend:
            backend.write([sample_bundle("s", 1)])
            assert set(backend.inspect().tables) == {"chats", "chats_runs"}

    def test_nothing_of_an_edit_is_left_in_a_document(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        backend.write([sample_bundle("s", 3)])
        backend.append_run(sample_run("s", 3))
        backend.delete_runs("s", ["s.run-0"])
        (session,) = raw.agno_sessions.find()
        assert list(session) == SESSION_FIELDS
        assert raw[LOCKS].count_documents({}) == 0

    def test_key_order_and_kinds_of_numbers_are_kept(self, backend: MongoDb) -> None:
        text = b'{"z": 1, "a": 1.0, "m": {"b": 9007199254740993, "a": -0.0}, "B": [2147483648]}'
        backend.write([SessionBundle(sample_session("s", metadata=Document(text)), ())])
        assert backend.get("s").metadata == text

    def test_an_unknown_field_and_old_runs_survive_every_edit(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        kept: dict[str, Any] = {"tenant": {"_ref": ObjectId()}, "runs": [in_blob(0)]}
        raw.agno_sessions.insert_one(of_agno_2(**kept))
        backend.update("v2", {"user_id": "bob"}, {"user_id": None})
        backend.append_run(sample_run("v2", 1))
        stored = raw.agno_sessions.find_one() or {}
        assert {name: stored[name] for name in kept} == kept

    @pytest.mark.parametrize("name", ["_id", "runs", "$set", "x\0y", ""])
    def test_a_column_that_no_field_can_be_is_rejected(self, backend: MongoDb, name: str) -> None:
        session = sample_session("s", extra={name: "x"})
        with pytest.raises(RecordRejectedError):
            backend.write([SessionBundle(session, ())])
        assert everything(backend) == {}

    def test_what_is_not_unique_is_not_written_to(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        raw.agno_sessions.insert_many([of_agno_2(), of_agno_2()])
        with pytest.raises(LayoutError, match="session_id is not unique"):
            backend.write([sample_bundle()])

    def test_an_index_of_another_kind_is_left_as_it_is(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        raw.agno_sessions.create_index("user_id", sparse=True)
        backend.write([sample_bundle()])
        found = raw.agno_sessions.index_information()
        assert found["user_id_1"]["sparse"]
        assert "updated_at_1" in found


class TestOldLayouts:
    def test_runs_inside_a_session_are_read_as_agno_reads_them(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        raw.agno_sessions.insert_one(of_agno_2())
        assert numbered(backend.runs("v2")) == [(0, "old-0"), (1, "old-1")]
        assert numbered(backend.runs("v2", last=1)) == [(1, "old-1")]
        (info,) = backend.find(SessionQuery()).items
        assert (info.runs, info.status, info.name) == (2, "COMPLETED", "Old")
        report = backend.inspect()
        assert (report.layout, report.sessions, report.runs) == ("v2", 1, 2)
        assert raw.list_collection_names() == ["agno_sessions"]

    def test_half_migrated_runs_are_merged_and_the_own_document_wins(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        raw.agno_sessions.insert_one(of_agno_2())
        backend.put_run(sample_run("v2", run_id="old-0", status="ERROR"))
        assert backend.append_run(sample_run("v2", run_id="new", status="PAUSED")).run_index == 2
        found = [(run.run_index, run.run_id, run.status) for run in backend.runs("v2")]
        assert found == [(0, "old-0", "ERROR"), (1, "old-1", "COMPLETED"), (2, "new", "PAUSED")]
        (info,) = backend.find(SessionQuery(status="PAUSED")).items
        assert (info.runs, info.status) == (3, "PAUSED")
        report = backend.inspect()
        assert (report.layout, report.runs) == ("mixed", 3)

    def test_a_deleted_run_does_not_come_back_from_the_old_ones(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        raw.agno_sessions.insert_one(of_agno_2())
        backend.append_run(sample_run("v2", run_id="new"))
        with pytest.raises(RunNotFoundError):
            backend.delete_runs("v2", ["old-0", "no"])
        assert backend.delete_runs("v2", ["old-0", "new"]) == 2
        assert numbered(backend.runs("v2")) == [(0, "old-1")]
        (stored,) = raw.agno_sessions.find()
        assert stored["runs"] == [in_blob(1), {"no": "id"}]

    def test_an_old_session_that_is_identical_is_no_conflict(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        raw.agno_sessions.insert_one(of_agno_2())
        copy = SessionBundle(backend.get("v2"), list(backend.runs("v2")))
        assert backend.write([copy]).identical == ("v2",)
        changed = SessionBundle(copy.session, copy.runs[:1])  # type: ignore[index]
        assert backend.write([changed], ConflictPolicy.REPLACE).replaced == ("v2",)
        assert numbered(backend.runs("v2")) == [(0, "old-0")]

    def test_agno_1_is_named(self, backend: MongoDb, raw: Database[dict[str, Any]]) -> None:
        raw.agno_sessions.insert_one({"session_id": "s", "memory": {"runs": []}, "created_at": 1})
        for look in (lambda: backend.get("s"), backend.inspect, lambda: list(backend.scan())):
            with pytest.raises(LayoutError, match="Agno 1") as caught:
                look()
            assert caught.value.hint


FOREIGN = {
    "date": (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05"),
    "year 20000": (DatetimeMS(2**49), str(2**49)),
    "ObjectId": (ObjectId("64b7f0c2a1b2c3d4e5f60718"), "64b7f0c2a1b2c3d4e5f60718"),
    "bytes": (b"\x00\xff", "AP8="),
    "UUID": (Binary.from_uuid(UUID(int=7)), str(UUID(int=7))),
    "UUID cut off": (Binary(b"abc", UUID_SUBTYPE), "YWJj"),
    "Decimal128": (Decimal128("1.50"), "1.50"),
    "Int64": (Int64(7), 7),
    "NaN": (float("nan"), None),
    "Timestamp": (Timestamp(5, 1), None),
    "Regex": (Regex("a"), None),
}


class TestForeignValues:
    @pytest.mark.parametrize("kind", FOREIGN)
    def test_what_json_has_not_is_read_as_text_and_compared_as_such(
        self, backend: MongoDb, raw: Database[dict[str, Any]], kind: str
    ) -> None:
        value, wanted = FOREIGN[kind]
        data = {"session_name": "x", "state": [value]}
        raw.agno_sessions.insert_one(of_agno_2(session_data=data, extra=value, runs=None))
        session = backend.get("v2")
        (found,) = codec.members(session.session_data)["state"]
        assert wanted is None or found == wanted
        assert kind == "bytes" or codec.line(session.extra)
        expected = {"session_data": session.session_data}
        assert backend.update("v2", {"user_id": "bob"}, expected).user_id == "bob"
        kept = raw.get_collection(
            "agno_sessions",
            codec_options=CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO),
        ).find_one()
        assert type(kept["session_data"]["state"][0]) in (type(value), datetime)  # type: ignore[index]

    def test_times_of_any_kind_are_listed_once_in_order(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        moments: list[object] = [
            EPOCH + 5, float(EPOCH + 4), datetime.fromtimestamp(EPOCH + 3, UTC), EPOCH + 2, "soon",
            None, EPOCH + 1, EPOCH + 2, datetime.fromtimestamp(EPOCH + 2, UTC),
        ]  # fmt: skip
        raw.agno_sessions.insert_many(
            of_agno_2(f"s{number}", updated_at=moment, created_at=EPOCH - number)
            for number, moment in enumerate(moments)
        )
        raw.agno_sessions.insert_one({"session_id": "bare"})
        raw.agno_sessions.insert_one({"session_id": 7, "updated_at": EPOCH})
        for sort in Sort:
            for reverse in (False, True):
                query = SessionQuery(sort=sort, reverse=reverse, limit=None)
                whole = [info.session_id for info in backend.find(query).items]
                assert sorted(whole) == ["bare", *(f"s{number}" for number in range(9))]
                assert self.paged(backend, replace(query, limit=2)) == whole
        newest = [one.session_id for one in backend.find(SessionQuery()).items]
        assert newest == ["s0", "s1", "s2", "s3", "s7", "s8", "s6", "s4", "s5", "bare"]
        assert any("left out" in note for note in backend.inspect().notes)

    def paged(self, backend: Backend, query: SessionQuery) -> list[str]:
        found: list[str] = []
        for _ in range(20):
            page = backend.find(query)
            found += [info.session_id for info in page.items]
            if page.next is None:
                return found
            query = replace(query, after=page.next)
        raise AssertionError("paging does not end")

    def test_a_broken_text_is_read_with_its_place_marked(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        raw.agno_sessions.insert_one(of_agno_2(session_data={"a": "é!"}, runs=None))
        with_bytes = backend.get("v2").session_data
        assert codec.members(with_bytes) == {"a": "é!"}


class TestLimits:
    def test_a_document_of_16_mb_is_held_and_a_byte_more_is_rejected(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        backend.write([sample_bundle("s", 0)])
        run = sample_run("s", 0, run_data=document({"content": ""}))
        backend.append_run(run)
        (stored,) = raw.agno_runs.aggregate([{"$project": {"size": {"$bsonSize": "$$ROOT"}}}])
        room = 16 * 1024 * 1024 - stored["size"]
        backend.put_run(replace(run, run_data=document({"content": "x" * room})))
        too_big = replace(run, run_data=document({"content": "x" * (room + 1)}))
        with pytest.raises(RecordRejectedError) as caught:
            backend.put_run(too_big)
        assert caught.value.json_path == "run_data"
        for part in ("'s'", "'s.run-0'", "16,777,217", "16,777,216"):
            assert part in str(caught.value)
        other = replace(too_big, run_id="s.run-1")
        with pytest.raises(RecordRejectedError):
            backend.append_run(other)
        with pytest.raises(RecordRejectedError, match="session_data"):
            backend.update("s", {"session_data": document({"x": "y" * 16_777_216})})
        assert numbered(backend.runs("s")) == [(0, "s.run-0")]

    def test_a_session_that_grows_too_big_with_what_it_holds_is_rejected(
        self, backend: MongoDb
    ) -> None:
        big = document({"x": "y" * 9_000_000})
        backend.write([SessionBundle(sample_session("s", metadata=big), ())])
        with pytest.raises(RecordRejectedError) as caught:
            backend.update("s", {"session_data": big})
        assert caught.value.session_id == "s"
        assert backend.get("s").session_data == sample_session("s").session_data

    @pytest.mark.parametrize(("levels", "held"), [(100, True), (101, False)])
    def test_nesting_is_held_to_100_levels(self, backend: MongoDb, levels: int, held: bool) -> None:
        deep = Document(b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1))
        bundle = SessionBundle(sample_session("s"), (sample_run("s", run_data=deep),))
        if held:
            backend.write([bundle])
            assert everything(backend) == given(bundle, by=backend)
        else:
            with pytest.raises(RecordRejectedError, match="100 levels"):
                backend.write([bundle])

    def test_a_batch_past_a_transaction_is_stored_too(
        self, backend: MongoDb, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writing, "TRANSACTION_BYTES", 3000)
        bundles = [sample_bundle(f"s{number}", 3) for number in range(8)]
        backend.write(bundles)
        assert everything(backend) == given(*bundles, by=backend)
        thief = SessionBundle(sample_session("s3"), [sample_run("s3", run_id="s1.run-0")] * 3)
        with pytest.raises(SessionConflictError):
            backend.write([thief], ConflictPolicy.REPLACE)
        assert everything(backend) == given(*bundles, by=backend)


class TestLocks:
    def test_runs_that_a_killed_writer_left_do_not_come_back(
        self, backend: MongoDb, raw: Database[dict[str, Any]]
    ) -> None:
        backend.write([sample_bundle("other")])
        raw.agno_runs.insert_one({"run_id": "s.run-0", "session_id": "s", "run_index": 0})
        backend.write([sample_bundle("s", 2)])
        wanted = given(sample_bundle("other"), sample_bundle("s", 2), by=backend)
        assert everything(backend) == wanted

    def test_a_lock_whose_owner_died_ends_by_itself(
        self, backend: MongoDb, raw: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backend.write([sample_bundle("s", 0)])
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        raw[LOCKS].insert_one({"_id": "dead", "keys": ["agno_sessions/s"], "until": long_ago})
        monkeypatch.setattr(locks, "WAIT", 10.0)
        assert backend.append_run(sample_run("s", 0)).run_index == 0
        backend.write([sample_bundle("s", 0)], ConflictPolicy.REPLACE)

    def test_a_lock_that_is_held_on_is_reported(
        self, backend: MongoDb, raw: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        later = datetime(2100, 1, 1, tzinfo=UTC)
        raw[LOCKS].insert_one({"_id": "other", "keys": ["agno_sessions/s"], "until": later})
        monkeypatch.setattr(locks, "WAIT", 0.1)
        with pytest.raises(BackendUnavailableError, match="being written"):
            backend.write([sample_bundle("s", 0)])
        assert raw[LOCKS].count_documents({}) == 1
        assert everything(backend) == {}

    def test_writers_of_overlapping_batches_wait_for_each_other(self, backend: MongoDb) -> None:
        ids = [f"s{number}" for number in range(6)]

        def write(order: list[str]) -> None:
            for _ in range(5):
                backend.write([sample_bundle(one, 2) for one in order], ConflictPolicy.REPLACE)

        backend.setup()
        at_once([partial(write, ids), partial(write, ids[::-1]), partial(write, ids[2:5])])
        assert everything(backend) == given(*(sample_bundle(one, 2) for one in ids), by=backend)

    @pytest.mark.timeout(300)
    def test_eight_processes_append_50_runs_each(
        self, backend: MongoDb, harness: mongo.Harness
    ) -> None:
        backend.write([SessionBundle(sample_session("shared"), ())])
        barrier = multiprocessing.get_context("spawn").Barrier(8)
        in_processes(append_in_process, [(harness.opener(), barrier, one, 50) for one in range(8)])
        found = numbered(backend.runs("shared"))
        assert [index for index, _ in found] == list(range(400))
        for writer in range(8):
            own = [
                int(run.partition(".")[2])
                for _, run in found
                if run.startswith(f"writer-{writer}.")
            ]
            assert len(own) == 50
            assert all(first < second for first, second in pairwise(own))


@pytest.fixture(scope="module")
def own_server() -> Iterator[mongo_server.Server]:
    """One that may be stopped, and asks for passwords."""
    with needed():
        server = mongo_server.Server()
    client: MongoClient[dict[str, Any]]
    with MongoClient(server.url) as client:
        client.admin.command(
            "createUser", "root", pwd="r:@/%", roles=[{"role": "root", "db": "admin"}]
        )
    users = {"reader": "read", "writer": "readWrite", "nobody": None}
    with MongoClient(server.url, username="root", password="r:@/%") as client:
        for name, role in users.items():
            roles = [] if role is None else [{"role": role, "db": "agno"}]
            client.admin.command("createUser", name, pwd="sEcret", roles=roles)
    yield server
    server.stop()


def as_user(server: mongo_server.Server, user: str, password: str = "sEcret") -> MongoDb:
    return MongoDb(host="127.0.0.1", port=server.port, username=user, password=password)


class TestFailures:
    def test_a_user_of_a_url_reads_and_writes(self, own_server: mongo_server.Server) -> None:
        with as_user(own_server, "writer") as backend:
            backend.write([sample_bundle()], ConflictPolicy.REPLACE)
            assert backend.get("session-1").user_id == "alice"
            assert "sEcret" not in repr(backend.inspect())
            assert "sEcret" not in backend.address

    def test_an_awkward_password_is_quoted(self, own_server: mongo_server.Server) -> None:
        with as_user(own_server, "root", "r:@/%") as backend:
            backend.find(SessionQuery())
        with (
            MongoDb(host="127.0.0.1", port=own_server.port) as backend,
            pytest.raises(BackendUnavailableError, match="wants a user"),
        ):
            backend.find(SessionQuery())

    @pytest.mark.parametrize(("user", "password"), [("writer", "wrong"), ("who", "sEcret")])
    def test_a_wrong_password_is_named_and_not_shown(
        self, own_server: mongo_server.Server, user: str, password: str
    ) -> None:
        with (
            as_user(own_server, user, password) as backend,
            pytest.raises(BackendUnavailableError) as caught,
        ):
            backend.write([sample_bundle("s")])
        assert "password" in str(caught.value)
        assert password not in f"{caught.value} {caught.value.hint}"

    @pytest.mark.parametrize("verb", ["write", "append_run", "update", "probe", "delete", "setup"])
    def test_a_user_that_may_only_read_is_told_so(
        self, own_server: mongo_server.Server, verb: str
    ) -> None:
        with as_user(own_server, "writer") as backend:
            backend.write([sample_bundle()], ConflictPolicy.REPLACE)
        writes: dict[str, Callable[[], object]] = {
            "write": lambda: backend.write([sample_bundle("new")]),
            "append_run": lambda: backend.append_run(sample_run("session-1", 2)),
            "update": lambda: backend.update("session-1", {"user_id": "bob"}),
            "probe": lambda: backend.probe(),
            "delete": lambda: backend.delete(["session-1"]),
            "setup": lambda: backend.setup(),
        }
        with as_user(own_server, "reader") as backend:
            with pytest.raises(BackendReadOnlyError) as caught:
                writes[verb]()
            assert caught.value.hint
            assert everything(backend) == given(sample_bundle(), by=backend)

    def test_a_user_that_may_not_even_read_is_told_so(
        self, own_server: mongo_server.Server
    ) -> None:
        with (
            as_user(own_server, "nobody") as backend,
            pytest.raises(BackendUnavailableError, match="may not read"),
        ):
            backend.find(SessionQuery())

    def test_a_server_that_stops_is_missed_and_used_again_when_it_is_back(
        self, own_server: mongo_server.Server
    ) -> None:
        url = f"mongodb://writer:sEcret@127.0.0.1:{own_server.port}/?serverSelectionTimeoutMS=300"
        with MongoDb(db_url=url) as backend:
            backend.write([sample_bundle("s", 300)], ConflictPolicy.REPLACE)
            runs = backend.runs("s")
            next(runs)
            own_server.halt()
            for call in (
                lambda: list(runs),
                lambda: backend.get("s"),
                lambda: backend.find(SessionQuery()),
                lambda: backend.append_run(sample_run("s", 300)),
                lambda: backend.write([sample_bundle("t")]),
                lambda: backend.delete(["s"]),
            ):
                with pytest.raises(BackendUnavailableError) as caught:
                    call()
                assert "sEcret" not in str(caught.value)
                assert caught.value.hint
            own_server.start()
            assert backend.append_run(sample_run("s", 300)).run_index == 300
            assert backend.delete(["s"]) == 1

    def test_nobody_there_is_said_soon(self) -> None:
        url = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200"
        with MongoDb(db_url=url) as backend:
            with pytest.raises(BackendUnavailableError, match="no MongoDB answers"):
                backend.get("s")
            with pytest.raises(BackendUnavailableError):
                assert backend.capabilities

    @pytest.mark.parametrize(
        "url",
        [
            "mongodb://h:99999/",
            "mongodb://h/?nonsense=1",
            "mongodb://h/?serverSelectionTimeoutMS=x",
            "mongodb://u:p:q@h/",
            "http://h/",
        ],
    )
    def test_a_url_that_cannot_be_used_is_a_mistake_in_the_configuration(self, url: str) -> None:
        with MongoDb(db_url=url) as backend, pytest.raises(ConfigError) as caught:
            backend.get("s")
        assert "p:q" not in str(caught.value)
