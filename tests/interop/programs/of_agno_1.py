# mypy: ignore-errors
"""Agents of agno 1, one storage each."""

from urllib.parse import urlsplit

from agno.agent import Agent
from agno.models.openai.like import OpenAILike


def _sqlite(place, name):
    from agno.storage.sqlite import SqliteStorage

    return SqliteStorage(table_name=name, db_file=place)


def _postgres(place, name, schema):
    from agno.storage.postgres import PostgresStorage

    return PostgresStorage(table_name=name, db_url=place, schema=schema)


def _mysql(place, name, schema):
    from agno.storage.mysql import MySQLStorage

    return MySQLStorage(table_name=name, db_url=place, schema=schema)


def _mongo(place, name, database):
    from agno.storage.mongodb import MongoDbStorage

    return MongoDbStorage(collection_name=name, db_url=place, db_name=database)


def _redis(place, prefix):
    from agno.storage.redis import RedisStorage

    parts = urlsplit(place)
    number = int(parts.path.strip("/") or 0)
    return RedisStorage(prefix=prefix, host=parts.hostname, port=parts.port, db=number)


STORAGES = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "mysql": _mysql,
    "mongo": _mongo,
    "redis": _redis,
}


def run(kind, place, base_url, session_id, prompts):
    """One run a prompt, on one agent; the ids of the sessions that are stored then."""
    storage = STORAGES[kind](*place)
    agent = Agent(
        agent_id="assistant",
        name="assistant",
        model=OpenAILike(id="test-model", base_url=base_url, api_key="none", max_retries=0),
        storage=storage,
        session_id=session_id,
        telemetry=False,
        monitoring=False,
    )
    for prompt in prompts:
        agent.run(prompt)
    return storage.get_all_session_ids()


def migrate(db_file, table):
    """What agno 2 makes of it."""
    from agno.db.migrations.v1_to_v2 import migrate
    from agno.db.sqlite import SqliteDb

    migrate(db=SqliteDb(db_file=db_file), v1_db_schema="", agent_sessions_table_name=table)
