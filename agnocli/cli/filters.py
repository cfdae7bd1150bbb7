"""The filters that all commands over many sessions take: what is listed is what is exported, deleted and migrated."""

from __future__ import annotations

import time
from typing import Any

import typer
from typer.core import TyperOption

from agnocli.abc import SessionQuery, Sort
from agnocli.cli.context import not_empty
from agnocli.cli.options import Command, check_text
from agnocli.cli.times import moment
from agnocli.errors import UsageError

_GIVEN = "agnocli.filters"


def _store(context: typer.Context, parameter: Any, value: str | None) -> None:
    if value is not None:
        check_text(parameter, value)
        context.meta.setdefault(_GIVEN, {})[parameter.name] = value


def _filter(*names: str, help: str, metavar: str | None = None) -> TyperOption:
    return TyperOption(
        param_decls=list(names),
        type=str,
        metavar=metavar or names[0].removeprefix("--").upper(),
        help=help,
        expose_value=False,
        callback=_store,
    )


class Filtered(Command):
    """A command over sessions that are chosen as `sessions list` chooses them; `query` gives what was asked for."""

    shared = (
        "Filters",
        (
            _filter("--user", "-u", help="Of this user."),
            _filter("--agent", help="Of this agent."),
            _filter("--team", help="Of this team."),
            _filter("--type", help="agent, team or workflow."),
            _filter("--since", help="36h, 7d, 2026-01-31."),
            _filter("--until", help="Before that time."),
            _filter("--name", metavar="GLOB", help="Named so."),
            _filter("--tag", help="With this tag."),
            _filter("--status", help="Of the last run."),
            _filter("--model", help="Model id."),
        ),
    )


def query(
    context: typer.Context, *, text: str | None = None, sort: Sort = Sort.UPDATED
) -> SessionQuery:
    """What the filters of a `Filtered` command mean. An empty one is an error, never "all"."""
    given: dict[str, str] = context.meta.get(_GIVEN, {})
    for name, value in given.items():
        not_empty(value, f"--{name}")
    if text is not None:
        not_empty(text, "QUERY")
    kind, now = given.get("type"), time.time()
    if kind not in (None, "agent", "team", "workflow"):
        raise UsageError(f"--type {kind}: no such type", hint="agent, team or workflow")
    return SessionQuery(
        text=text,
        user_id=given.get("user"),
        agent_id=given.get("agent"),
        team_id=given.get("team"),
        session_type=kind,
        since=moment(given.get("since"), now),
        until=moment(given.get("until"), now),
        name=given.get("name"),
        tag=given.get("tag"),
        status=given["status"].upper() if "status" in given else None,
        model=given.get("model"),
        sort=sort,
    )


def is_filtered(query: SessionQuery) -> bool:
    """Whether it means anything less than all sessions."""
    how = ("limit", "skip", "after", "sort", "reverse")
    defaults = SessionQuery()
    return any(
        getattr(query, field) != getattr(defaults, field)
        for field in SessionQuery.__struct_fields__
        if field not in how
    )
