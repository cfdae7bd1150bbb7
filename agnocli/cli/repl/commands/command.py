"""What a command is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from agnocli.errors import UsageError

if TYPE_CHECKING:
    from agnocli.cli.repl.loop import Repl
    from agnocli.cli.repl.talk import Talk

Candidate = tuple[str, str]
"""An argument that may be typed, and a remark on it."""


class Command(msgspec.Struct, frozen=True):
    """`takes` names the argument, in brackets when it may be left out; empty when there is none.

    `candidates` gives what the argument may be, from what is there of it.
    """

    name: str
    takes: str
    help: str
    act: Callable[[Repl, str], None]
    candidates: Callable[[Talk, str], Iterator[Candidate]] | None = None

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.takes}".rstrip()


def turn_number(text: str) -> int | None:
    """A number from 1, or from the end as -1; None for other text."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() else None


def count(text: str, command: str, otherwise: int) -> int:
    """A number of turns, or what it is when none is given. UsageError."""
    if not text:
        return otherwise
    number = turn_number(text)
    if number is None or number < 1:
        raise UsageError(f"/{command} {text}: not a number of turns", hint=f"as /{command} 3")
    return number


def words(*offered: str) -> Callable[[Talk, str], Iterator[Candidate]]:
    """Always the same candidates."""
    return lambda talk, argument: ((one, "") for one in offered)
