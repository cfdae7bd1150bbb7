"""A team: members, and a leader that has them do what they are best at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from agnocli.abc import ChatModel
from agnocli.agent.runnable import Runnable
from agnocli.agent.tools import Tool
from agnocli.errors import UsageError
from agnocli.team.delegation import delegation, roster

Mode = Literal["coordinate", "route", "broadcast"]


@dataclass(kw_only=True, eq=False)
class Team(Runnable):
    """A configuration, and `run`. Everything is kept in the team's own `db`, in one session for all.

    `coordinate`: the leader hands out tasks and writes the answer. `route`: one member's reply is the answer.
    `broadcast`: all members are given the same task at once. Members without a model have the leader's; teams may
    be members too. A member can be run by itself as before.
    """

    kind: ClassVar[Literal["agent", "team"]] = "team"

    members: Sequence[Runnable] = ()
    mode: Mode = "coordinate"

    def context(self) -> Sequence[str]:
        return (roster(self.mode, self._by_id()),)

    def own_tools(self, model: ChatModel) -> Sequence[Tool]:
        return (delegation(self.mode, self._by_id(), model),)

    def _by_id(self) -> dict[str, Runnable]:
        found = {member.known_as: member for member in self.members}
        if not found:
            raise UsageError(f"team {self.known_as!r} has no members", hint="give members=[…]")
        if len(found) < len(self.members):
            raise UsageError(
                f"two members of team {self.known_as!r} have one id",
                hint="give each an id= or a name= of its own",
            )
        return found
