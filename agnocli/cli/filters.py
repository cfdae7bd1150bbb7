"""The filters that all commands over many sessions take: what is listed is what is exported, deleted and migrated."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from typer.core import TyperOption

from agnocli.abc import SessionQuery, Sort
from agnocli.cli.context import not_empty
from agnocli.cli.options import Command, check_text
from agnocli.cli.times import moment
from agnocli.errors import UsageError

User = Annotated[str | None, typer.Option("--user", "-u", help="Of this user.")]
Agent = Annotated[str | None, typer.Option("--agent", help="Of this agent.")]
Team = Annotated[str | None, typer.Option("--team", help="Of this team.")]
Type = Annotated[str | None, typer.Option("--type", help="agent, team or workflow.")]
Since = Annotated[str | None, typer.Option("--since", help="36h, 7d, 2026-01-31.")]
Until = Annotated[str | None, typer.Option("--until", help="Before that time.")]
Name = Annotated[str | None, typer.Option("--name", metavar="GLOB", help="Named so.")]
Tag = Annotated[str | None, typer.Option("--tag", help="With this tag.")]
Status = Annotated[str | None, typer.Option("--status", help="Of the last run.")]
Model = Annotated[str | None, typer.Option("--model", help="Model id.")]


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
    names = ("user", "agent", "team", "since", "until", "name", "tag", "status", "model")
    chosen = {name: given.get(name) for name in names}
    return query_of(text=text, sort=sort, type_=given.get("type"), **chosen)


def query_of(
    *,
    text: str | None = None,
    user: str | None,
    agent: str | None,
    team: str | None,
    type_: str | None,
    since: str | None,
    until: str | None,
    name: str | None,
    tag: str | None,
    status: str | None,
    model: str | None,
    sort: Sort = Sort.UPDATED,
) -> SessionQuery:
    """The query of these filters. An empty one is an error, never "all"."""
    given = {
        "QUERY": text,
        "--user": user,
        "--agent": agent,
        "--team": team,
        "--type": type_,
        "--name": name,
        "--tag": tag,
        "--status": status,
        "--model": model,
        "--since": since,
        "--until": until,
    }
    for flag, value in given.items():
        if value is not None:
            not_empty(value, flag)
    if type_ not in (None, "agent", "team", "workflow"):
        raise UsageError(f"--type {type_}: no such type", hint="agent, team or workflow")
    now = time.time()
    return SessionQuery(
        text=text,
        user_id=user,
        agent_id=agent,
        team_id=team,
        session_type=type_,
        since=moment(since, now),
        until=moment(until, now),
        name=name,
        tag=tag,
        status=status.upper() if status else None,
        model=model,
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
