"""What other tools keep, as a source of sessions: each becomes what Agno would have stored of the same turns.

Ids are the other tool's own, or made from what was said, so that a file can be imported twice and is there once.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from agnocli.errors import UsageError
from agnocli.formats.foreign.turns import Owner

TOOLS = ("openai", "chatgpt", "llm")


def open_foreign(path: str, tool: str, owner: Owner) -> Any:
    """A source that can also `check`: reads all, and raises what is wrong with it."""
    if tool not in TOOLS:
        raise UsageError(f"nothing is read from {tool!r}", hint=f"there are {' '.join(TOOLS)}")
    return import_module(f"agnocli.formats.foreign.{tool}").open_source(path, owner)
