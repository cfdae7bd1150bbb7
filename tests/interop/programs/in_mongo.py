# mypy: ignore-errors
"""Agents as applications build them, with MongoDB for a storage."""

import asyncio

from agents import TOOLS, model
from agno.agent import Agent
from agno.db.base import SessionType
from agno.db.mongo import MongoDb


def open_db(place):
    url, name = place
    return MongoDb(db_url=url, db_name=name)


def run(place, base_url, session_id, prompts, user_id=None, tools=(), **options):
    """One run a prompt, on one agent; what each returned."""
    db = open_db(place)
    agent = Agent(
        id="assistant",
        name="assistant",
        model=model(base_url),
        db=db,
        tools=[TOOLS[name] for name in tools],
        telemetry=False,
        **options,
    )
    outputs = [agent.run(one, session_id=session_id, user_id=user_id) for one in prompts]
    db.db_client.close()
    return [output.to_dict() for output in outputs]


def session(place, session_id):
    """The session's object, as a dict again; None when there is none."""
    db = open_db(place)
    found = db.get_session(session_id, session_type=SessionType.AGENT)
    db.db_client.close()
    return None if found is None else {"class": type(found).__name__, **found.to_dict()}


def history(place, session_id):
    """Role and content of the messages that a next run would be given."""
    db = open_db(place)
    found = db.get_session(session_id, session_type=SessionType.AGENT)
    messages = found.get_messages(skip_roles=["system"])
    db.db_client.close()
    return [[message.role, message.content] for message in messages]


def rename(place, session_id, name):
    db = open_db(place)
    db.rename_session(session_id, SessionType.AGENT, name)
    db.db_client.close()


def migrate(place):
    """To agno 3's layout, as its users are told to."""
    from agno.db.migrations.manager import MigrationManager

    db = open_db(place)
    asyncio.run(MigrationManager(db).up())
    db.db_client.close()
