"""What a search tells while it is at work."""

from __future__ import annotations


class Watcher:
    """Hears nothing; override what is to be told."""

    def scanning(self, reason: str) -> None:
        """There is no index: all sessions are read."""

    def reading(self, sessions: int, *, is_new: bool) -> None:
        """So many sessions go into the index; `is_new` when it is built."""

    def read(self, done: int, sessions: int | None, size: int) -> None:
        """So many of them, and bytes of text, are done; likewise of a scan."""

    def refreshed(self, changed: int, gone: int) -> None:
        """An index that was there is up to date again."""

    def waiting(self) -> None:
        """Another search is building the index."""

    def rebuilding(self, reason: str) -> None:
        """The index's file was damaged, and is thrown away."""
