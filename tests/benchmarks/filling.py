"""Many small sessions on a database server, by its own quickest way in, which our writing is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import psycopg
import pymysql
from pymongo import MongoClient

from agnocli import codec
from agnocli.db._mongo.documents import run_fields, session_fields
from agnocli.db._redis import rows
from agnocli.db._redis.keys import Keys
from agnocli.layout.names import RUNS, SESSIONS
from agnocli.records import Document, Run, Session

AT_ONCE = 1000
FIRST_DAY = 1_700_000_000
SPREAD = 86_400
"""Seconds within which a session may be updated after it was made."""

SESSION_DATA = codec.encode({"session_state": {"items": ["a", "b"]}, "session_name": "Trip"})
SAID = [
    {"role": "user", "content": "Where to, in Zürich?"},
    {"role": "assistant", "content": "To the lake, and then on foot. " * 5},
]


def sessions(number: int) -> Iterator[Session]:
    """Made one after the other, continued in another order."""
    for n in range(number):
        mixed = n * 2654435761 % 2**32
        made = FIRST_DAY + n * 10
        yield Session(
            session_id=f"{mixed:08x}-{n}", agent_id="a", user_id=f"u{n % 50}",
            session_data=SESSION_DATA, created_at=made, updated_at=made + mixed % SPREAD,
        )  # fmt: skip


def run(session_id: str, index: int, data: Document | None = None) -> Run:
    run_id = f"{session_id}.{index}"
    return Run(
        run_id=run_id, session_id=session_id, agent_id="a", status="COMPLETED", run_index=index,
        run_data=data or run_data(run_id, session_id), created_at=FIRST_DAY + index,
    )  # fmt: skip


def run_data(run_id: str, session_id: str) -> Document:
    named = {"run_id": run_id, "session_id": session_id, "agent_id": "a", "status": "COMPLETED"}
    return codec.encode({**named, "messages": SAID})


def _chunks(number: int) -> Iterator[list[Session]]:
    found = sessions(number)
    while chunk := list(islice(found, AT_ONCE)):
        yield chunk


def _fill_sql(harness: Any, connection: Any, number: int, runs: int, analyze: str) -> None:
    """Runs are made on the server, from the sessions there."""
    with harness.open() as backend:
        backend.setup()
    columns = ("session_id", "session_type", "agent_id", "user_id", "session_data", "created_at")
    into = f"INSERT INTO {harness.schema}.{SESSIONS} ({', '.join(columns)}, updated_at)"
    indexes = " UNION ALL ".join(f"SELECT {index} AS n" for index in range(runs))
    of_run = "run_id, session_id, run_type, agent_id, status, run_index, run_data, created_at"
    named = "CONCAT(s.session_id, '.', i.n), s.session_id, 'agent', 'a', 'COMPLETED', i.n"
    with closing(connection), connection.cursor() as cursor:
        for chunk in _chunks(number):
            bound = [
                (*(getattr(one, name) for name in columns[:4]), SESSION_DATA.decode(),
                 one.created_at, one.updated_at)
                for one in chunk
            ]  # fmt: skip
            cursor.executemany(f"{into} VALUES (%s, %s, %s, %s, %s, %s, %s)", bound)
        cursor.execute(
            f"INSERT INTO {harness.schema}.{RUNS} ({of_run}) SELECT {named}, %s, s.created_at"
            f" FROM {harness.schema}.{SESSIONS} AS s CROSS JOIN ({indexes}) AS i",
            [run_data("r", "s").decode()],
        )
        connection.commit()
        for table in (SESSIONS, RUNS):
            cursor.execute(f"{analyze} {harness.schema}.{table}")
        connection.commit()


def _fill_postgres(harness: Any, number: int, runs: int) -> None:
    _fill_sql(harness, psycopg.connect(harness.server), number, runs, "ANALYZE")


def _fill_mysql(harness: Any, number: int, runs: int) -> None:
    how = harness.connecting()
    _fill_sql(harness, pymysql.connect(**how), number, runs, "ANALYZE TABLE")


def _fill_redis(harness: Any, number: int, runs: int) -> None:
    keys = Keys(harness.prefix)
    models = [run("SESSION", index) for index in range(runs)]
    texts = [rows.text(rows.run_members(one), one) for one in models]
    for chunk in _chunks(number):
        records: dict[bytes, bytes] = {}
        pipeline = harness.client.pipeline(transaction=False)
        for session in chunk:
            name = session.session_id
            records[keys.session(name)] = rows.text(rows.session_members(session), session)
            for index, text in enumerate(texts):
                records[keys.run(f"{name}.{index}")] = text.replace(b"SESSION", name.encode())
            pipeline.zadd(keys.runs_of(name), {f"{name}.{index}": index for index in range(runs)})
        for indexed in keys.session_indexes(chunk[0]):
            pipeline.sadd(indexed, *(one.session_id for one in chunk))
        pipeline.mset(records)
        pipeline.execute()


def _fill_mongo(harness: Any, number: int, runs: int) -> None:
    with harness.open() as backend:
        backend.setup()
    with MongoClient[Any](harness.url) as client:
        database = client.get_database(harness.database)
        for chunk in _chunks(number):
            database[SESSIONS].insert_many([session_fields(one) for one in chunk], ordered=False)
            stored = (run(one.session_id, index) for one in chunk for index in range(runs))
            database[RUNS].insert_many([run_fields(one) for one in stored], ordered=False)


FILL: dict[str, Callable[[Any, int, int], None]] = {
    "postgres": _fill_postgres,
    "mysql": _fill_mysql,
    "redis": _fill_redis,
    "mongo": _fill_mongo,
}
"""By backend: a harness, how many sessions, of how many runs."""
