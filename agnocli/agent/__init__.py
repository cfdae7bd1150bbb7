"""Talking to models: agents, the conversation loop, what is sent, what is stored of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agnocli.agent.agent import Agent as Agent

__all__ = ["Agent"]


def __getattr__(name: str) -> object:
    if name != "Agent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agnocli.agent.agent import Agent

    return Agent
