# mypy: ignore-errors
"""What agno takes for what we are measured at: seconds, the least of several."""

import time

from agno.db.base import SessionType
from agno.run.agent import RunOutput


def database(kind, place):
    if kind == "sqlite":
        from agno.db.sqlite import SqliteDb

        return SqliteDb(db_file=place["file"])
    if kind == "redis":
        from agno.db.redis import RedisDb

        return RedisDb(db_url=place["url"], db_prefix=place["prefix"])
    if kind == "mongo":
        from agno.db.mongo import MongoDb

        return MongoDb(db_url=place["url"], db_name=place["database"])
    if kind == "postgres":
        from agno.db.postgres import PostgresDb as Database
    else:
        from agno.db.mysql import MySQLDb as Database
    return Database(db_url=place["url"], db_schema=place["schema"])


def least(times, action):
    found = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        found.append(time.perf_counter() - started)
    return min(found)


def listing(kind, place, limit, times):
    db = database(kind, place)
    assert len(db.get_sessions(limit=limit)) == limit
    return least(times, lambda: db.get_sessions(limit=limit))


def turn(kind, place, session_id, runs, times):
    """As an agent does it, without a model: read the session and its last messages, put a run into it, store both.

    Of a process that did not know the session, and of one that holds its runs. On MariaDB agno cannot store a run: there it is reading alone.
    """
    db = database(kind, place)

    def once():
        nonlocal runs
        session = db.get_session(session_id, session_type=SessionType.AGENT)
        assert len(session.runs) == runs
        assert session.get_messages(last_n_runs=5)
        if kind == "mysql":
            return
        run = RunOutput(run_id=f"agno-{runs}", session_id=session_id, agent_id="a", content="Yes.")
        session.upsert_run(run)
        db.upsert_session(session)
        db.upsert_run(run, session_id, run_index=runs)
        runs += 1

    db.get_session("nobody", session_type=SessionType.AGENT)  # connects
    return [least(1, once), least(times, once)]
