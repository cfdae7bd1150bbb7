"""Which sessions a command is about: those that are named, or all that the filters of `sessions list` show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import typer

from agnocli.abc import Backend, SessionQuery
from agnocli.cli import filters
from agnocli.errors import UsageError
from agnocli.layout.filter import listed
from agnocli.records import SessionInfo


class Choice(NamedTuple):
    """Named ones, or those of a query."""

    references: Sequence[str]
    query: SessionQuery

    @property
    def is_one(self) -> bool:
        return len(self.references) == 1


def choice(
    context: typer.Context, references: Sequence[str] | None, *, everything: bool = False
) -> Choice:
    """UsageError unless it is said which: by name, by a filter, or all of them; never all by accident."""
    query = filters.query(context)
    filtered = filters.is_filtered(query)
    if references and (filtered or everything):
        raise UsageError(
            "sessions are named, or chosen with filters or --all, not both",
            hint="leave one of the two out",
        )
    if not (references or filtered or everything):
        raise UsageError("which sessions?", hint="name some, or choose with a filter or --all")
    return Choice(references or (), query)


def infos(backend: Backend, chosen: Choice) -> Iterator[SessionInfo]:
    """Each of them once. All names are looked up before the first is given."""
    if chosen.references:
        yield from _named(backend, chosen.references)
    else:
        yield from listed(backend, chosen.query)


def _named(backend: Backend, references: Sequence[str]) -> Iterator[SessionInfo]:
    from agnocli.sessions.resolve import resolve

    ids = dict.fromkeys([resolve(backend, one) for one in references])
    for session_id in ids:
        query = SessionQuery(id_prefix=session_id)
        yield from (one for one in listed(backend, query) if one.session_id == session_id)
