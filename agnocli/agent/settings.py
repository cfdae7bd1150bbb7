"""How a conversation is led: plain values, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agnocli.abc import ChatModel


class ChatSettings(msgspec.Struct, kw_only=True):
    """`history_runs`: how many past turns go along, 0 none, None all. `options`: further fields of each request."""

    model: ChatModel
    agent_id: str = "assistant"
    agent_name: str = "assistant"
    system: str | None = None
    history_runs: int | None = 5
    user_id: str | None = None
    stream: bool = True
    options: Mapping[str, object] = {}
