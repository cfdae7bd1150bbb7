# mypy: ignore-errors
"""Agents on database servers, and what agno reads there."""

from agents import model
from agno.agent import Agent
from agno.db.base import SessionType


def database(kind, url, schema):
    if kind == "postgres":
        from agno.db.postgres import PostgresDb

        return PostgresDb(db_url=url, db_schema=schema)
    from agno.db.mysql import MySQLDb

    return MySQLDb(db_url=url, db_schema=schema)


def run(kind, url, schema, base_url, session_id, prompts, **options):
    """One run a prompt, on one agent; the answers."""
    agent = Agent(
        id="assistant",
        name="assistant",
        model=model(base_url),
        db=database(kind, url, schema),
        telemetry=False,
        **options,
    )
    return [agent.run(prompt, session_id=session_id).content for prompt in prompts]


def history(kind, url, schema, session_id):
    """Role and content of the messages that a next run would be given."""
    found = database(kind, url, schema).get_session(session_id, session_type=SessionType.AGENT)
    return [[one.role, one.content] for one in found.get_messages(skip_roles=["system"])]


def session(kind, url, schema, session_id):
    """As the application gets it; None when there is none."""
    found = database(kind, url, schema).get_session(session_id, session_type=SessionType.AGENT)
    return None if found is None else found.to_dict()


def migrate(kind, url, schema):
    """To agno 3's layout, as its users are told to."""
    import asyncio

    from agno.db.migrations.manager import MigrationManager

    asyncio.run(MigrationManager(database(kind, url, schema)).up())
