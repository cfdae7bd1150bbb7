"""An agent: a model with instructions, tools, a memory of its sessions."""

from __future__ import annotations

from dataclasses import dataclass

from agnocli.agent.runnable import Runnable


@dataclass(kw_only=True, eq=False)
class Agent(Runnable):
    """A configuration, and `run`.

        agent = Agent(model="openai:gpt-4o", db=SqliteDb("agents.db"), add_history_to_context=True)
        agent.run("My name is Alice", session_id="s1")

    It may be a member of any number of teams, and is changed by none of them.
    """
