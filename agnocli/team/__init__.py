"""Agents under a leader."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agnocli.team.team import Team as Team

__all__ = ["Team"]


def __getattr__(name: str) -> object:
    if name != "Team":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agnocli.team.team import Team

    return Team
