"""What is promised of database servers, beyond the contract: old layouts, foreign collations, failures, plans."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.abc import Backend, Erasing, SessionQuery
from agnocli.db.sql import reading
from agnocli.db.sql.inserting import PART_BYTES
from agnocli.db.sql.store import ATTEMPTS, SQLStore
from agnocli.errors import (
    AgnoCLIError,
    BackendNotSetUpError,
    BackendReadOnlyError,
    BackendUnavailableError,
    ConfigError,
    LayoutError,
    RecordRejectedError,
    SessionConflictError,
    SessionNotFoundError,
)
from agnocli.records import Document, Run, SessionBundle
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session

SERVERS = ("postgres", "mysql")
SECRET = "geheim"


class Place:
    """A place of a server's own kind; `execute` speaks to it as somebody who may do all."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.harness = import_module(f"tests.harness.{kind}").Harness(folder)
        self.schema, self.execute = self.harness.schema, self.harness.execute

    def open(self, url: str | None = None, **options: Any) -> SQLStore:
        module = import_module(f"agnocli.db.{self.kind}")
        options = {"db_url": url or self.harness.url, "db_schema": self.schema, **options}
        backend: SQLStore = module.open_backend(options, name=self.kind, read_only=False)
        return backend

    @property
    def server(self) -> str:
        """host:port"""
        return re.search(r"@([^/?]+)", self.harness.url)[1]  # type: ignore[index]

    def make_schema(self) -> None:
        self.execute(f"CREATE SCHEMA {self.schema}")

    def make_old_table(self) -> None:
        """As Agno before 2.5: no primary key, the runs in the session's row."""
        self.make_schema()
        text, json = ("VARCHAR", "JSONB") if self.kind == "postgres" else ("VARCHAR(128)", "JSON")
        documents = ("session_data", "agent_data", "team_data", "workflow_data", "metadata", "runs")
        columns = [
            f"session_id {text} NOT NULL",
            f"session_type {text} NOT NULL",
            *(f"{one}_id {text}" for one in ("agent", "team", "workflow", "user")),
            *(f"{one} {json}" for one in (*documents, "summary")),
            "created_at BIGINT NOT NULL",
            "updated_at BIGINT",
            "CONSTRAINT uq_session_id UNIQUE (session_id)",
        ]
        self.execute(f"CREATE TABLE {self.schema}.agno_sessions ({', '.join(columns)})")

    def add_old_session(self, session_id: str, *runs: str) -> None:
        blob = codec.line([{"run_id": one, "agent_id": "a", "status": "ERROR"} for one in runs])
        self.execute(
            f"INSERT INTO {self.schema}.agno_sessions (session_id, session_type, user_id, runs, summary, created_at)"
            " VALUES (%s, 'agent', 'u', %s, 'null', 1)",
            session_id,
            blob,
        )


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    place = Place(request.param, tmp_path)
    yield place
    place.harness.close()


@pytest.fixture
def backend(place: Place) -> Iterator[SQLStore]:
    with place.open() as backend:
        yield backend


def ids(backend: Backend, last: int | None = None) -> list[str]:
    return [run.run_id for run in backend.runs("s", last=last)]


# old layouts


def test_runs_inside_the_session_row_are_read_and_new_ones_go_behind_them(
    place: Place, backend: SQLStore
) -> None:
    place.make_old_table()
    place.add_old_session("s", "c", "a")
    assert ids(backend) == ["c", "a"]
    assert (backend.inspect().layout, backend.inspect().runs) == ("v2", 2)
    assert backend.append_run(sample_run("s", run_id="new")).run_index == 2
    assert ids(backend) == ["c", "a", "new"]
    assert ids(backend, last=2) == ["a", "new"]
    (info,) = backend.find(SessionQuery()).items
    assert (info.runs, info.status, backend.inspect().layout) == (3, "COMPLETED", "mixed")


def test_an_old_run_can_be_put_and_deleted(place: Place, backend: SQLStore) -> None:
    place.make_old_table()
    place.add_old_session("s", "x", "y", "z")
    first = next(backend.runs("s"))
    backend.put_run(first)
    backend.delete_runs("s", ["y"])
    assert ids(backend) == ["x", "z"]
    (blob,) = place.execute(f"SELECT runs FROM {place.schema}.agno_sessions")
    assert "'y'" not in repr(blob)
    assert '"y"' not in repr(blob)


