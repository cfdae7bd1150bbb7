"""One turn as it grows, and the run row that Agno would have stored of it."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from agnocli import codec
from agnocli.abc import ModelFinished, ReasoningDelta, TextDelta
from agnocli.agent.owner import this_process
from agnocli.agent.settings import ChatSettings
from agnocli.layout.derive import run_row
from agnocli.records import Run, Session
from agnocli.run import RunOutput, RunStatus

OURS = "agnocli"
"""The key in a run's metadata for what Agno has no field for."""

NOT_RUN = "Error: there are no tools in this conversation; nothing was run."
"""The result of a call that a model makes though it was offered no tools."""


class Turn:
    """The user's words, the answer so far, and how it ended."""

    def __init__(
        self, session: Session, settings: ChatSettings, text: str, *, replaces: str | None = None
    ) -> None:
        self.run_id = str(uuid.uuid4())
        self.text = text
        self._session, self._settings, self._replaces = session, settings, replaces
        self._created = int(time.time())
        self._started = time.perf_counter()
        self._first_token: float | None = None
        self._answer: list[str] = []
        self._reasoning: list[str] = []
        self._ids: defaultdict[str, str] = defaultdict(lambda: str(uuid.uuid4()))
        self.finished: ModelFinished | None = None
        self.error: str | None = None

    def asked(self) -> None:
        """The model has the question: its time runs from now, not from when its client began to load."""
        self._started = time.perf_counter()

    def hear(self, event: TextDelta | ReasoningDelta) -> None:
        if self._first_token is None:
            self._first_token = time.perf_counter() - self._started
        heard = self._answer if isinstance(event, TextDelta) else self._reasoning
        heard.append(event.text)

    @property
    def answer(self) -> str:
        return "".join(self._answer)

    def output(self, status: RunStatus) -> RunOutput:
        return RunOutput(
            run_id=self.run_id,
            session_id=self._session.session_id,
            content=self.answer,
            status=status,
            model=self._settings.model.id,
            metrics=self._metrics(status),
            tools=self.finished.tool_calls if self.finished else (),
            finish_reason=self.finished.reason if self.finished else None,
        )

    def row(self, status: RunStatus) -> Run:
        """The run as it is to be stored now; only a backend knows its index."""
        return run_row(self._data(status), self._session, None, int(time.time()))

    def _data(self, status: RunStatus) -> dict[str, Any]:
        """Agno's keys in Agno's order."""
        settings, model = self._settings, self._settings.model
        state = codec.members(self._session.session_data).get("session_state")
        failed = status is RunStatus.ERROR and not self._answer
        return _present(
            run_id=self.run_id,
            agent_id=settings.agent_id,
            agent_name=settings.agent_name,
            session_id=self._session.session_id,
            user_id=self._session.user_id,
            content=self.error if failed else self.answer or None,
            content_type="str",
            reasoning_content="".join(self._reasoning) or None,
            model=model.id,
            model_provider=model.provider,
            session_state=state if isinstance(state, dict) else {},
            created_at=self._created,
            status=status.value,
            cancellation_stage="EXECUTING" if status is RunStatus.CANCELLED else None,
            regenerated_from=self._replaces,
            metrics=self._metrics(status) or None,
            messages=self._messages(),
            metadata=self._metadata(status),
            tools=[],
            input={"input_content": self.text},
        )

    def _messages(self) -> list[dict[str, Any]]:
        said = [self._message("user", self.text)]
        if self._settings.system:
            said.insert(0, self._message("system", self._settings.system))
        if self._answer or self.finished:
            metrics = self._tokens() | _present(
                duration=self._seconds() if self.finished else None,
                time_to_first_token=self._first_token,
            )
            calls = self.finished.tool_calls if self.finished else ()
            said.append(
                self._message(
                    "assistant",
                    self.answer,
                    tool_calls=[*calls] or None,
                    metrics=metrics or None,
                )
            )
            said.extend(map(self._refusal, calls))
        return said

    def _refusal(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """No provider takes a conversation in which a call has no result, whoever goes on with it."""
        function = call.get("function")
        name = function.get("name") if isinstance(function, Mapping) else None
        return self._message(
            "tool",
            NOT_RUN,
            key=f"result of {call.get('id')}",
            tool_call_id=call.get("id"),
            tool_name=name,
            tool_call_error=True,
        )

    def _message(
        self, role: str, content: str, *, key: str | None = None, **more: object
    ) -> dict[str, Any]:
        """`key` tells messages of one role apart; a message keeps its id however often it is stored."""
        reasoning = "".join(self._reasoning) if role == "assistant" else ""
        return _present(
            id=self._ids[key or role],
            content=content,
            reasoning_content=reasoning or None,
            from_history=False,
            stop_after_tool_call=False,
            role=role,
            **more,
            created_at=self._created,
        )

    def _metadata(self, status: RunStatus) -> Mapping[str, Any] | None:
        ours: dict[str, Any] = {}
        if status is RunStatus.RUNNING:
            ours["owner"] = this_process()
        if self.error is not None:
            ours["error"] = self.error
        if status is RunStatus.COMPLETED and self.finished and self.finished.reason != "stop":
            ours["finish_reason"] = self.finished.reason
        return {OURS: ours} if ours else None

    def _tokens(self) -> dict[str, Any]:
        if self.finished is None:
            return {}
        names = ("input_tokens", "output_tokens", "total_tokens")
        return {name: count for name in names if (count := getattr(self.finished, name))}

    def _seconds(self) -> float:
        return time.perf_counter() - self._started

    def _metrics(self, status: RunStatus) -> dict[str, Any]:
        if status is RunStatus.RUNNING:
            return {}
        model, tokens = self._settings.model, self._tokens()
        details = {"model": [{**tokens, "id": model.id, "provider": model.provider}]}
        return _present(
            **tokens,
            time_to_first_token=self._first_token,
            duration=self._seconds(),
            details=details if tokens else None,
        )


def _present(**values: Any) -> dict[str, Any]:
    """Agno leaves out what is None."""
    return {name: value for name, value in values.items() if value is not None}
