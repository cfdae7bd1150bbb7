"""Calls of tools: run side by side in threads, as they are stored, and what may be done from within one."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from agnocli import codec
from agnocli.agent.pump import Stopped
from agnocli.agent.tools import Tool, ToolCallError
from agnocli.errors import CodecError, RecordRejectedError
from agnocli.run import RunContext, RunEvent, ToolCallCompleted, ToolCallStarted

UNANSWERED = "Error: interrupted before this call gave a result."
"""No provider takes a conversation in which a call has no result, whoever goes on with it."""

PATIENCE = 10.0
"""Seconds that a stopped agent is waited for."""

_FENCE = re.compile(r"^```\w*\n(.*?)\n?```$", re.DOTALL)

_LATER = (
    "requires_confirmation", "confirmed", "confirmation_note", "requires_user_input", "user_input_schema",
    "user_feedback_schema", "answered", "external_execution_required", "external_execution_silent",
    "approval_type", "approval_id", "parent_tool_call_id",
)  # fmt: skip
"""Keys of Agno's that are always there, and here always null."""


class Call:
    """One call as a model asked for it, and its result as soon as there is one."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        function = asked.get("function")
        function = function if isinstance(function, Mapping) else {}
        self.asked = asked
        self.id = str(asked.get("id"))
        self.name = str(function.get("name") or "")
        self.message_id = str(uuid.uuid4())
        self.created = int(time.time())
        self.ends_turn = False
        self.was_run = False
        self.child_run_id: str | None = None
        self.result: str | None = None
        self.failed = False
        self._times: tuple[float, float] | None = None
        self.arguments, self.misread = _read(function.get("arguments"))

    @property
    def shown_result(self) -> str:
        return UNANSWERED if self.result is None else self.result

    def end(self, result: str, *, failed: bool, started: float | None = None) -> None:
        """A call that failed is no answer: the model goes on."""
        self.result, self.failed = result, failed
        self.ends_turn = self.ends_turn and not failed
        if started is not None:
            self._times = (started, time.time())

    def execution(self) -> dict[str, Any]:
        """As Agno stores it: every key, null where there is nothing to say."""
        return {
            "tool_call_id": self.id,
            "tool_name": self.name,
            "tool_args": self.arguments,
            "tool_call_error": self.failed,
            "result": self.result,
            "metrics": self._metrics(),
            "child_run_id": self.child_run_id,
            "stop_after_tool_call": self.ends_turn,
            "created_at": self.created,
            **dict.fromkeys(_LATER),
        }

    def _metrics(self) -> dict[str, float] | None:
        if self._times is None:
            return None
        start, end = self._times
        return {"start_time": start, "end_time": end, "duration": end - start}

    def begun(self) -> ToolCallStarted:
        return ToolCallStarted(self.id, self.name, self.arguments)

    def completed(self) -> ToolCallCompleted:
        seconds = self._times[1] - self._times[0] if self._times else None
        return ToolCallCompleted(
            self.id, self.name, self.arguments, self.shown_result, self.failed, seconds
        )


def _read(written: object) -> tuple[dict[str, Any], str | None]:
    """Arguments, and what is wrong with the text they were read from. None at all are none."""
    if isinstance(written, str) and not written.strip():
        return {}, None
    try:
        value = codec.decode(written) if isinstance(written, str) else written
    except CodecError as error:
        return {}, error.message
    if value in (None, []):
        return {}, None
    if not isinstance(value, dict):
        return {}, "the arguments are no JSON object"
    return value, None


def written_as_text(text: str, names: Collection[str]) -> dict[str, Any] | None:
    """A call that a small model wrote as its whole answer, `{"name": …, "arguments": …}`, instead of making it."""
    fenced = _FENCE.match(text.strip())
    try:
        value = codec.decode(fenced[1] if fenced else text)
    except CodecError:
        return None
    if not isinstance(value, dict) or value.get("name") not in names:
        return None
    arguments = value.get("arguments", value.get("parameters"))
    if not isinstance(arguments, dict) or len(value) != 2:
        return None
    function = {"name": value["name"], "arguments": codec.line(arguments)}
    return {"id": f"call_{uuid.uuid4().hex}", "type": "function", "function": function}


class Job(msgspec.Struct, kw_only=True):
    """A call that is to be run: by which tool, in what context. What the tool makes of the context stays its own."""

    call: Call
    tool: Tool
    context: RunContext
    check: Callable[[Mapping[str, Any]], dict[str, Any]]
    """The state as it can be stored; CodecError or RecordRejectedError when it cannot."""
    under: Any
    """The conversation that it is part of."""
    state: dict[str, Any] | None = None
    """Set when the call is over and left a state that can be stored."""


class Batch:
    """Calls running side by side. `next()` gives an event, a job that is done, or None when nothing came in time."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._came: SimpleQueue[RunEvent | Job | BaseException] = SimpleQueue()
        self._open = len(jobs)
        self._ending: list[threading.Thread] = []
        for job in jobs:
            run = copy_context().run
            thread = threading.Thread(target=run, args=(self._run, job), name="tool", daemon=True)
            thread.start()
            if job.tool.delegates:
                self._ending.append(thread)

    def _run(self, job: Job) -> None:
        try:
            self._call(job)
            self._came.put(job)
        except BaseException as error:  # noqa: BLE001 - raised again in next()
            self._came.put(error)

    def _call(self, job: Job) -> None:
        started = time.time()
        try:
            result, failed = job.tool.run(job, self._came.put), False
        except ToolCallError as error:
            result, failed = str(error), True
        try:
            job.state = job.check(job.context.session_state)
        except (CodecError, RecordRejectedError) as error:
            result, failed = f"Error: the session state cannot be stored: {error.message}", True
        job.call.end(result, failed=failed, started=started)

    def next(self, timeout: float) -> RunEvent | Job | None:
        """Raises EOFError when all are done, Stopped, and what is no matter of the tool's: a backend's errors."""
        if not self._open:
            raise EOFError
        try:
            came = self._came.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(came, BaseException):
            raise came
        if isinstance(came, Job):
            self._open -= 1
        return came

    def stop(self) -> None:
        """Fit for a signal handler. A function that is running cannot be ended: it is no longer waited for."""
        self._came.put(Stopped())

    def close(self) -> None:
        """What still comes is thrown away; but agents that were stopped store what they said."""
        for thread in self._ending:
            thread.join(PATIENCE)
