"""One turn as it grows, and the run row that Agno would have stored of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from agnocli.abc import ModelFinished, ReasoningDelta, TextDelta
from agnocli.agent.calls import Call, written_as_text
from agnocli.agent.owner import this_process
from agnocli.agent.settings import ChatSettings
from agnocli.agent.state import merge, over
from agnocli.layout.derive import run_row
from agnocli.layout.media import Media, as_stored
from agnocli.records import Run, Session
from agnocli.run import Notice, ReasoningContent, RunContent, RunOutput, RunStatus

OURS = "agnocli"
"""The key in a run's metadata for what Agno has no field for."""

BETWEEN = "\n\n"
"""Stands in a run's content between what a model says before and after it calls tools."""

TOKENS = ("input_tokens", "output_tokens", "total_tokens")


class Answer:
    """What a model said to one request, and the calls of tools that it asked for."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.created = int(time.time())
        self.said: list[str] = []
        self.thought: list[str] = []
        self.calls: list[Call] = []
        self.finished: ModelFinished | None = None
        self._started = time.perf_counter()
        self._first_token: float | None = None
        self._seconds: float | None = None

    @property
    def text(self) -> str:
        return "".join(self.said)

    @property
    def is_empty(self) -> bool:
        return not (self.said or self.thought or self.finished)

    def hear(self, event: TextDelta | ReasoningDelta) -> None:
        if self._first_token is None:
            self._first_token = time.perf_counter() - self._started
        (self.said if isinstance(event, TextDelta) else self.thought).append(event.text)

    def finish(self, finished: ModelFinished) -> None:
        self.finished, self._seconds = finished, time.perf_counter() - self._started

    @property
    def tokens(self) -> dict[str, int]:
        counts = ((name, getattr(self.finished, name, 0)) for name in TOKENS)
        return {name: count for name, count in counts if count}

    @property
    def first_token(self) -> float | None:
        return self._first_token

    def messages(self) -> Iterator[dict[str, Any]]:
        """As Agno stores them: what was said and asked for, then the results."""
        if self.is_empty:
            return
        metrics = self.tokens | present(
            duration=self._seconds, time_to_first_token=self._first_token
        )
        yield message(
            self.id,
            "assistant",
            self.text if self.said or not self.calls else None,
            self.created,
            reasoning="".join(self.thought) or None,
            tool_calls=[call.asked for call in self.calls] or None,
            metrics=metrics or None,
        )
        for call in self.calls:
            yield message(
                call.message_id,
                "tool",
                call.shown_result,
                call.created,
                ends_turn=call.ends_turn,
                tool_call_id=call.id,
                tool_name=call.name,
                tool_args=call.arguments or None,
                tool_call_error=call.failed,
            )


class Turn:
    """The user's words, the answers so far, and how it ended.

    `state` is the session's, as edited by tools, `saved` what was last known to be stored of it. `index` is the run's.
    """

    def __init__(
        self,
        session: Session,
        settings: ChatSettings,
        text: str,
        *,
        system: str = "",
        state: Mapping[str, Any] | None = None,
        replaces: str | None = None,
        parent: str | None = None,
        pictures: Sequence[Media] = (),
    ) -> None:
        self.run_id = str(uuid.uuid4())
        self.text, self.system, self.pictures = text, system, pictures
        self.session, self.settings = session, settings
        self.state: dict[str, Any] = dict(state or {})
        self.saved: Mapping[str, Any] = deepcopy(self.state)
        self.answers: list[Answer] = []
        self.notices: list[str] = []
        self.error: str | None = None
        self.index: int | None = None
        self._replaces, self._parent = replaces, parent
        self._images = [as_stored(one) for one in pictures] or None
        self._spoken = False
        self._ids = {role: str(uuid.uuid4()) for role in ("system", "user")}
        self._created = int(time.time())
        self._started = time.perf_counter()

    def asking(self) -> Answer:
        """A new answer, whose time runs from now: not from when its client began to load."""
        if not self.answers:
            self._started = time.perf_counter()
        self.answers.append(Answer())
        return self.answers[-1]

    def hear(self, event: TextDelta | ReasoningDelta) -> RunContent | ReasoningContent:
        """Take a piece of the answer; the event that tells of it."""
        answer = self.answers[-1]
        begins = isinstance(event, TextDelta) and not answer.said and self._spoken
        self._spoken = self._spoken or isinstance(event, TextDelta)
        answer.hear(event)
        if isinstance(event, ReasoningDelta):
            return ReasoningContent(event.text)
        return RunContent(BETWEEN + event.text if begins else event.text)

    def reads_a_call(self, answer: Answer, tools: Collection[str]) -> bool:
        """Whether the answer is a call written as text, which it then becomes; the same one is taken but once."""
        if answer.calls or (written := written_as_text(answer.text, tools)) is None:
            return False
        call = Call(written)
        if any((one.name, one.arguments) == (call.name, call.arguments) for one in self.calls):
            return False
        answer.said.clear()
        answer.calls.append(call)
        return True

    def notice(self, text: str) -> Notice:
        self.notices.append(text)
        return Notice(text)

    @property
    def calls(self) -> list[Call]:
        return [call for answer in self.answers for call in answer.calls]

    @property
    def calls_run(self) -> int:
        return sum(call.was_run for call in self.calls)

    @property
    def ends_with_a_call(self) -> bool:
        return any(call.ends_turn for call in self.calls)

    @property
    def unsaved(self) -> bool:
        return self.state != self.saved

    def merged(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The state as it is stored now, with what this turn changed in it."""
        own = self.settings.state
        return merge(over(own, self.saved), self.state, over(own, stored))

    @property
    def content(self) -> str:
        """All that was said, and what tools that end a turn gave in place of an answer."""
        parts = [answer.text for answer in self.answers]
        parts += [call.shown_result for call in self.calls if call.ends_turn]
        return BETWEEN.join(filter(None, parts))

    def output(self, status: RunStatus) -> RunOutput:
        finished = self.answers[-1].finished if self.answers else None
        return RunOutput(
            run_id=self.run_id,
            session_id=self.session.session_id,
            content=self.content,
            status=status,
            model=self.settings.model.id,
            metrics=self._metrics(status),
            tools=tuple(call.execution() for call in self.calls),
            finish_reason=finished.reason if finished else None,
            notices=tuple(self.notices),
        )

    def row(self, status: RunStatus) -> Run:
        """The run as it is to be stored now; only a backend knows its index."""
        return run_row(self._data(status), self.session, None, int(time.time()))

    def _data(self, status: RunStatus) -> dict[str, Any]:
        """Agno's keys in Agno's order."""
        settings, model, kind = self.settings, self.settings.model, self.settings.kind
        thought = "".join(part for answer in self.answers for part in answer.thought)
        failed = status is RunStatus.ERROR and not self.content
        return present(
            run_id=self.run_id,
            **{f"{kind}_id": settings.agent_id, f"{kind}_name": settings.agent_name},
            session_id=self.session.session_id,
            parent_run_id=self._parent,
            user_id=self.session.user_id,
            content=self.error if failed else self.content or None,
            content_type="str",
            reasoning_content=thought or None,
            model=model.id,
            model_provider=model.provider,
            session_state=self.state,
            created_at=self._created,
            status=status.value,
            cancellation_stage="EXECUTING" if status is RunStatus.CANCELLED else None,
            regenerated_from=self._replaces,
            metrics=self._metrics(status) or None,
            messages=list(self._messages()),
            metadata=self._metadata(status),
            member_responses=[] if kind == "team" else None,
            tools=[call.execution() for call in self.calls if call.was_run],
            input=present(input_content=self.text, images=self._images),
        )

    def _messages(self) -> Iterator[dict[str, Any]]:
        if self.system:
            yield message(self._ids["system"], "system", self.system, self._created)
        images = self._images
        yield message(self._ids["user"], "user", self.text, self._created, images=images)
        for answer in self.answers:
            yield from answer.messages()

    def _metadata(self, status: RunStatus) -> Mapping[str, Any] | None:
        ours: dict[str, Any] = {}
        if status is RunStatus.RUNNING:
            ours["owner"] = this_process()
        if self.error is not None:
            ours["error"] = self.error
        finished = self.answers[-1].finished if self.answers else None
        usual = ("stop", "tool_calls") if self.calls else ("stop",)
        if status is RunStatus.COMPLETED and finished and finished.reason not in usual:
            ours["finish_reason"] = finished.reason
        return {**self.settings.metadata, **({OURS: ours} if ours else {})} or None

    def _metrics(self, status: RunStatus) -> dict[str, Any]:
        if status is RunStatus.RUNNING:
            return {}
        tokens: dict[str, int] = {}
        for answer in self.answers:
            for name, count in answer.tokens.items():
                tokens[name] = tokens.get(name, 0) + count
        model = self.settings.model
        details = {"model": [{**tokens, "id": model.id, "provider": model.provider}]}
        return present(
            **tokens,
            time_to_first_token=self.answers[0].first_token if self.answers else None,
            duration=time.perf_counter() - self._started,
            details=details if tokens else None,
        )


def message(
    message_id: str,
    role: str,
    content: str | None,
    created: int,
    *,
    reasoning: str | None = None,
    ends_turn: bool = False,
    **more: object,
) -> dict[str, Any]:
    """It keeps its id however often it is stored."""
    return present(
        id=message_id,
        content=content,
        reasoning_content=reasoning,
        from_history=False,
        stop_after_tool_call=ends_turn,
        role=role,
        **more,
        created_at=created,
    )


def present(**values: Any) -> dict[str, Any]:
    """Agno leaves out what is None."""
    return {name: value for name, value in values.items() if value is not None}
