"""Agent conversations in Agno's own storage: chat with them, manage them, move them.

A map, from the bottom up; imports point down and siblings do not see each other:

    errors records codec messages abc      the words: rows, JSON, contracts; canonical: values apart from their spelling
    config                                 which backends, agents and models there are
    layout                                 Agno's storage as pure functions
    run edit secrets                       what a run gives back, what a tool gets; edits of a column; keys in text
    db  formats  transfer                  where sessions are kept: backends, files; from one to another
    agent  sessions                        agents and the conversation loop; operations on stored sessions
    team                                   agents under a leader
    cli  testing                           the commands; the suites that prove a backend

Public names load when first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
"""As in `typing`, which costs as much as the rest of `agno --version`."""

__version__ = "0.1.0"

if TYPE_CHECKING:
    from agnocli.abc import SessionQuery as SessionQuery
    from agnocli.agent.agent import Agent as Agent
    from agnocli.agent.runner import Conversation as Conversation
    from agnocli.db.memory import MemoryDb as MemoryDb
    from agnocli.db.mongo import MongoDb as MongoDb
    from agnocli.db.mysql import MySQLDb as MySQLDb
    from agnocli.db.postgres import PostgresDb as PostgresDb
    from agnocli.db.redis import RedisDb as RedisDb
    from agnocli.db.sqlite import SqliteDb as SqliteDb
    from agnocli.run import RunContext as RunContext
    from agnocli.run import RunEvent as RunEvent
    from agnocli.run import RunOutput as RunOutput
    from agnocli.run import RunStatus as RunStatus
    from agnocli.team.team import Team as Team

_PUBLIC = {
    "Agent": "agnocli.agent.agent",
    "Conversation": "agnocli.agent.runner",
    "MemoryDb": "agnocli.db.memory",
    "MongoDb": "agnocli.db.mongo",
    "RedisDb": "agnocli.db.redis",
    "MySQLDb": "agnocli.db.mysql",
    "PostgresDb": "agnocli.db.postgres",
    "RunContext": "agnocli.run",
    "RunEvent": "agnocli.run",
    "RunOutput": "agnocli.run",
    "RunStatus": "agnocli.run",
    "SessionQuery": "agnocli.abc",
    "SqliteDb": "agnocli.db.sqlite",
    "Team": "agnocli.team.team",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