def test_a_stamp_left_behind_by_agno_is_no_obstacle(place: Place, backend: SQLStore) -> None:
    backend.write([sample_bundle("s")])
    place.execute(f"DROP TABLE {place.schema}.agno_runs")
    with place.open() as other:
        assert other.append_run(sample_run("s", 0)).run_index == 0
        assert other.inspect().versions == {"agno_sessions": "3.0.0", "agno_runs": "3.0.0"}


def test_foreign_tables_are_named_and_nothing_is_made_beside_them(
    place: Place, backend: SQLStore
) -> None:
    place.make_schema()
    place.execute(f"CREATE TABLE {place.schema}.customers (id INTEGER)")
    with pytest.raises(LayoutError, match="customers"):
        backend.write([sample_bundle("s")])
    with pytest.raises(LayoutError, match="customers"):
        backend.find(SessionQuery())


def test_tables_lie_where_they_are_asked_for(place: Place) -> None:
    with place.open(session_table="100% chats") as backend:
        backend.write([sample_bundle("s")])
        backend.append_run(sample_run("s", 2))
        assert set(backend.inspect().tables) == {
            "100% chats",
            "100% chats_runs",
            "agno_schema_versions",
        }
    with place.open(table_name="100% chats", runs_table="100% chats_runs") as backend:
        assert len(ids(backend)) == 3


def test_a_missing_schema_is_made_only_when_allowed(place: Place) -> None:
    with place.open(create_schema=False) as backend:
        with pytest.raises(AgnoCLIError):
            backend.write([sample_bundle("s")])
        with pytest.raises(BackendNotSetUpError):
            backend.find(SessionQuery())
        place.make_schema()
        backend.write([sample_bundle("s")])
        assert ids(backend) == ["s.run-0", "s.run-1"]


# ids


