"""The rows of an SQLite store into Redis by a plain script, with all the keys that Agno keeps: SOURCE.db URL.

raw_limit.py leaves out the sets by which Agno finds sessions and runs, which are most of the commands.
Prints {"seconds": …}.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from typing import Any

import msgspec
import redis

from agnocli.records import RUN_COLUMNS, RUN_DOCUMENTS, SESSION_COLUMNS, SESSION_DOCUMENTS

RUN_SETS = ("session_id", "user_id", "agent_id", "team_id", "workflow_id", "run_type", "status")
AT_ONCE = 250


def records(path: str, table: str, columns: tuple[str, ...]) -> Any:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for row in database.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY rowid"):
        record: dict[str, Any] = dict(zip(columns, row, strict=True))
        for name in {*SESSION_DOCUMENTS, *RUN_DOCUMENTS} & record.keys():
            record[name] = msgspec.Raw(record[name].encode()) if record[name] else None
        yield record


def listed(pipe: Any, table: str, record: dict[str, Any], names: tuple[str, ...], key: str) -> None:
    for name in names:
        if record[name] is not None:
            pipe.sadd(f"plain:{table}:index:{name}:{record[name]}", key)


def main(path: str, url: str) -> float:
    client = redis.Redis.from_url(url)
    for key in client.scan_iter("plain:*", count=5000):
        client.unlink(key)
    began = time.perf_counter()
    pipe = client.pipeline(transaction=False)
    for number, session in enumerate(records(path, "agno_sessions", SESSION_COLUMNS), 1):
        key = session["session_id"]
        pipe.set(f"plain:sessions:{key}", msgspec.json.encode(session))
        own = f"{session['session_type']}_id"
        listed(pipe, "sessions", session, ("session_type", "user_id", own), key)
        if not number % AT_ONCE:
            pipe.execute()
    for number, run in enumerate(records(path, "agno_runs", RUN_COLUMNS), 1):
        key = run["run_id"]
        pipe.set(f"plain:runs:{key}", msgspec.json.encode(run))
        pipe.zadd(f"plain:runs:by_session:{run['session_id']}", {key: run["run_index"]})
        listed(pipe, "runs", run, RUN_SETS, key)
        if not number % AT_ONCE:
            pipe.execute()
    pipe.execute()
    return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps({"seconds": main(*sys.argv[1:])}))
