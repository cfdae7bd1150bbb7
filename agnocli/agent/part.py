"""A member's turn within a team's: under the team's run, in the team's session, with the team's state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import msgspec

from agnocli.agent.calls import Job
from agnocli.agent.history import History, history, is_over
from agnocli.agent.recovery import Recovery
from agnocli.agent.runner import Conversation, Events
from agnocli.agent.sessions import keep_turn
from agnocli.agent.settings import ChatSettings
from agnocli.agent.state import over
from agnocli.agent.turn import Turn
from agnocli.records import Run, Session
from agnocli.run import RunContext, RunEnded, RunEvent, RunStatus


class Part(Conversation):
    """Nobody else's turn is in the member's sight: of the session it knows what it said there itself."""

    def __init__(self, under: Conversation, settings: ChatSettings, context: RunContext) -> None:
        super().__init__(under.backend, under.session_id, settings)
        self.parent = context.run_id
        self._context = context
        under.parts.append(self)
        self.stopped = under.stopped

    def stored(self) -> Session | None:
        return self.backend.get(self.session_id)

    def recover(self) -> Recovery:
        return Recovery()

    def _state_of(self, session: Session | None) -> dict[str, Any]:
        return over(self.settings.state, self._context.session_state)

    def _past(self, seen: Sequence[Run] = ()) -> History:
        def own(run: Run) -> bool:
            ours = self.settings.agent_id in (run.agent_id, run.team_id)
            return run.parent_run_id is not None and ours and is_over(run)

        return history(self.backend, self.session_id, self.settings, counts=own)

    def _keep(self, turn: Turn, status: RunStatus = RunStatus.RUNNING) -> None:
        """The state goes back to the team; the tokens are counted here."""
        self._context.session_state = turn.state
        if status is not RunStatus.RUNNING:
            keep_turn(self.backend, self.session_id, turn.output(status).metrics)

    def _summarize(self, turn: Turn) -> Events:
        yield from ()


def delegate(
    job: Job, settings: ChatSettings, task: str, emit: Callable[[RunEvent], None]
) -> RunEnded:
    """Have a member do a task, as part of a call of the team's; its state becomes the call's."""
    under: Conversation = job.under
    own = msgspec.structs.replace(
        settings,
        approve=under.settings.approve,
        stream=under.settings.stream,
        user_id=under.settings.user_id,
    )
    part = Part(under, own, job.context)
    try:
        with closing(part.ask(task)) as events:
            for event in events:
                if isinstance(event, RunEnded):
                    job.call.child_run_id = event.output.run_id
                    return event
                emit(event)
    finally:
        under.parts.remove(part)
    raise AssertionError("unreachable")
