"""The filters that all commands over many sessions take: what is listed is what is exported and migrated."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from agnocli.abc import SessionQuery, Sort
from agnocli.cli.context import not_empty
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
AllBackends = Annotated[
    bool, typer.Option("--all-backends", help="Of all configured backends together.")
]
Model = Annotated[str | None, typer.Option("--model", help="Model id.")]


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
