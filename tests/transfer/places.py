"""Empty places on real servers, as objects and as the configuration of a command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from agnocli.abc import Backend
from agnocli.testing.base_suite import BackendHarness, Part

KINDS = ("sqlite", "postgres", "mysql", "redis", "mongo")


class Place:
    """`name` is what a configuration calls it."""

    def __init__(self, name: str, kind: str, harness: BackendHarness) -> None:
        self.name, self.kind, self._harness = name, kind, harness

    def open(self) -> Backend:
        opener = self._harness.opener()
        assert opener is not None
        return opener()

    def damage(self, session_id: str, part: Part) -> bytes | None:
        return self._harness.damage(session_id, part)

    def lose_session(self, session_id: str) -> None:
        """Its runs stay."""
        assert self._harness.lose_session(session_id)

    @property
    def settings(self) -> str:
        """Its table in a configuration file."""
        opener: Any = self._harness.opener()
        options = dict(opener.keywords)
        if opener.args:
            (options["db_url"],) = opener.args
        lines = [f"{key} = {str(value)!r}" for key, value in options.items()]
        return "\n".join([f"[backends.{self.name}]", f'type = "{self.kind}"', *lines, ""])


@contextmanager
def place(name: str, kind: str, folder: Path) -> Iterator[Place]:
    here = folder / name
    here.mkdir()
    harness: BackendHarness = import_module(f"tests.harness.{kind}").Harness(here)
    try:
        yield Place(name, kind, harness)
    finally:
        harness.close()
