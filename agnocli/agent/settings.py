"""How a conversation is led: plain values, no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from agnocli.abc import ChatModel
from agnocli.agent.tools import Tool

HISTORY_TOKENS = 100_000
"""Of past turns at most; most hosted models take 128,000 in all."""

SUMMARY_RUNS = 5
"""Turns between two summaries, unless said."""

Approve = Callable[[str, Mapping[str, Any], Callable[[], bool]], bool]
"""Whether a tool may be run: asked with its name, its arguments, and whether the turn was stopped meanwhile."""


class ChatSettings(msgspec.Struct, kw_only=True):
    """`system` may hold `{name}` of the state, `additions` go behind it as they are.

    `history_runs`: how many past turns go along, 0 none, None as many as the other two limits let.
    `options`: further fields of each request. `summary_every` None: no summaries are made.
    """

    model: ChatModel
    kind: Literal["agent", "team"] = "agent"
    agent_id: str = "assistant"
    agent_name: str = "assistant"
    system: str | None = None
    additions: tuple[str, ...] = ()
    history_runs: int | None = 5
    history_messages: int | None = None
    history_tokens: int | None = HISTORY_TOKENS
    user_id: str | None = None
    stream: bool = True
    options: Mapping[str, object] = {}
    tools: Sequence[Callable[..., Any] | Tool] = ()
    tool_call_limit: int | None = None
    approve: Approve | None = None
    state: Mapping[str, Any] = {}
    state_in_context: bool = False
    summary_every: int | None = None
    summary_in_context: bool = False
    summary_model: ChatModel | None = None
    retries: int = 0
    dependencies: Mapping[str, Any] = {}
    metadata: Mapping[str, Any] = {}
