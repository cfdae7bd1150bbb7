# mypy: ignore-errors
"""What agno reads at a place that sessions were moved to."""

from agno.db.base import SessionType
from speed import database


def session(kind, place, session_id):
    found = database(kind, place).get_session(session_id, session_type=SessionType.AGENT)
    return None if found is None else found.to_dict()


def history(kind, place, session_id):
    """Role, content and tool calls of all messages."""
    found = database(kind, place).get_session(session_id, session_type=SessionType.AGENT)
    return [[one.role, one.content, one.tool_calls] for one in found.get_messages()]