def test_an_id_that_a_collation_takes_for_another_is_refused(tmp_path: Path) -> None:
    place = Place("mysql", tmp_path)
    place.make_schema()
    place.execute(f"ALTER DATABASE {place.schema} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    with place.open() as backend:
        backend.setup()
        change = "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
        place.execute(f"ALTER TABLE {place.schema}.agno_runs DROP FOREIGN KEY agno_runs_ibfk_1")
        for table in ("agno_sessions", "agno_runs"):
            place.execute(f"ALTER TABLE {place.schema}.{table} {change}")
        backend.write([sample_bundle("abc")])
        for other in ("ABC", "abc ", "\u00e0bc"):
            check_collision(backend, other)
        assert ids_of(backend) == ["abc"]
        assert backend.find(SessionQuery(user_id="ALICE")).items == ()
        assert backend.find(SessionQuery(id_prefix="AB")).items == ()
    place.harness.close()


def check_collision(backend: Backend, other: str) -> None:
    with pytest.raises(RecordRejectedError, match="'abc'"):
        backend.write([sample_bundle(other)])
    with pytest.raises(RecordRejectedError, match=r"abc\.run-0"):
        backend.append_run(sample_run("abc", run_id=f"{other}.run-0".replace(" ", "").upper()))
    for verb in (backend.get, backend.runs, lambda one: backend.delete([one])):
        with pytest.raises(SessionNotFoundError):
            verb(other)
    with pytest.raises(AgnoCLIError):
        backend.put_run(sample_run("abc", run_id="ABC.RUN-0"))


def ids_of(backend: Backend) -> list[str]:
    return [info.session_id for info in backend.find(SessionQuery()).items]


@pytest.mark.parametrize(("length", "fits"), [(128, True), (129, False)])
def test_an_id_longer_than_the_column_is_rejected(
    place: Place, backend: SQLStore, length: int, fits: bool
) -> None:
    bundle = SessionBundle(sample_session("\N{GRINNING FACE}" * length), ())
    if fits or backend.capabilities.max_id_length is None:
        assert backend.write([bundle]).written
        return
    with pytest.raises(RecordRejectedError, match="129 characters"):
        backend.write([bundle])


def test_what_only_the_server_can_know_is_a_rejection_too(place: Place, backend: SQLStore) -> None:
    long = "x" * 60
    bundle = SessionBundle(sample_session("s"), (sample_run("s", status=long),))
    if place.kind == "postgres":
        assert backend.write([bundle]).written
        return
    with pytest.raises(RecordRejectedError, match="status"):
        backend.write([bundle])
    assert backend.get is not None


def test_a_document_larger_than_the_server_takes_is_rejected_and_the_next_one_is_written(
    tmp_path: Path,
) -> None:
    place = Place("mysql", tmp_path)
    with place.open() as backend:
        backend.setup()
        packet = backend.capabilities.max_document_bytes
        assert packet is not None
        for body in ("x" * packet, '"' * (packet // 2 - 100)):
            run = sample_run("s", run_data=document({"content": body}))
            with pytest.raises(RecordRejectedError):
                backend.write([SessionBundle(sample_session("s"), (run,))])
        backend.write([sample_bundle("s")])
    place.harness.close()


# failures


def test_a_server_that_is_not_there_is_said_to_be_away(place: Place) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        url = f"{url_scheme(place)}://bob:{SECRET}@127.0.0.1:{port}/db"
        with place.open(url) as backend, pytest.raises(BackendUnavailableError) as caught:
            backend.find(SessionQuery())
    check_said(caught.value, f"127.0.0.1:{port}")


def test_a_server_that_never_answers_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"agnocli.db.{place.kind}.CONNECT_SECONDS", 2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        url = f"{url_scheme(place)}://bob:{SECRET}@127.0.0.1:{port}/db"
        with place.open(url) as backend, pytest.raises(BackendUnavailableError) as caught:
            backend.find(SessionQuery())
    check_said(caught.value, str(port))


def test_a_wrong_password_is_said_and_never_shown(place: Place) -> None:
    name = f"u{place.schema[8:]}"
    mark = "ROLE" if place.kind == "postgres" else "USER"
    right = "LOGIN PASSWORD 'x'" if place.kind == "postgres" else "IDENTIFIED BY 'x'"
    place.execute(f"CREATE {mark} {name} {right}")
    try:
        url = f"{url_scheme(place)}://{name}:{SECRET}@{place.server}/postgres"
        with place.open(url) as backend, pytest.raises(BackendUnavailableError) as caught:
            backend.find(SessionQuery())
    finally:
        place.execute(f"DROP {mark} {name}")
    check_said(caught.value, "password")


def test_a_user_who_may_only_read_reads_and_is_told_so_when_it_writes(place: Place) -> None:
    with place.open() as backend:
        backend.write([sample_bundle("s")])
    name = f"u{place.schema[8:]}"
    if place.kind == "postgres":
        place.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
        place.execute(f"GRANT USAGE ON SCHEMA {place.schema} TO {name}")
        place.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {place.schema} TO {name}")
    else:
        place.execute(f"CREATE USER {name} IDENTIFIED BY 'x'")
        place.execute(f"GRANT SELECT ON {place.schema}.* TO {name}")
    try:
        with place.open(f"{url_scheme(place)}://{name}:x@{place.server}/postgres") as reader:
            assert ids(reader) == ["s.run-0", "s.run-1"]
            for write in (reader.probe, lambda: reader.delete(["s"])):
                with pytest.raises(BackendReadOnlyError) as caught:
                    write()
                check_said(caught.value, "denied")
    finally:
        if place.kind == "postgres":
            place.execute(f"DROP OWNED BY {name}")
            place.execute(f"DROP ROLE {name}")
        else:
            place.execute(f"DROP USER {name}")


def test_a_database_that_does_not_exist_is_named(tmp_path: Path) -> None:
    place = Place("postgres", tmp_path)
    url = re.sub(r"/postgres\b", "/nowhere", place.harness.url)
    with place.open(url) as backend, pytest.raises(BackendUnavailableError, match="nowhere"):
        backend.find(SessionQuery())
    place.harness.close()


@pytest.mark.parametrize(
    "url", ["x", f"mysql:/{SECRET}", f"redis://u:{SECRET}@h", f"://u:{SECRET}@h:port/d"]
)
def test_a_url_that_is_none_is_refused_without_its_password(place: Place, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        place.open(url)
    assert SECRET not in f"{caught.value} {caught.value.hint}" or "@" not in url


@pytest.mark.parametrize("option", ["db_shema", "collection"])
def test_an_option_nobody_knows_is_named_with_the_nearest(place: Place, option: str) -> None:
    with pytest.raises(ConfigError, match=option):
        place.open(**{option: "x"})


def url_scheme(place: Place) -> str:
    return "postgresql+psycopg" if place.kind == "postgres" else "mariadb+pymysql"


def check_said(error: AgnoCLIError, what: str) -> None:
    assert what in str(error)
    assert error.hint
    assert "\n" not in str(error)
    assert SECRET not in f"{error} {error.hint} {error.__cause__}"


def cut_connections(place: Place) -> None:
    if place.kind == "postgres":
        place.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            place.schema,
        )
        return
    wanted = "SELECT id FROM information_schema.processlist WHERE user = %s"
    for (number,) in place.execute(wanted, place.schema):
        place.execute(f"KILL {number}")


def wait_until_cut(backend: SQLStore) -> None:
    """The end of a connection arrives a moment after the server decided on it."""
    arrived = threading.Event()
    connections = backend._connections
    for _ in range(200):
        idle = [*connections._idle, *filter(None, [connections._writer])]
        if not any(backend._dialect.alive(one) for one in idle):
            return
        arrived.wait(0.02)
    raise AssertionError("still connected")


def test_connections_that_ended_while_idle_are_opened_anew(place: Place, backend: SQLStore) -> None:
    backend.write([sample_bundle("s")])
    assert len(ids(backend)) == 2
    cut_connections(place)
    wait_until_cut(backend)
    assert len(ids(backend)) == 2
    assert backend.append_run(sample_run("s", 2)).run_index == 2


def test_a_server_that_goes_in_the_middle_of_a_write_leaves_no_half_session(
    place: Place, backend: SQLStore
) -> None:
    backend.write([sample_bundle("there")])

    def bundles() -> Iterator[SessionBundle]:
        yield sample_bundle("s", 3)
        cut_connections(place)
        yield sample_bundle("t", 3)

    with pytest.raises(BackendUnavailableError) as caught:
        backend.write(bundles())
    assert caught.value.transient
    assert ids_of(backend) == ["there"]
    backend.write([sample_bundle("s", 3)])


def test_a_server_that_goes_in_the_middle_of_a_read_is_an_error(
    place: Place, backend: SQLStore
) -> None:
    body = document({"content": "x" * 50_000})
    runs = (sample_run("s", number, run_data=body) for number in range(2000))
    backend.write([SessionBundle(sample_session("s"), runs)])
    reading = backend.runs("s")
    next(reading)
    cut_connections(place)
    with pytest.raises(BackendUnavailableError):
        list(reading)
    assert len(ids(backend, last=3)) == 3


def test_a_server_that_goes_while_a_long_session_is_scanned_is_an_error(
    place: Place, backend: SQLStore
) -> None:
    body = document({"content": "x" * 1_000_000})
    runs = (sample_run("s", number, run_data=body) for number in range(12))
    backend.write([SessionBundle(sample_session("s"), runs)])
    for _, bundle in backend.scan():
        half_read = iter(bundle.runs)
        next(half_read)
        cut_connections(place)
        with pytest.raises(BackendUnavailableError):
            list(half_read)
        break
    assert len(ids(backend, last=3)) == 3


def test_a_deadlock_is_undone_and_done_again(
    place: Place, backend: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.write([sample_bundle("s"), sample_bundle("t")])
    monkeypatch.setattr("agnocli.db.sql.writing.delete_runs", locking_both(place, backend))
    at_once: list[BaseException | int] = []

    def edit(*order: Any) -> None:
        try:
            at_once.append(backend_of[order].delete_runs(order[0], [order[1]]))
        except AgnoCLIError as error:
            at_once.append(error)

    with place.open() as other:
        backend_of = {("s", "t"): backend, ("t", "s"): other}
        threads = [threading.Thread(target=edit, args=order) for order in backend_of]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert at_once == [1, 1]


UNDONE = {
    "postgres": "DO $$ BEGIN RAISE EXCEPTION 'a deadlock' USING ERRCODE = '40P01'; END $$",
    "mysql": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'a deadlock'",
}


@pytest.mark.parametrize("times", [ATTEMPTS - 1, ATTEMPTS])
def test_an_edit_that_is_undone_time_and_again_is_given_up_at_last(
    place: Place, backend: SQLStore, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    backend.write([sample_bundle("s")])
    attempts: list[object] = []

    def edit(cursor: Any, *_: object) -> int:
        attempts.append(cursor)
        if len(attempts) <= times:
            cursor.execute(UNDONE[place.kind])
        return 1

    monkeypatch.setattr("agnocli.db.sql.writing.delete_runs", edit)
    if times < ATTEMPTS:
        assert backend.delete_runs("s", ["r"]) == 1
    else:
        with pytest.raises(BackendUnavailableError, match="gave up: a deadlock"):
            backend.delete_runs("s", ["r"])
    assert len(attempts) == ATTEMPTS


def locking_both(place: Place, backend: SQLStore) -> Callable[..., int]:
    """In place of an edit: locks two rows, in an order that makes two such edits wait for each other; but once."""
    both = threading.Barrier(2)
    met = threading.local()

    def edit(cursor: Any, found: Any, first: str, then: list[str], now: int) -> int:
        again = getattr(met, "once", False)
        met.once = True
        order = sorted([first, *then]) if again else [first, *then]
        for session_id in order:
            cursor.execute(found.session(lock=True), [session_id])
            cursor.fetchall()
            if not again and session_id == first:
                both.wait(60)
        return 1

    return edit


def test_a_session_that_two_write_first_at_once_is_a_conflict_for_one(
    place: Place, backend: SQLStore
) -> None:
    backend.setup()
    started, done = threading.Event(), threading.Event()
    outcome: list[object] = []

    def runs() -> Iterator[Run]:
        body = document({"content": "x" * PART_BYTES})
        yield sample_run("long", 0, run_data=body)
        started.set()
        done.wait(1)

    def slow() -> Iterator[SessionBundle]:
        yield sample_bundle("s", 0)
        yield SessionBundle(sample_session("long"), runs())

    def write_slowly() -> None:
        outcome.append(backend.write(slow()).written)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    with place.open() as other:
        other.inspect()
        assert started.wait(60)
        with pytest.raises(SessionConflictError):
            other.write([sample_bundle("s", 0, name="Other")])
        done.set()
    writer.join(60)
    assert outcome == [("s", "long")]


# text and plans


def test_columns_of_another_program_are_written_by_the_many(
    place: Place, backend: SQLStore
) -> None:
    backend.setup()
    for column, kind in (("seen", "DATE"), ("cost", "DECIMAL(10, 3)"), ("raw", binary_of(place))):
        place.execute(f"ALTER TABLE {place.schema}.agno_runs ADD COLUMN {column} {kind}")
    extra = {"seen": date(2026, 2, 3), "cost": Decimal("1.250"), "raw": b"\x00'\\\xff"}
    runs = (sample_run("s", 0, extra=extra), sample_run("s", 1), sample_run("s", 2, extra=extra))
    with place.open() as other:
        other.write([SessionBundle(sample_session("s"), runs)])
        found = [dict(run.extra) for run in other.runs("s")]
    assert found == [extra, dict.fromkeys(extra), extra]


def binary_of(place: Place) -> str:
    return "BYTEA" if place.kind == "postgres" else "BLOB"


def test_the_runs_of_many_sessions_come_out_of_an_index(place: Place, backend: SQLStore) -> None:
    backend.write([sample_bundle(f"{number:04}", 5) for number in range(2000)])
    with backend._connections.reading() as cursor:
        found = backend._statements(cursor)
        with reading.moment(cursor, backend._dialect):
            chosen = [f"{number:04}" for number in range(500)]
            cursor.execute(f"EXPLAIN {found.runs_of(500)}", chosen)
            plan = repr(cursor.fetchall())
    assert "session_id" in plan
    assert not re.search(r"Seq Scan|'ALL'", plan)


def test_other_tables_are_counted(place: Place, backend: SQLStore) -> None:
    backend.write([sample_bundle("s")])
    assert backend.inspect().others == {}
    table = f"{place.schema}.agno_memories"
    place.execute(f"CREATE TABLE {table} (memory_id VARCHAR(20))")
    place.execute(f"CREATE VIEW {place.schema}.one_more AS SELECT * FROM {table}")
    place.execute(f"INSERT INTO {table} VALUES ('a'), ('b')")
    assert backend.inspect().others == {"agno_memories": 2}


def test_characters_that_agno_drops_are_kept(backend: SQLStore) -> None:
    hard = Document(rb'{"a": "\u001b[31mred\f\ufffe"}')
    backend.write([SessionBundle(sample_session("s", metadata=hard), ())])
    found = codec.members(backend.get("s").metadata)
    assert found == {"a": "\x1b[31mred\x0c\ufffe"}


def test_the_last_runs_come_out_of_the_index(place: Place, backend: SQLStore) -> None:
    runs = (sample_run("s", number) for number in range(3000))
    backend.write([SessionBundle(sample_session("s"), runs), sample_bundle("t", 50)])
    if place.kind == "postgres":
        place.execute(f"ANALYZE {place.schema}.agno_runs")
    else:
        place.execute(f"ANALYZE TABLE {place.schema}.agno_runs")
    with backend._connections.reading() as cursor:
        found = backend._statements(cursor)
    sql, bound = found.newest_runs("s", 5)
    plan = repr(place.execute(f"EXPLAIN {sql}", *bound))
    assert "session_id_run_index" in plan
    if place.kind == "postgres":
        assert "Index Scan Backward" in plan
        assert "Seq Scan" not in plan


def test_a_driver_is_imported_by_nobody_else() -> None:
    root = Path(import_module("agnocli").__file__ or "").parent
    owners = {"psycopg": {"db/postgres.py"}, "pymysql": {"db/mysql.py", "db/_mysql/failures.py"}}
    for driver, owned in owners.items():
        users = {
            path.relative_to(root).as_posix()
            for path in root.rglob("*.py")
            if re.search(rf"^\s*(import|from) {driver}\b", path.read_text(), re.MULTILINE)
        }
        assert users == owned


def test_closing_leaves_no_connection(place: Place) -> None:
    with closing(place.open()) as backend:
        backend.write([sample_bundle("s", 30)])
        half_read = backend.runs("s")
        next(half_read)
        half_read.close()  # type: ignore[attr-defined]
    # the place looks for what is left when it is closed


def test_an_erasure_vacuums_both_tables(tmp_path: Path) -> None:
    place = Place("postgres", tmp_path)
    with closing(place.harness), place.open() as backend:
        assert isinstance(backend, Erasing)
        backend.write([sample_bundle("a"), sample_bundle("b")])
        with backend.erasing():
            backend.delete(["a"])
        tables = f"FROM pg_stat_user_tables WHERE schemaname = '{place.schema}'"
        vacuumed = place.execute(f"SELECT relname {tables} AND vacuum_count > 0")
        assert sorted(vacuumed) == [("agno_runs",), ("agno_sessions",)]


def test_a_user_who_may_not_vacuum_may_erase(tmp_path: Path) -> None:
    place = Place("postgres", tmp_path)
    name = f"u{place.schema[8:]}"
    with closing(place.harness), place.open() as backend:
        backend.write([sample_bundle("a"), sample_bundle("b")])
        place.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
        place.execute(f"GRANT USAGE ON SCHEMA {place.schema} TO {name}")
        rights = "SELECT, INSERT, UPDATE, DELETE"
        place.execute(f"GRANT {rights} ON ALL TABLES IN SCHEMA {place.schema} TO {name}")
        try:
            with place.open(f"{url_scheme(place)}://{name}:x@{place.server}/postgres") as user:
                assert isinstance(user, Erasing)
                with user.erasing():
                    user.delete(["a"])
            assert list(backend.ids()) == ["b"]
        finally:
            place.execute(f"DROP OWNED BY {name}")
            place.execute(f"DROP ROLE {name}")
