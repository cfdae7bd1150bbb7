"""The conversation loop: store the question, ask, run the tools asked for, store each step as it is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from itertools import islice
from typing import Any

import msgspec

from agnocli import codec
from agnocli.abc import Backend, ChatModel, ChatRequest, ModelFinished
from agnocli.agent import summary
from agnocli.agent.asking import first_request, next_request
from agnocli.agent.calls import Batch, Call, Job
from agnocli.agent.history import History, history
from agnocli.agent.prompt import system_message
from agnocli.agent.pump import Pump, Stopped
from agnocli.agent.recovery import LOOK_BACK, Recovery, recover
from agnocli.agent.sessions import check_owner, keep_turn, new_session, stored_state
from agnocli.agent.settings import ChatSettings
from agnocli.agent.state import merge, over
from agnocli.agent.tools import Tool, toolbox
from agnocli.agent.turn import Answer, Turn
from agnocli.errors import (
    BackendNotSetUpError,
    ModelError,
    SessionConflictError,
    SessionNotFoundError,
)
from agnocli.layout.media import Media
from agnocli.layout.portable import reject_unholdable
from agnocli.records import Run, Session, SessionBundle
from agnocli.run import (
    Notice,
    RunContext,
    RunEnded,
    RunEvent,
    RunStarted,
    RunStatus,
    SummaryCompleted,
    SummaryStarted,
)

FLUSH_SECONDS = 0.5
"""How much of an answer, in time, a killed process may lose."""

MAX_REQUESTS = 50
"""Of one turn: a model that goes on calling tools is stopped then."""

Events = Generator[RunEvent, None, None]
Tools = Mapping[str, Tool]


class Conversation:
    """One session at one backend, and the settings that its next turn is asked with.

    `state` is put over the session's state, once, with the next turn: it is `coming`. So do `pictures` go with its words.
    """

    pictures: Sequence[Media] = ()
    parent: str | None = None
    """The run that this conversation's turns are part of."""

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
        self.parts: list[Conversation] = []
        self.stopped = False
        self.name, self.coming = name, dict(state or {})
        self._waiting: Pump | Batch | None = None

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
        try:
            newest = list(self.backend.runs(self.session_id, last=LOOK_BACK))
        except (SessionNotFoundError, BackendNotSetUpError):
            return Recovery()
        if any(run.status == RunStatus.RUNNING for run in newest):
            self.stored()  # none but its owner writes here
        return recover(self.backend, newest)

    def stop(self) -> None:
        """Stop the running answer and keep what was said; fit for a signal handler."""
        self.stopped = True
        if self._waiting is not None:
            self._waiting.stop()
        for part in list(self.parts):
            part.stop()

    def state(self) -> dict[str, Any]:
        """What the next turn begins with."""
        return self._state_of(self.stored())

    def outlook(self, text: str | None) -> tuple[ChatRequest, History]:
        """What the next turn would send (without a text what would go before it), and what of it was said already.

        Nothing is sent or stored.
        """
        session, tools = self.stored(), toolbox(self.settings.tools)
        past = self._past() if session else History()
        system = self._system(session, self._state_of(session))
        said = past.messages
        return first_request(self.settings, system, said, text, tools, self.pictures), past

    def ask(self, text: str, *, replaces: str | None = None, seen: Sequence[Run] = ()) -> Events:
        """One turn. However it ends, what was said is stored first: an abandoned turn as CANCELLED.

        `seen` are the newest runs, where they were read just now. Model errors are in the last event; errors of the backend are raised.
        """
        if self.parent is None:  # else whoever stopped that means this too
            self.stopped = False
        tools = toolbox(self.settings.tools)
        turn, request = self._begin(text, tools, replaces, seen)
        status, failure = RunStatus.CANCELLED, None
        try:
            yield RunStarted(self.session_id, turn.run_id)
            yield from map(Notice, turn.notices)
            yield from self._converse(turn, request, tools)
            status = RunStatus.COMPLETED
        except Stopped:
            pass
        except ModelError as error:
            status, failure, turn.error = RunStatus.ERROR, error, error.message
        finally:
            if isinstance(unforeseen := sys.exception(), Exception):
                status, turn.error = RunStatus.ERROR, str(unforeseen)
            self._put(turn, status)
            self._keep(turn, status)
        if status is RunStatus.COMPLETED:
            yield from self._summarize(turn)
        yield RunEnded(turn.output(status), failure)

    def _converse(self, turn: Turn, request: ChatRequest, tools: Tools) -> Events:
        """Model and tools by turns, until the model has nothing more to ask for."""
        for _ in range(MAX_REQUESTS):
            answer = yield from self._listen(turn, request)
            if request.tool_choice != "none" and turn.reads_a_call(answer, tools):
                yield turn.notice("the model wrote a tool call as text; it is run all the same")
            if not answer.calls:
                return
            yield from self._work(turn, answer.calls, tools)
            if any(call.ends_turn for call in answer.calls):
                return
            request = next_request(self.settings, request, answer, turn.calls_run)
        raise ModelError(
            f"the model called tools {MAX_REQUESTS} times in a row",
            hint="ask for less at once, or set tool_call_limit",
        )

    # the beginning

    def _begin(
        self, text: str, tools: Tools, replaces: str | None, seen: Sequence[Run] = ()
    ) -> tuple[Turn, ChatRequest]:
        session = self.stored()
        state, past = self._state_of(session), self._past(seen) if session else History()
        system = self._system(session, state)
        turn = Turn(
            session or new_session(self.session_id, self.settings, text, self.name, state),
            self.settings,
            text,
            system=system,
            state=state,
            replaces=replaces,
            parent=self.parent,
            pictures=self.pictures,
        )
        if past.dropped:
            turns = "turn is" if past.dropped == 1 else "turns are"
            turn.notices.append(f"{past.dropped} older {turns} left out, being too long to send")
        if session is not None:
            turn.saved = stored_state(session)
            turn.index = self.backend.append_run(turn.row(RunStatus.RUNNING)).run_index
        elif not self._create(turn):
            return self._begin(text, tools, replaces)
        self.coming, self.pictures = {}, ()
        asked = turn.pictures
        return turn, first_request(self.settings, system, past.messages, text, tools, asked)

    def _create(self, turn: Turn) -> bool:
        """Store session and question at once; False when another process just made that session."""
        row = msgspec.structs.replace(turn.row(RunStatus.RUNNING), run_index=0)
        try:
            self.backend.write([SessionBundle(turn.session, [row])])
        except SessionConflictError:
            return False
        turn.index = 0
        return True

    def _state_of(self, session: Session | None) -> dict[str, Any]:
        """The agent's own under what is stored, and what this call brings over both."""
        return over(over(self.settings.state, stored_state(session)), self.coming)

    def _system(self, session: Session | None, state: Mapping[str, Any]) -> str:
        told = summary.stored(session) if self.settings.summary_in_context else None
        user = session.user_id if session else self.settings.user_id
        return system_message(self.settings, state, told, user)

    def _past(self, seen: Sequence[Run] = ()) -> History:
        return history(self.backend, self.session_id, self.settings, seen=seen)

    # what is heard

    def _listen(self, turn: Turn, request: ChatRequest) -> Generator[RunEvent, None, Answer]:
        """One answer. Asked for again when nothing of it came, as often as the settings say."""
        for attempt in range(self.settings.retries):
            try:
                return (yield from self._hear(turn, request))
            except ModelError as error:
                if not (error.transient and turn.answers[-1].is_empty):
                    raise
                turn.answers.pop()
                self._pause(2.0**attempt)
        return (yield from self._hear(turn, request))

    def _hear(self, turn: Turn, request: ChatRequest) -> Generator[RunEvent, None, Answer]:
        if self.stopped:  # while a tool was asked about, say: nothing more is sent
            raise Stopped
        answer = turn.asking()
        with closing(self._drain(Pump(self.settings.model, request), turn)) as events:
            for event in events:
                if isinstance(event, ModelFinished):
                    answer.finish(event)
                    answer.calls = [Call(one) for one in event.tool_calls]
                else:
                    yield turn.hear(event)
        return answer

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + min(seconds, 30)
        while time.monotonic() < end:
            if self.stopped:
                raise Stopped
            time.sleep(0.05)

    def _drain(self, source: Pump | Batch, turn: Turn) -> Generator[Any, None, None]:
        """What comes, until it ends or the turn is stopped; the turn is stored while it grows."""
        self._waiting = source
        if self.stopped:
            source.stop()
        stored_at, unstored = time.monotonic(), False
        try:
            while True:
                came = source.next(FLUSH_SECONDS)
                if came is not None:
                    yield came
                    unstored = True
                if unstored and time.monotonic() - stored_at >= FLUSH_SECONDS:
                    self._put(turn)
                    stored_at, unstored = time.monotonic(), False
        except EOFError:
            pass
        finally:
            self._waiting = None
            source.close()

    # what is done

    def _work(self, turn: Turn, calls: Sequence[Call], tools: Tools) -> Events:
        """Run what was asked for, side by side; what is about to be done is stored before, each result at once."""
        jobs = []
        for call in calls:
            yield call.begun()
            if job := self._job(turn, call, tools):
                jobs.append(job)
            else:
                yield call.completed()
        self._put(turn)
        before = deepcopy(turn.state)
        try:
            with closing(self._drain(Batch(jobs), turn)) as events:
                for event in events:
                    if isinstance(event, Job):
                        self._put(turn)
                        yield event.call.completed()
                    else:
                        yield event
        finally:
            for job in jobs:
                if job.state is not None:
                    turn.state = merge(before, job.state, turn.state)
        self._keep(turn)

    def _job(self, turn: Turn, call: Call, tools: Tools) -> Job | None:
        """None for a call that is not run, and has its answer already."""
        tool = tools.get(call.name)
        if refusal := self._refusal(turn, call, tool, tools):
            call.end(f"Error: {refusal}", failed=True)
            return None
        assert tool is not None
        call.was_run, call.ends_turn = True, tool.ends_turn
        context = RunContext(
            run_id=turn.run_id,
            session_id=self.session_id,
            user_id=turn.session.user_id,
            session_state=deepcopy(turn.state),
            dependencies=dict(self.settings.dependencies),
            metadata=dict(self.settings.metadata),
        )
        return Job(call=call, tool=tool, context=context, check=self._storable, under=self)

    def _refusal(self, turn: Turn, call: Call, tool: Tool | None, tools: Tools) -> str | None:
        if tool is None:
            known = f"there are: {', '.join(tools)}" if tools else "there are none"
            return f"there is no tool {call.name!r}; {known}."
        if call.misread:
            return f"{call.misread}; nothing was run."
        limit, approve = self.settings.tool_call_limit, self.settings.approve
        if limit is not None and turn.calls_run >= limit:
            return f"the limit of {limit} tool calls is reached; nothing was run."
        if turn.ends_with_a_call:
            return "another call answers for this turn; nothing was run."
        if tool.delegates or approve is None:
            return None
        if not approve(call.name, call.arguments, lambda: self.stopped):
            return "the user did not allow this call; nothing was run."
        return None

    def _storable(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """State as it will be read back. CodecError, RecordRejectedError."""
        document = codec.encode({"session_state": state})
        probe = Session(session_id=self.session_id, session_data=document, created_at=0)
        reject_unholdable(probe, self.backend.capabilities)
        stored: dict[str, Any] = codec.decode(document)["session_state"]
        return stored

    # what is kept

    def _put(self, turn: Turn, status: RunStatus = RunStatus.RUNNING) -> None:
        self.backend.put_run(turn.row(status))

    def _keep(self, turn: Turn, status: RunStatus = RunStatus.RUNNING) -> None:
        """What tools made of the state, merged with what others made of it meanwhile; at the end the tokens too."""
        ended = status is not RunStatus.RUNNING
        if not ended and not turn.unsaved:
            return
        metrics = turn.output(status).metrics if ended else {}
        edit = turn.merged if turn.unsaved else None
        known = turn.session
        turn.session = keep_turn(self.backend, self.session_id, metrics, edit, known=known)
        turn.state = stored_state(turn.session)
        turn.saved = deepcopy(turn.state)

    def _summarize(self, turn: Turn) -> Events:
        """After the answer is stored: a summary that fails costs a notice, and the old one stays."""
        every = self.settings.summary_every
        if every is None or turn.index is None:
            return
        session = self.backend.get(self.session_id)
        if not summary.is_due(session, turn.index, every):
            return
        fresh = list(islice(summary.uncovered(self.backend, session), summary.AT_ONCE))
        if len(fresh) < every:
            return
        yield SummaryStarted()
        model = self.settings.summary_model or self.settings.model
        try:
            made = summary.make(summary.stored(session), fresh, model, self._complete)
        except (ModelError, Stopped) as error:
            yield turn.notice(f"no new summary: {error or 'stopped'}")
        else:
            assert made is not None
            summary.keep(self.backend, session, made)
            yield SummaryCompleted(made.text)

    def _complete(self, model: ChatModel, request: ChatRequest) -> tuple[str, ModelFinished | None]:
        """As `summary.complete`, and can be stopped."""
        pump = self._waiting = Pump(model, request)
        try:
            return pump.whole()
        finally:
            self._waiting = None
            pump.close()
