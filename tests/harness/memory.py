from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from agnocli.abc import Backend
from agnocli.db.memory import MemoryDb


class Harness:
    def __init__(self, folder: Path) -> None:
        """Memory needs no place."""

    def open(self) -> MemoryDb:
        return MemoryDb()

    def reopen(self) -> None:
        return None

    def read_only(self) -> MemoryDb:
        return MemoryDb(read_only=True)

    def opener(self) -> Callable[[], Backend] | None:
        return None

    def add_column(self, table: str, name: str) -> None:
        """Any column can be held."""

    def lose_session(self, session_id: str) -> bool:
        return False

    def damage(self, session_id: str, part: str) -> None:
        return None

    def fingerprint(self) -> Mapping[str, str]:
        return {}

    def close(self) -> None:
        """Gone with the objects."""
