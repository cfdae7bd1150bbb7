# mypy: ignore-errors
"""What agno makes of a database file."""

import asyncio

from agno.db.base import SessionType
from agno.db.sqlite import SqliteDb


def _load(db_file, session_id, session_type="agent", user_id=None):
    kind = SessionType(session_type)
    return SqliteDb(db_file=db_file).get_session(session_id, session_type=kind, user_id=user_id)


def session(db_file, session_id, session_type="agent", user_id=None):
    """The session's object, as a dict again; None when there is none."""
    found = _load(db_file, session_id, session_type, user_id)
    if found is None:
        return None
    return {"class": type(found).__name__, **found.to_dict()}


def history(db_file, session_id):
    """Role and content of the messages that a next run would be given."""
    messages = _load(db_file, session_id).get_messages(skip_roles=["system"])
    return [[message.role, message.content] for message in messages]


def session_ids(db_file, session_type="agent"):
    found = SqliteDb(db_file=db_file).get_sessions(session_type=SessionType(session_type))
    return sorted(one.session_id for one in found)


def run(db_file, run_id):
    found = SqliteDb(db_file=db_file).get_run(run_id)
    return None if found is None else found.to_dict()


def migrate(db_file):
    """To agno 3's layout, as its users are told to."""
    from agno.db.migrations.manager import MigrationManager

    asyncio.run(MigrationManager(SqliteDb(db_file=db_file)).up())


def cancel(db_file, session_id, run_id):
    """Store a run again with another status."""
    from agno.run.base import RunStatus

    session = _load(db_file, session_id)
    run = session.get_run(run_id)
    run.status = RunStatus.cancelled
    SqliteDb(db_file=db_file).upsert_run(run, session_id, session.user_id)


def delete(db_file, session_id):
    return SqliteDb(db_file=db_file).delete_session(session_id)


def rename(db_file, session_id, name):
    SqliteDb(db_file=db_file).rename_session(session_id, SessionType.AGENT, name)
