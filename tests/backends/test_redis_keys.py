"""What lies on the server, key by key: as Agno 3 has it."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agnocli import codec
from agnocli.abc import ConflictPolicy, SessionQuery
from agnocli.db._redis.batch import Batch
from agnocli.db._redis.scripts import Script
from agnocli.db._redis.server import Server
from agnocli.db.redis import RedisDb
from agnocli.errors import RecordRejectedError, SessionConflictError, SessionNotFoundError
from agnocli.records import Document, SessionBundle
from agnocli.testing.concurrency_suite import append_in_process, in_processes
from agnocli.testing.records import (
    EPOCH,
    document,
    numbered,
    sample_bundle,
    sample_run,
    sample_session,
)
from tests.backends.conftest import Open

SESSION_ORDER = [
    *("session_id", "session_type", "agent_id", "team_id", "workflow_id", "user_id"),
    *("agent_data", "team_data", "workflow_data", "session_data", "summary", "metadata"),
    *("created_at", "updated_at"),
]
RUN_ORDER = [
    *("run_id", "session_id", "run_type", "agent_id", "team_id", "workflow_id", "user_id"),
    *("parent_run_id", "status", "run_index", "run_data", "created_at", "updated_at"),
]


def test_a_session_lies_under_agnos_keys_and_no_others(client: Any, open_db: Open) -> None:
    open_db().write([sample_bundle("s1", 2)])
    assert sorted(client.keys("*")) == [
        "agno:runs:by_session:s1",
        "agno:runs:index:agent_id:assistant",
        "agno:runs:index:run_type:agent",
        "agno:runs:index:session_id:s1",
        "agno:runs:index:status:COMPLETED",
        "agno:runs:index:user_id:alice",
        "agno:runs:s1.run-0",
        "agno:runs:s1.run-1",
        "agno:sessions:index:agent_id:assistant",
        "agno:sessions:index:session_type:agent",
        "agno:sessions:index:user_id:alice",
        "agno:sessions:s1",
    ]
    assert client.zrange("agno:runs:by_session:s1", 0, -1, withscores=True) == [
        ("s1.run-0", 0.0),
        ("s1.run-1", 1.0),
    ]
    assert client.smembers("agno:runs:index:session_id:s1") == {"s1.run-0", "s1.run-1"}
    assert client.smembers("agno:sessions:index:user_id:alice") == {"s1"}


def test_records_hold_every_member_in_agnos_order(client: Any, open_db: Open) -> None:
    db = open_db()
    db.write([SessionBundle(sample_session("s", user_id=None), ())])
    db.append_run(sample_run("s", 0))
    db.update("s", {"team_id": "desk"})
    record = client.get("agno:sessions:s")
    assert list(codec.decode(record)) == SESSION_ORDER
    assert '"user_id": null' in record
    assert '"team_data": null' in record
    run = client.get("agno:runs:s.run-0")
    assert list(codec.decode(run)) == RUN_ORDER
    assert run.startswith('{"run_id": "s.run-0", "session_id": "s", "run_type": "agent", ')


def test_text_is_edited_with_its_characters_as_agno_stores_it(client: Any, open_db: Open) -> None:
    data = document({"session_name": "Café ☕ \N{GRINNING FACE}", "control": '\x1b"\\\n\x7f'})
    assert data.isascii()
    db = open_db()
    db.write([SessionBundle(sample_session("é", user_id="Zoë"), ())])
    db.update("é", {"session_data": data})
    record = client.get("agno:sessions:é")
    assert (
        '"session_name": "Café ☕ \N{GRINNING FACE}", "control": "\\u001b\\"\\\\\\n\x7f"' in record
    )
    assert '"user_id": "Zoë"' in record
    assert codec.decode(db.get("é").session_data or b"") == codec.decode(data)


def test_text_is_carried_as_it_is_found(client: Any, open_db: Open) -> None:
    escaped, bare = rb'{"a":  ["\u00e9\ud83d\ude00" ,1.50]}', '{"a":["é😀"]}'.encode()
    session = sample_session("s", session_data=Document(escaped), metadata=Document(bare))
    db = open_db()
    db.write([SessionBundle(session, (sample_run("s", run_data=Document(escaped)),))])
    (found,) = db.read(["s"])
    assert (found.session.session_data, found.session.metadata) == (escaped, bare)
    assert [run.run_data for run in found.runs] == [escaped]
    assert f'"run_data": {escaped.decode()}, "created_at"' in client.get("agno:runs:s.run-0")


def test_numbers_and_repeated_keys_keep_their_spelling(client: Any, open_db: Open) -> None:
    odd = '{"a": [1.50, 10E+2, -0], "b": 1, "b": 2}'
    open_db().write([SessionBundle(sample_session("s", metadata=Document(odd.encode())), ())])
    assert f'"metadata": {odd}' in client.get("agno:sessions:s")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "agno:sessions:s"),
        ({"prefix": "agno:"}, "agno:sessions:s"),
        ({"prefix": "agno"}, "agno:sessions:s"),
        ({"prefix": "my"}, "my:sessions:s"),
        ({"db_prefix": "my"}, "my:sessions:s"),
        # Agno's own parameter, taken as Agno takes it
        ({"db_prefix": "agno:"}, "agno::sessions:s"),
        ({"db_prefix": ""}, ":sessions:s"),
        ({"session_table": "chats", "runs_table": "turns"}, "agno:sessions:s"),
    ],
    ids=repr,
)
def test_the_prefix_is_part_of_every_key_and_a_table_of_none(
    client: Any, open_db: Open, options: dict[str, str], key: str
) -> None:
    db = open_db(**options)
    db.write([sample_bundle("s", 1)])
    assert key in client.keys("*")
    start = key.removesuffix("sessions:s")
    assert {one.startswith(start) for one in client.keys("*")} == {True}
    assert [one.session_id for one in db.find(SessionQuery()).items] == ["s"]


@pytest.mark.parametrize("prefix", ["a*", "a?c", "[ab]", "a\\", "a^b", "*"])
def test_glob_characters_in_a_prefix_mean_themselves(open_db: Open, prefix: str) -> None:
    for other in ("a", "abc", "ab", "b"):
        open_db(db_prefix=other).write([sample_bundle(f"of {other}", 1)])
    db = open_db(db_prefix=prefix)
    assert list(db.scan()) == []
    db.write([sample_bundle("mine", 1)])
    assert [one.session_id for one in db.find(SessionQuery()).items] == ["mine"]
    assert (db.inspect().sessions, db.inspect().runs) == (1, 1)


def test_a_key_that_the_server_names_twice_is_one_session(
    open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = open_db()
    db.write([sample_bundle(name, 1) for name in "abc"])
    whole = Server.read_script

    def twice(server: Server, script: Script, cursor: bytes, *asked: Any) -> Any:
        answer = whole(server, script, b"0", *asked)
        return [b"1" if cursor == b"0" else b"0", *answer[1:]]

    monkeypatch.setattr(Server, "read_script", twice)
    page = db.find(SessionQuery(limit=3))
    assert ([one.session_id for one in page.items], page.total) == (["a", "b", "c"], 3)
    assert page.next is None
    assert (db.inspect().sessions, db.inspect().runs) == (3, 3)


def test_what_else_lies_under_the_prefix_is_counted(client: Any, open_db: Open) -> None:
    db = open_db()
    db.write([sample_bundle("s", 2)])
    client.set("agno:memories:m1", "{}")
    client.set("agno:memories:m:2", "{}")
    client.sadd("agno:memories:index:user_id:alice", "m1")
    client.set("agno:traces:t1", "{}")
    client.set("agno:agnocli:lock:s", "x")
    client.set("other:memories:m3", "{}")
    report = db.inspect()
    assert report.others == {"memories": 2, "traces": 1}
    assert (report.sessions, report.runs) == (1, 2)


def test_runs_that_no_session_lists_any_more_do_not_come_back(client: Any, open_db: Open) -> None:
    db = open_db()
    db.write([sample_bundle("s", 3), sample_bundle("t", 1)])
    client.delete("agno:sessions:s")
    assert db.write([sample_bundle("u", 1), sample_bundle("s", 2)]).written == ("u", "s")
    assert numbered(db.runs("s")) == [(0, "s.run-0"), (1, "s.run-1")]
    assert client.exists("agno:runs:s.run-2") == 0
    assert client.smembers("agno:runs:index:session_id:s") == {"s.run-0", "s.run-1"}


def test_nothing_is_left_of_what_was_deleted(client: Any, open_db: Open) -> None:
    db = open_db()
    db.write([sample_bundle("s", 3), sample_bundle("other", 1, user_id="bob")])
    db.append_run(sample_run("s", 3, status="RUNNING"))
    db.put_run(sample_run("s", 3, status="CANCELLED"))
    # as Agno leaves them behind when a status changes
    client.sadd("agno:runs:index:status:PAUSED", "s.run-1")
    db.delete_runs("s", ["s.run-0"])
    db.delete(["s"])
    left = {key: client.dump(key) for key in client.keys("*")}
    client.flushdb()
    db.write([sample_bundle("other", 1, user_id="bob")])
    assert left.keys() == dict.fromkeys(client.keys("*")).keys()


def test_index_sets_follow_a_session_that_changes_hands(client: Any, open_db: Open) -> None:
    db = open_db()
    db.write([sample_bundle("s", 1)])
    db.update("s", {"user_id": "bob"})
    assert client.keys("agno:sessions:index:user_id:*") == ["agno:sessions:index:user_id:bob"]
    db.put_run(sample_run("s", 0, status="ERROR"))
    assert client.keys("agno:runs:index:status:*") == ["agno:runs:index:status:ERROR"]


def test_a_batch_that_fails_leaves_no_key(client: Any, open_db: Open) -> None:
    def bundles() -> Any:
        yield sample_bundle("a", 5)
        yield SessionBundle(sample_session("b"), broken())

    def broken() -> Any:
        yield sample_run("b", 0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        open_db().write(bundles())
    assert client.keys("*") == []


@pytest.mark.parametrize("most", [10**9, 0], ids=["in one step", "by way of names of their own"])
def test_each_set_lists_the_runs_that_are_of_its_kind(
    client: Any, open_db: Open, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("agnocli.db._redis.batch.LISTED_BYTES", most)
    statuses = ["ERROR", "COMPLETED", "COMPLETED", "PAUSED", "ERROR"]
    runs = {
        one: tuple(sample_run(one, n, status=status) for n, status in enumerate(statuses))
        for one in ("s", "t")
    }
    open_db().write([SessionBundle(sample_session(one), runs[one]) for one in runs])
    for status in statuses:
        listed = client.smembers(f"agno:runs:index:status:{status}")
        places = [n for n, other in enumerate(statuses) if other == status]
        assert listed == {f"{one}.run-{n}" for one in ("s", "t") for n in places}
    for one in ("s", "t"):
        own = {f"{one}.run-{n}" for n in range(len(statuses))}
        assert client.smembers(f"agno:runs:index:session_id:{one}") == own


def test_an_answer_holds_whole_sessions_up_to_a_size_or_one_that_is_larger(
    open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agnocli.db._redis.bulk.ANSWER_BYTES", 20_000)
    runs = {"s0": 2, "s1": 3, "s2": 30, "s3": 4, "s4": 1}
    large = document({"run_id": "?", "content": "x" * 2000})
    db = open_db()
    db.write(
        SessionBundle(
            sample_session(one),
            tuple(sample_run(one, n, run_data=large) for n in range(count)),
        )
        for one, count in runs.items()
    )
    answers: list[tuple[int, int]] = []
    read_script = Server.read_script

    def watched(self: Server, script: Script, *arguments: Any) -> Any:
        answer = read_script(self, script, *arguments)
        if isinstance(answer, list):
            answers.append((len(answer[-1]), sum(map(len, answer[-1]))))
        return answer

    monkeypatch.setattr(Server, "read_script", watched)
    found = {bundle.session.session_id: len([*bundle.runs]) for bundle in db.read([*runs])}
    assert found == runs
    assert [texts for texts, _ in answers] == [7, 31, 7]
    assert [size > 20_000 for _, size in answers] == [False, True, False]


def test_nothing_is_left_of_a_batch_that_meets_runs_of_another_program(
    client: Any, open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = Batch._looked_up

    def before_others(self: Batch, bundles: Any) -> str:
        found = looked_up(self, bundles)
        client.zadd("agno:runs:by_session:t", {"other": 0})
        return found

    monkeypatch.setattr(Batch, "_looked_up", before_others)
    with pytest.raises(SessionConflictError, match="was changed by another program meanwhile"):
        open_db().write([sample_bundle("s", 2), sample_bundle("t", 2)])
    assert client.keys("*") == ["agno:runs:by_session:t"]


def test_what_is_on_its_way_goes_by_itself_and_is_never_listed(
    client: Any, open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agnocli.db._redis.batch.DIRECT_BYTES", 50_000)
    monkeypatch.setattr("agnocli.db._redis.parts.PART_BYTES", 10_000)
    db = open_db()
    seen: list[tuple[int, str]] = []

    def runs() -> Any:
        for number in range(3000):
            yield sample_run("s", number)
        seen.extend((client.ttl(key), key) for key in client.keys("*"))
        assert db.find(SessionQuery()).items == ()
        assert db.inspect().runs == 0

    db.write([SessionBundle(sample_session("s"), runs())])
    assert len(seen) > 2000
    assert all(0 < left <= 3600 for left, _ in seen), seen[:3]
    assert not [key for key in client.keys("*") if ":agnocli:" in key]
    assert client.ttl("agno:sessions:s") == client.ttl("agno:runs:s.run-7") == -1


def test_runs_of_one_place_come_by_creation_however_many(
    open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agnocli.db._redis.reading.TIES", 10)
    db = open_db()
    tied = [sample_run("s", n, run_index=3, created_at=n * 7 % 101) for n in range(60)]
    first = [sample_run("s", n + 100, run_index=n) for n in range(3)]
    behind = [sample_run("s", 200, run_index=4), sample_run("s", 201, run_index=4)]
    db.write([SessionBundle(sample_session("s"), [*behind, *tied, *first])])
    ordered = sorted(tied, key=lambda run: (run.created_at, run.run_id))
    wanted = numbered([*first, *ordered, *sorted(behind, key=lambda run: run.created_at)])
    assert numbered(db.runs("s")) == wanted
    for last in (1, 2, 3, 30, 62, 63, 64, 65):
        assert numbered(db.runs("s", last=last)) == wanted[-last:]


def test_members_nobody_knows_and_their_order_survive_every_edit(
    client: Any, open_db: Open
) -> None:
    db = open_db()
    db.write([sample_bundle("s", 2)])
    for key in ("agno:sessions:s", "agno:runs:s.run-0", "agno:runs:s.run-1"):
        client.set(key, client.get(key).replace("{", '{"ours": {"x": [1.50]}, ', 1))
    db.update("s", {"user_id": "bob"})
    db.append_run(sample_run("s", 2))
    db.put_run(sample_run("s", 1, status="ERROR"))
    db.delete_runs("s", ["s.run-0"])
    for key in ("agno:sessions:s", "agno:runs:s.run-1"):
        assert client.get(key).startswith('{"ours": {"x": [1.50]}, "'), key
    assert numbered(db.runs("s")) == [(0, "s.run-1"), (1, "s.run-2")]


def test_runs_whose_record_is_not_in_agnos_order_are_renumbered(client: Any, open_db: Open) -> None:
    db = open_db()
    db.write([sample_bundle("s", 3)])
    for number in (1, 2):
        key = f"agno:runs:s.run-{number}"
        turned = dict(reversed(codec.decode(client.get(key)).items()))
        client.set(key, codec.line(turned))
    db.delete_runs("s", ["s.run-0"])
    assert numbered(db.runs("s")) == [(0, "s.run-1"), (1, "s.run-2")]
    assert db.find(SessionQuery()).items[0].status == "COMPLETED"
    assert codec.decode(client.get("agno:runs:s.run-2"))["run_index"] == 1


def test_an_index_spelled_within_the_turn_is_not_renumbered(open_db: Open) -> None:
    db = open_db()
    body = document({"run_index": 7, "messages": [{"content": '"run_index": 9, "run_data": {'}]})
    runs = (sample_run("s", 0), sample_run("s", 1, run_data=body))
    db.write([SessionBundle(sample_session("s"), runs)])
    db.delete_runs("s", ["s.run-0"])
    (run,) = db.runs("s")
    assert (run.run_index, codec.decode(run.run_data)) == (0, codec.decode(body))


@pytest.mark.parametrize("run_id", ["by_session:s", "index:x"])
def test_a_run_id_that_would_be_another_key_is_refused(open_db: Open, run_id: str) -> None:
    db = open_db()
    db.write([sample_bundle("s", 1)])
    with pytest.raises(RecordRejectedError) as caught:
        db.append_run(sample_run("s", run_id=run_id))
    assert caught.value.json_path == "run_id"
    assert len(list(db.runs("s"))) == 1


def test_a_document_deeper_than_agno_can_parse_is_refused(open_db: Open) -> None:
    db = open_db()
    deep = Document(b"[" * 801 + b"]" * 801)
    with pytest.raises(RecordRejectedError, match="800 levels"):
        db.write([SessionBundle(sample_session("s", metadata=deep), ())])
    fits = Document(deep[1:-1])
    db.write([SessionBundle(sample_session("s", metadata=fits), ())])
    assert db.get("s").metadata == fits


def test_a_record_that_is_larger_than_the_server_takes_is_refused_whole(
    client: Any, open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agnocli.db._redis.rows.LARGEST", 2000)
    with open_db() as db:
        for size in (1900, 100):
            session = sample_session("s", session_data=document({"text": "x" * (2000 - size)}))
            run = sample_run("s", run_data=document({"text": "x" * size}))
            with pytest.raises(RecordRejectedError, match=r"the record.*more than 2,000"):
                db.write([SessionBundle(session, (run,))])
            assert client.keys("*") == []


def test_a_column_that_json_cannot_hold_is_refused(open_db: Open) -> None:
    bundle = SessionBundle(sample_session("s", extra={"blob": b"\xff"}), ())
    with pytest.raises(RecordRejectedError) as caught:
        open_db().write([bundle])
    assert caught.value.json_path == "blob"


@pytest.mark.parametrize("policy", ConflictPolicy)
def test_a_session_changed_while_it_is_being_written_is_a_conflict(
    open_db: Open, policy: ConflictPolicy
) -> None:
    db, other = open_db(), open_db()
    stored = [] if policy is ConflictPolicy.SKIP else [sample_bundle("a", 1)]
    db.write(stored)

    def runs() -> Any:
        yield sample_run("a", 0, status="ERROR")
        if stored:
            other.update("a", {"user_id": "bob"})
        else:
            other.write([sample_bundle("a", 1, user_id="bob")])

    with pytest.raises(SessionConflictError) as caught:
        later = EPOCH + (99 if policy is ConflictPolicy.NEWER else 60)
        session = sample_session("a", updated_at=later)
        db.write([SessionBundle(session, runs())], policy)
    assert caught.value.session_id == "a"
    assert (db.get("a").user_id, [run.status for run in db.runs("a")]) == ("bob", ["COMPLETED"])


def test_a_key_that_is_no_text_is_read_and_deleted(client: Any, open_db: Open, url: str) -> None:
    db = open_db()
    db.write([sample_bundle("s", 0)])
    record = client.get("agno:sessions:s")
    client.set(b"agno:sessions:\xff", record)
    found = [one.session_id for one in db.find(SessionQuery()).items]
    assert found == ["s", "\udcff"]
    assert db.get("\udcff").user_id == "alice"
    assert db.delete(["\udcff"]) == 1
    with pytest.raises(SessionNotFoundError):
        db.get("\udcff")


def adding(name: str, number: int, _: dict[str, Any]) -> dict[str, object]:
    return {name: number}


def test_two_writers_of_one_state_lose_nothing(open_db: Open) -> None:
    from agnocli.edit import edit_members

    open_db().write([SessionBundle(sample_session("s", session_data=document({})), ())])

    def write(name: str) -> None:
        db = open_db()
        for number in range(15):
            edit_members(db, "s", "session_data", partial(adding, f"{name}{number}", number))

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = codec.members(open_db().get("s").session_data)
    assert found == {f"{name}{number}": number for name in "ab" for number in range(15)}


@pytest.mark.timeout(300)
def test_eight_processes_append_fifty_runs_each(open_db: Open, url: str) -> None:
    db = open_db()
    db.write([SessionBundle(sample_session("shared"), ())])
    opener = partial(RedisDb, db_url=url)
    barrier = multiprocessing.get_context("spawn").Barrier(8)
    in_processes(append_in_process, [(opener, barrier, writer, 50) for writer in range(8)])
    found = numbered(db.runs("shared"))
    assert [index for index, _ in found] == list(range(400))
    assert {run_id for _, run_id in found} == {
        f"writer-{w}.{n}" for w in range(8) for n in range(50)
    }


# time to live


def lives(client: Any) -> dict[str, int]:
    keys = client.keys("agno:sessions:s") + client.keys("agno:runs:*")
    return {key: client.ttl(key) for key in keys if ":index:" not in key}


def test_a_session_its_runs_and_their_order_expire_together(client: Any, open_db: Open) -> None:
    db = open_db(expire=1000)
    db.write([sample_bundle("s", 2)])
    assert set(lives(client).values()) <= {999, 1000}
    assert len(lives(client)) == 4
    for key in lives(client):
        client.expire(key, 10)
    db.append_run(sample_run("s", 2))
    assert set(lives(client).values()) <= {999, 1000}
    assert len(lives(client)) == 5
    changes: tuple[Callable[[], object], ...] = (
        lambda: db.update("s", {"user_id": "bob"}),
        lambda: db.put_run(sample_run("s", 1, status="ERROR")),
    )
    for change in changes:
        for key in lives(client):
            client.expire(key, 10)
        change()
        assert set(lives(client).values()) <= {999, 1000}
    assert client.ttl("agno:sessions:index:session_type:agent") == -1


@pytest.mark.parametrize("most", [0, 1000])
def test_records_go_when_they_are_said_to(
    client: Any, open_db: Open, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("agnocli.db._redis.batch.LISTED_BYTES", most)
    at = (EPOCH + 10 * 365 * 86400) * 1000 + 7
    runs = (sample_run("s", 0), sample_run("s", 1, expires_at=at + 1))
    bundle = SessionBundle(sample_session("s", expires_at=at), runs)
    open_db(expire=1000).write([bundle])
    assert client.pexpiretime("agno:sessions:s") == at
    assert client.pexpiretime("agno:runs:by_session:s") == at
    assert client.pexpiretime("agno:runs:s.run-1") == at + 1
    assert 0 < client.ttl("agno:runs:s.run-0") <= 1000
    (found,) = open_db().read(["s"])
    assert (found.session.expires_at, list(found.runs)[1].expires_at) == (at, at + 1)
    later = SessionBundle(sample_session("s", updated_at=EPOCH + 99), ())
    assert open_db().write([later], ConflictPolicy.REPLACE).replaced == ("s",)
    assert client.ttl("agno:sessions:s") == -1


def test_without_expire_what_is_rewritten_keeps_its_time_and_a_new_run_gets_it(
    client: Any, open_db: Open
) -> None:
    open_db(expire=1000).write([sample_bundle("s", 2)])
    db = open_db()
    db.update("s", {"user_id": "bob"})
    db.append_run(sample_run("s", 2))
    db.put_run(sample_run("s", 0, status="ERROR"))
    db.delete_runs("s", ["s.run-1"])
    assert len(lives(client)) == 4
    assert all(900 < left <= 1000 for left in lives(client).values()), lives(client)


def test_a_run_that_has_expired_is_left_out_and_its_place_is_closed(
    client: Any, open_db: Open
) -> None:
    db = open_db()
    db.write([sample_bundle("s", 4)])
    client.delete("agno:runs:s.run-1", "agno:runs:s.run-3")
    assert [run.run_id for run in db.runs("s")] == ["s.run-0", "s.run-2"]
    assert [run.run_id for run in db.runs("s", last=1)] == ["s.run-2"]
    ((_, whole),) = db.scan()
    assert [run.run_id for run in whole.runs] == ["s.run-0", "s.run-2"]
    db.delete_runs("s", ["s.run-0"])
    assert numbered(db.runs("s")) == [(0, "s.run-2")]
    assert client.zrange("agno:runs:by_session:s", 0, -1) == ["s.run-2"]


def test_runs_that_their_session_does_not_list_are_orphans_and_go_behind_its_own(
    client: Any, open_db: Open
) -> None:
    """As an interrupted write on a cluster leaves them."""
    db = open_db()
    db.write([sample_bundle("s", 5)])
    client.zrem("agno:runs:by_session:s", "s.run-1", "s.run-3")
    client.srem("agno:runs:index:session_id:s", "s.run-1")
    assert [run.run_id for run in db.orphans()] == ["s.run-1", "s.run-3"]
    before = client.get("agno:sessions:s")
    db.adopt(sample_session("s", name="Another"), ["s.run-3", "s.run-1"])
    assert list(db.orphans()) == []
    order = ["s.run-0", "s.run-2", "s.run-4", "s.run-1", "s.run-3"]
    assert numbered(db.runs("s")) == list(enumerate(order))
    assert client.get("agno:sessions:s") == before
    assert client.smembers("agno:runs:index:session_id:s") == set(order)


def test_orphans_that_are_deleted_leave_no_key_and_no_place_in_a_set(
    client: Any, open_db: Open
) -> None:
    db = open_db()
    db.write([sample_bundle("s", 2), sample_bundle("t", 1)])
    wanted = {key for key in client.keys("*") if "t" in key.rpartition(":")[2]}
    client.delete("agno:sessions:s")
    assert db.delete_orphans(["s.run-0", "s.run-1", "t.run-0"]) == 2
    left = {key: client.smembers(key) for key in client.keys("agno:runs:index:*")}
    assert set().union(*left.values()) == {"t.run-0"}
    assert set(client.keys("agno:runs:*")) <= wanted | set(left)


def test_a_record_that_nobody_can_read_is_no_orphan_and_hides_none(
    client: Any, open_db: Open
) -> None:
    db = open_db()
    db.write([sample_bundle("s", 2)])
    client.delete("agno:sessions:s")
    client.set("agno:runs:broken", "{nothing")
    client.set("agno:runs:odd", '{"run_data": {}, "session_id": "s", "created_at": 1}')
    assert [run.run_id for run in db.orphans()] == ["odd", "s.run-0", "s.run-1"]
