"""What a run gives its caller, and what a tool gets of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class RunStatus(StrEnum):
    """Agno's words, as stored."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    PAUSED = "PAUSED"
    CANCELLED = "CANCELLED"
    ERROR = "ERROR"
    REGENERATED = "REGENERATED"


class RunOutput(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. `metrics` are Agno's (tokens, seconds as `duration` and `time_to_first_token`).

    `finish_reason` is the provider's; `length` means the answer was cut, None that the model never said it was done.
    """

    run_id: str
    session_id: str
    content: str
    status: RunStatus
    model: str
    metrics: Mapping[str, Any] = {}
    tools: tuple[Mapping[str, Any], ...] = ()
    finish_reason: str | None = None


class RunContext(msgspec.Struct, kw_only=True):
    """What a tool may ask for: who and where it runs, and the session's state, edited in place."""

    run_id: str
    session_id: str
    user_id: str | None = None
    session_state: dict[str, Any] = {}
    dependencies: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
