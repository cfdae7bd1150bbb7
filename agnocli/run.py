"""What a run gives its caller while it goes on and at its end, and what a tool gets of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

import msgspec

from agnocli.errors import AgnoCLIError


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

    `tools` are the calls that the model asked for, in Agno's stored shape. `finish_reason` is the provider's; `length` means
    the answer was cut, None that the model never said it was done. `notices` are what went less well than asked.
    """

    run_id: str
    session_id: str
    content: str
    status: RunStatus
    model: str
    metrics: Mapping[str, Any] = {}
    tools: tuple[Mapping[str, Any], ...] = ()
    finish_reason: str | None = None
    notices: tuple[str, ...] = ()


class RunContext(msgspec.Struct, kw_only=True):
    """What a tool may ask for: who and where it runs, and the session's state, edited in place."""

    run_id: str
    session_id: str
    user_id: str | None = None
    session_state: dict[str, Any] = {}
    dependencies: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class RunStarted(msgspec.Struct, frozen=True):
    """The question is stored; the model is asked next."""

    event: ClassVar[str] = "RunStarted"
    session_id: str
    run_id: str


class RunContent(msgspec.Struct, frozen=True):
    """A piece of the answer. All pieces of a run make up its content; a `member` of a team says its own."""

    event: ClassVar[str] = "RunContent"
    content: str
    member: str | None = None


class ReasoningContent(msgspec.Struct, frozen=True):
    event: ClassVar[str] = "ReasoningContentDelta"
    content: str
    member: str | None = None


class ToolCallStarted(msgspec.Struct, frozen=True):
    """`arguments` as they were read from what the model wrote; empty when that was no JSON object."""

    event: ClassVar[str] = "ToolCallStarted"
    call_id: str
    name: str
    arguments: Mapping[str, Any]
    member: str | None = None


class ToolCallCompleted(msgspec.Struct, frozen=True):
    """`result` is what the model reads; `seconds` None when nothing was run."""

    event: ClassVar[str] = "ToolCallCompleted"
    call_id: str
    name: str
    arguments: Mapping[str, Any]
    result: str
    failed: bool = False
    seconds: float | None = None
    member: str | None = None


class SummaryStarted(msgspec.Struct, frozen=True):
    event: ClassVar[str] = "SessionSummaryStarted"


class SummaryCompleted(msgspec.Struct, frozen=True):
    event: ClassVar[str] = "SessionSummaryCompleted"
    summary: str


class Notice(msgspec.Struct, frozen=True):
    """Something that a person should know, and that stops nothing."""

    event: ClassVar[str] = "Notice"
    text: str


class RunEnded(msgspec.Struct, frozen=True):
    """The turn is stored as it ended; `error` says why when its status is ERROR."""

    output: RunOutput
    error: AgnoCLIError | None = None

    @property
    def event(self) -> str:
        names = {RunStatus.ERROR: "RunError", RunStatus.CANCELLED: "RunCancelled"}
        return names.get(self.output.status, "RunCompleted")

    @property
    def content(self) -> str:
        return self.output.content


RunEvent: TypeAlias = (
    RunStarted
    | RunContent
    | ReasoningContent
    | ToolCallStarted
    | ToolCallCompleted
    | SummaryStarted
    | SummaryCompleted
    | Notice
    | RunEnded
)
