"""Agent conversations in Agno's own storage: chat with them, manage them, move them.

A map, from the bottom up; imports point down and siblings do not see each other:

    errors records codec messages abc      the words: rows, JSON, contracts
    config                                 which backends, agents and models there are
    layout                                 Agno's storage as pure functions
    run                                    what a run gives back, what a tool gets
    db  formats                            where sessions are kept: backends; files
    agent  sessions                        the conversation loop; operations on stored sessions
    cli  testing                           the commands; the suites that prove a backend

Public names load when first used.
"""

from __future__ import annotations

__version__ = "0.1.0"

_PUBLIC = {
    "Conversation": "agnocli.agent.runner",
    "MemoryDb": "agnocli.db.memory",
    "MongoDb": "agnocli.db.mongo",
    "RedisDb": "agnocli.db.redis",
    "MySQLDb": "agnocli.db.mysql",
    "PostgresDb": "agnocli.db.postgres",
    "RunContext": "agnocli.run",
    "RunOutput": "agnocli.run",
    "RunStatus": "agnocli.run",
    "SessionQuery": "agnocli.abc",
    "SqliteDb": "agnocli.db.sqlite",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
