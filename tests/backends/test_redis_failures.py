"""A server that is away, refuses or fills up: which error, and nothing half done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from agnocli.abc import Backend, SessionQuery
from agnocli.db.redis import RedisDb, open_backend
from agnocli.errors import (
    BackendError,
    BackendReadOnlyError,
    BackendUnavailableError,
    ConfigError,
    LayoutError,
    SessionNotFoundError,
)
from agnocli.records import Run, SessionBundle
from agnocli.testing.records import document, numbered, sample_bundle, sample_run, sample_session
from tests.backends.conftest import Open
from tests.harness.redis_server import RedisServer
from tests.harness.servers import free_port

SECRET = "s3cr3t/#@ü"

CALLS: dict[str, Callable[[Backend], object]] = {
    "get": lambda db: db.get("s"),
    "runs": lambda db: list(db.runs("s")),
    "last": lambda db: list(db.runs("s", last=1)),
    "scan": lambda db: list(db.scan()),
    "find": lambda db: db.find(SessionQuery()),
    "inspect": lambda db: db.inspect(),
    "probe": lambda db: db.probe(),
    "write": lambda db: db.write([sample_bundle("t")]),
    "append_run": lambda db: db.append_run(sample_run("s", 9)),
    "put_run": lambda db: db.put_run(sample_run("s", 0)),
    "update": lambda db: db.update("s", {"user_id": "bob"}),
    "delete": lambda db: db.delete(["s"]),
    "delete_runs": lambda db: db.delete_runs("s", ["s.run-0"]),
}
WRITES = ("probe", "write", "append_run", "put_run", "update", "delete", "delete_runs")


@pytest.fixture
def admin(server: RedisServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def db(server: RedisServer) -> Iterator[RedisDb]:
    with RedisDb(db_url=server.url) as db:
        db.write([sample_bundle("s", 3)])
        yield db


def failing(db: Backend, verb: str, kind: type[BackendError]) -> BackendError:
    with pytest.raises(kind) as caught:
        CALLS[verb](db)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("verb", CALLS)
def test_nobody_there_is_unavailable(verb: str) -> None:
    with RedisDb(port=free_port()) as db:
        error = failing(db, verb, BackendUnavailableError)
    assert "cannot be reached" in str(error)
    assert error.transient


@pytest.mark.parametrize("verb", CALLS)
def test_a_server_that_dies_is_unavailable_not_empty(
    db: RedisDb, server: RedisServer, verb: str
) -> None:
    server.stop()
    failing(db, verb, BackendUnavailableError)


def test_a_server_that_dies_between_two_runs_ends_the_reading(
    db: RedisDb, server: RedisServer
) -> None:
    db.write([SessionBundle(sample_session("long"), [sample_run("long", n) for n in range(99)])])
    runs = db.runs("long")
    next(runs)
    server.stop()
    with pytest.raises(BackendUnavailableError):
        list(runs)


def test_a_server_that_dies_while_a_batch_is_written_is_said(
    db: RedisDb, server: RedisServer
) -> None:
    def runs() -> Iterator[Run]:
        yield sample_run("t", 0)
        server.stop()

    with pytest.raises(BackendUnavailableError):
        db.write([SessionBundle(sample_session("t"), runs())])


def test_a_connection_that_was_cut_is_opened_anew(db: RedisDb, admin: Any) -> None:
    for verb in ("get", "find", "append_run", "update"):
        admin.client_kill_filter(_type="normal", skipme=True)
        CALLS[verb](db)


def test_a_reading_whose_connection_is_cut_is_done_again_and_a_change_is_not(
    db: RedisDb, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.get("s")
    whole: Callable[..., Any] = redis.Redis.execute_command
    tries: list[str] = []
    cut = "GET"

    def cut_once(client: Any, *asked: Any, **options: Any) -> Any:
        tries.append(asked[0])
        if asked[0] == cut and tries.count(cut) == 1:
            raise redis.ConnectionError("Connection reset by peer")
        return whole(client, *asked, **options)

    monkeypatch.setattr(redis.Redis, "execute_command", cut_once)
    assert db.get("s").session_id == "s"
    assert tries == ["GET", "GET"]
    # a change may have been made although its answer was lost
    cut = "EVALSHA"
    with pytest.raises(BackendUnavailableError):
        db.update("s", {"user_id": "bob"})
    assert tries.count("EVALSHA") == 1


@pytest.mark.parametrize("verb", CALLS)
def test_a_wrong_password_is_said_without_it(server: RedisServer, admin: Any, verb: str) -> None:
    admin.config_set("requirepass", SECRET)
    for password in (None, "wr0ng" + SECRET):
        with RedisDb(port=server.port, password=password) as db:
            error = failing(db, verb, BackendUnavailableError)
            assert "password" in str(error)
            assert SECRET not in f"{error} {error.hint} {db.address}"
            assert "wr0ng" not in f"{error} {error.hint} {db.address}"


def test_a_password_of_odd_characters_opens(server: RedisServer, admin: Any) -> None:
    admin.config_set("requirepass", SECRET)
    with RedisDb(host="127.0.0.1", port=server.port, password=SECRET) as db:
        db.write([sample_bundle("s", 1)])
        assert db.address == f"redis://127.0.0.1:{server.port}/0"


def test_a_database_that_is_not_there(server: RedisServer) -> None:
    with RedisDb(port=server.port, db=77) as db:
        assert "no database" in str(failing(db, "get", BackendUnavailableError))


@pytest.mark.parametrize("verb", WRITES)
def test_a_replica_is_read_only(db: RedisDb, admin: Any, verb: str) -> None:
    admin.config_set("replica-serve-stale-data", "yes")
    admin.replicaof("127.0.0.1", free_port())
    failing(db, verb, BackendReadOnlyError)
    assert db.get("s").session_id == "s"
    assert db.find(SessionQuery()).items[0].runs == 3


@pytest.mark.parametrize("verb", WRITES)
def test_a_user_who_may_only_read(db: RedisDb, admin: Any, server: RedisServer, verb: str) -> None:
    admin.acl_setuser(
        "reader", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@read", "+@connection"]
    )
    with RedisDb(port=server.port, username="reader", password="pw") as reader:
        failing(reader, verb, BackendReadOnlyError)
        assert len(list(reader.runs("s"))) == 3
        # without a script, which this user may not run
        ((_, bundle),) = reader.scan()
        assert [run.run_index for run in bundle.runs] == [0, 1, 2]


@pytest.mark.parametrize("verb", ["write", "append_run", "put_run", "update"])
def test_a_full_server_takes_nothing_and_loses_nothing(db: RedisDb, admin: Any, verb: str) -> None:
    before = {key: admin.dump(key) for key in admin.keys("*")}
    admin.config_set("maxmemory", 1)
    assert "maxmemory" in str(failing(db, verb, BackendError))
    admin.config_set("maxmemory", 0)
    assert {key: admin.dump(key) for key in admin.keys("*")} == before
    CALLS[verb](db)


@pytest.mark.parametrize("verb", ["delete", "delete_runs"])
def test_a_full_server_can_be_emptied(db: RedisDb, admin: Any, verb: str) -> None:
    admin.config_set("maxmemory", 1)
    try:
        CALLS[verb](db)
    except BackendError as error:
        assert verb == "delete_runs"  # what is left is rewritten
        assert "maxmemory" in str(error)
    admin.config_set("maxmemory", 0)
    assert verb == "delete" or [index for index, _ in numbered(db.runs("s"))][:2] == [0, 1]


def test_a_server_that_fills_up_half_way_keeps_no_half_session(db: RedisDb, admin: Any) -> None:
    before = set(admin.keys("*"))

    def runs() -> Iterator[Run]:
        for number in range(500):
            if number == 300:
                admin.config_set("maxmemory", 1)
            body = document({"messages": [], "content": "x" * 5000})
            yield sample_run("t", number, run_data=body)

    with pytest.raises(BackendError, match="maxmemory"):
        db.write([SessionBundle(sample_session("t"), runs())])
    assert set(admin.keys("*")) == before


def test_a_server_that_does_not_answer(db: RedisDb, admin: Any, server: RedisServer) -> None:
    with RedisDb(db_url=f"{server.url}?socket_timeout=1") as hurried:
        hurried.get("s")
        process = admin.info("server")["process_id"]
        os.kill(process, signal.SIGSTOP)
        try:
            assert "in time" in str(failing(hurried, "get", BackendUnavailableError))
        finally:
            os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("text", ["", "half {", "[1]", "\xff", '{"a": "half'])
def test_a_damaged_record_is_listed_and_told_but_never_taken_for_none(
    client: Any, open_db: Open, text: str
) -> None:
    db = open_db()
    db.write([sample_bundle("s", 1), sample_bundle("fine", 1)])
    client.set("agno:sessions:s", text.encode("latin-1"))
    assert {one.session_id for one in db.find(SessionQuery()).items} == {"s", "fine"}
    assert [one.session_id for one in db.find(SessionQuery(name="tea")).items] == ["fine"]
    assert db.inspect().sessions == 2
    for verb in ("get", "runs", "append_run", "update", "delete_runs"):
        with pytest.raises(LayoutError) as caught:
            CALLS[verb](db)
        assert "agno:sessions:s" in str(caught.value)
        assert caught.value.hint
    assert db.delete(["s"]) == 1
    with pytest.raises(SessionNotFoundError):
        db.get("s")


# options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prefx": "x"}, "prefix"),
        ({"db_path": "x"}, "known: "),
        ({"port": "6379"}, None),
        ({"port": True}, None),
        ({"expire": 0}, "seconds"),
        ({"expire": "60"}, None),
        ({"db_url": "http://localhost"}, "redis://"),
        ({"db_url": "redis://localhost:port/0"}, "redis://"),
        ({"db_url": f"redis://:{'pw'}@localhost/x"}, "redis://"),
    ],
    ids=repr,
)
def test_a_wrong_option_is_named(options: dict[str, object], said: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        open_backend(options, name="cache")
    text = f"{caught.value} {caught.value.hint}"
    assert said is None or said in text
    assert "pw" not in text


def test_an_option_of_the_driver_is_checked_when_it_connects() -> None:
    with RedisDb(db_url="redis://:pw@localhost/0?socket_timout=3") as db:
        with pytest.raises(ConfigError, match="socket_timout") as caught:
            db.get("s")
        assert "socket_timeout" in (caught.value.hint or "")


def test_options_name_the_place(server: RedisServer) -> None:
    given = {"host": "127.0.0.1", "port": server.port, "db": 3, "prefix": "chat:", "expire": 99}
    with open_backend(given, name="cache") as db:
        db.write([sample_bundle("s", 1)])
        assert db.address == f"redis://127.0.0.1:{server.port}/3?prefix=chat"
    with redis.Redis(port=server.port, db=3) as client:
        assert 0 < client.ttl("chat:sessions:s") <= 99


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_of_the_callers_is_used_and_left_open(
    server: RedisServer, decode: bool, protocol: int
) -> None:
    given = redis.Redis.from_url(server.url, decode_responses=decode, protocol=protocol)
    with given as client:
        with RedisDb(redis_client=client) as db:
            db.write([sample_bundle("é", 3)])
            db.append_run(sample_run("é", 3))
            db.delete_runs("é", ["é.run-0"])
            assert numbered(db.runs("é", last=2)) == [(1, "é.run-2"), (2, "é.run-3")]
            (info,) = db.find(SessionQuery()).items
            assert (info.session_id, info.runs, info.status) == ("é", 3, "COMPLETED")
            assert db.inspect().runs == 3
        assert client.ping()
        assert db.address == f"redis://127.0.0.1:{server.port}/0"


def test_a_server_over_a_socket_file(server: RedisServer, tmp_path: Any) -> None:
    place = tmp_path / "redis.sock"
    other = RedisServer("--unixsocket", str(place))
    try:
        with RedisDb(db_url=f"unix://{place}?db=2") as db:
            db.write([sample_bundle("s", 1)])
            assert db.get("s").user_id == "alice"
            assert db.address == f"unix://{place}"
    finally:
        other.stop()


def test_no_connection_is_left_behind(server: RedisServer, admin: Any) -> None:
    db = RedisDb(db_url=server.url)
    db.write([sample_bundle("s", 50)])
    threads = [threading.Thread(target=lambda: list(db.scan())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    next(db.runs("s"))
    db.close()
    for _ in range(100):
        names = [one["id"] for one in admin.client_list()]
        if len(names) == 1:
            return
    raise AssertionError(names)
