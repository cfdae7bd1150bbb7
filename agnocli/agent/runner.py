"""The conversation loop: store the question, ask, store what is said while it is said, store how it ended."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from agnocli.abc import (
    Backend,
    ChatRequest,
    ModelFinished,
    ReasoningDelta,
    TextDelta,
)
from agnocli.agent.history import recent_turns, wire_messages
from agnocli.agent.pump import Pump, Stopped
from agnocli.agent.recovery import Recovery, recover
from agnocli.agent.sessions import add_metrics, check_owner, new_session
from agnocli.agent.settings import ChatSettings
from agnocli.agent.turn import Turn
from agnocli.errors import (
    BackendNotSetUpError,
    ModelError,
    SessionConflictError,
    SessionNotFoundError,
)
from agnocli.records import Session, SessionBundle
from agnocli.run import RunOutput, RunStatus

FLUSH_SECONDS = 0.5
"""How much of an answer, in time, a killed process may lose."""


class RunStarted(msgspec.Struct, frozen=True):
    """The question is stored; the model is asked next."""

    session_id: str
    run_id: str


class RunEnded(msgspec.Struct, frozen=True):
    """The turn is stored as it ended; `error` says why when its status is ERROR."""

    output: RunOutput
    error: ModelError | None = None


RunEvent = RunStarted | TextDelta | ReasoningDelta | RunEnded


class Conversation:
    """One session at one backend, and the settings that its next turn is asked with."""

    def __init__(
        self,
        backend: Backend,
        session_id: str,
        settings: ChatSettings,
        *,
        name: str | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.backend, self.session_id, self.settings = backend, session_id, settings
        self._name, self._state = name, state or {}
        self._pump: Pump | None = None
        self._stopped = False

    def stored(self) -> Session | None:
        """The session's row, None before its first turn. SessionConflictError when another user owns it."""
        try:
            session = self.backend.get(self.session_id)
        except (SessionNotFoundError, BackendNotSetUpError):
            return None
        check_owner(session, self.settings.user_id)
        return session

    def recover(self) -> Recovery:
        """Mark turns that a dead process left unfinished."""
        return recover(self.backend, self.session_id) if self.stored() else Recovery()

    def ask(self, text: str, *, replaces: str | None = None) -> Generator[RunEvent, None, None]:
        """One turn. However it ends, what was said is stored first: an abandoned turn as CANCELLED.

        Model errors are in the last event; errors of the backend are raised.
        """
        self._stopped = False
        turn, request = self._begin(text, replaces)
        status, failure = RunStatus.CANCELLED, None
        try:
            yield RunStarted(self.session_id, turn.run_id)
            yield from self._listen(turn, self._call(request))
            status = RunStatus.COMPLETED
        except Stopped:
            pass
        except ModelError as error:
            status, failure, turn.error = RunStatus.ERROR, error, error.message
        finally:
            self._hang_up()
            self._finish(turn, status)
        yield RunEnded(turn.output(status), failure)

    def _call(self, request: ChatRequest) -> Pump:
        self._pump = Pump(self.settings.model, request)
        if self._stopped:
            self._pump.stop()
        return self._pump

    def _hang_up(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.close()

    def stop(self) -> None:
        """Stop the running answer and keep what was said; fit for a signal handler."""
        self._stopped = True
        if self._pump is not None:
            self._pump.stop()

    def _begin(self, text: str, replaces: str | None) -> tuple[Turn, ChatRequest]:
        session = self.stored()
        request = self._request(session, text)
        if session is None:
            session = new_session(self.session_id, self.settings, text, self._name, self._state)
            turn = Turn(session, self.settings, text)
            if not self._create(session, turn):
                return self._begin(text, replaces)
        else:
            turn = Turn(session, self.settings, text, replaces=replaces)
            self.backend.append_run(turn.row(RunStatus.RUNNING))
        return turn, request

    def request(self, text: str) -> ChatRequest:
        """What the next turn would send. Nothing is sent or stored."""
        return self._request(self.stored(), text)

    def _request(self, session: Session | None, text: str) -> ChatRequest:
        past = self._history() if session else []
        system = self.settings.system
        head = [{"role": "system", "content": system}] if system else []
        return ChatRequest(
            messages=[*head, *past, {"role": "user", "content": text}],
            stream=self.settings.stream,
            options=self.settings.options,
        )

    def _create(self, session: Session, turn: Turn) -> bool:
        """Store session and question at once; False when another process just made that session."""
        row = msgspec.structs.replace(turn.row(RunStatus.RUNNING), run_index=0)
        try:
            self.backend.write([SessionBundle(session, [row])])
        except SessionConflictError:
            return False
        return True

    def _history(self) -> list[Mapping[str, Any]]:
        turns = recent_turns(self.backend, self.session_id, self.settings.history_runs)
        return wire_messages(turns)

    def _listen(self, turn: Turn, pump: Pump) -> Generator[RunEvent, None, None]:
        turn.asked()
        stored_at, unstored = time.monotonic(), False
        while True:
            try:
                event = pump.next(FLUSH_SECONDS)
            except EOFError:
                return
            if isinstance(event, ModelFinished):
                turn.finished = event
            elif event is not None:
                turn.hear(event)
                unstored = True
                yield event
            if unstored and time.monotonic() - stored_at >= FLUSH_SECONDS:
                self.backend.put_run(turn.row(RunStatus.RUNNING))
                stored_at, unstored = time.monotonic(), False

    def _finish(self, turn: Turn, status: RunStatus) -> None:
        self.backend.put_run(turn.row(status))
        add_metrics(self.backend, self.session_id, turn.output(status).metrics)
