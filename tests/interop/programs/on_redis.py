# mypy: ignore-errors
"""The same as `agents` and `stored`, on Redis: a place is a URL and a key prefix."""

import asyncio

import redis
from agents import TOOLS, model
from agno.agent import Agent
from agno.db.base import SessionType
from agno.db.redis import RedisDb


def _db(url, prefix, expire=None):
    if prefix == "cluster":
        return RedisDb(redis_client=redis.RedisCluster.from_url(url, decode_responses=True))
    return RedisDb(db_url=url, db_prefix=prefix, expire=expire)


def run(url, prefix, base_url, session_id, prompts, user_id=None, tools=(), **options):
    options = {"id": "assistant", "name": "assistant", **options}
    agent = Agent(
        model=model(base_url),
        db=_db(url, prefix),
        tools=[TOOLS[name] for name in tools],
        telemetry=False,
        **options,
    )
    return [agent.run(one, session_id=session_id, user_id=user_id).to_dict() for one in prompts]


def session(url, prefix, session_id):
    found = _db(url, prefix).get_session(session_id, session_type=SessionType("agent"))
    return None if found is None else {"class": type(found).__name__, **found.to_dict()}


def history(url, prefix, session_id):
    found = _db(url, prefix).get_session(session_id, session_type=SessionType("agent"))
    return [[one.role, one.content] for one in found.get_messages(skip_roles=["system"])]


def session_ids(url, prefix):
    found = _db(url, prefix).get_sessions(session_type=SessionType("agent"))
    return sorted(one.session_id for one in found)


def migrate(url, prefix):
    from agno.db.migrations.manager import MigrationManager

    asyncio.run(MigrationManager(_db(url, prefix)).up())


def delete(url, prefix, session_id):
    return _db(url, prefix).delete_session(session_id)
