"""Where the sessions of an agent are that was given no database: in this process."""

from __future__ import annotations

from agnocli.abc import Backend
from agnocli.db.memory import MemoryDb


def memory() -> Backend:
    return MemoryDb()
