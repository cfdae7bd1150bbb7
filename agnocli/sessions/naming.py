"""Names of sessions."""

from __future__ import annotations

from agnocli.abc import Backend
from agnocli.edit import edit_members
from agnocli.records import Session


def rename(backend: Backend, session_id: str, name: str) -> Session:
    """Set the name, and nothing but the name and `updated_at`."""
    return edit_members(backend, session_id, "session_data", lambda _: {"session_name": name})
