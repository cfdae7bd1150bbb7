"""What agents and teams share: their configuration, and the ways to run them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, ClassVar, Literal, overload

from agnocli import codec
from agnocli.abc import Backend, ChatModel
from agnocli.agent import advice, configured, places, summary
from agnocli.agent.runner import Conversation
from agnocli.agent.sessions import keep_turn, stored_state
from agnocli.agent.settings import HISTORY_TOKENS
from agnocli.agent.summary import SessionSummary
from agnocli.agent.tools import Tool
from agnocli.errors import UsageError
from agnocli.messages import Message, messages
from agnocli.run import Notice, RunEnded, RunEvent, RunOutput

_opening = Lock()

Input = str | Mapping[str, Any] | Sequence[Any]


@dataclass(kw_only=True, eq=False)
class Runnable:
    """Every setting may be left out; None leaves it to a default. `agnocli.agent.configured` says which."""

    kind: ClassVar[Literal["agent", "team"]] = "agent"

    name: str | None = None
    id: str | None = None
    model: str | ChatModel | None = None
    """`PROVIDER:ID`, `PROVIDER:ID@BASE_URL`, or anything that can be talked to as a ChatModel."""
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    temperature: float | None = None
    max_tokens: int | None = None
    db: Backend | None = None
    """Without one sessions are kept in this process, and end with it."""
    session_id: str | None = None
    user_id: str | None = None
    description: str | None = None
    role: str | None = None
    instructions: str | Sequence[str] | None = None
    """`{name}` stands for a value of the session state, `{{name}}` for the text `{name}`."""
    expected_output: str | None = None
    additional_context: str | None = None
    markdown: bool = False
    tools: Sequence[Callable[..., Any] | Tool] = ()
    tool_call_limit: int | None = None
    session_state: dict[str, Any] | None = None
    """What a new session begins with; a key that an old session lacks is added to it."""
    add_session_state_to_context: bool = False
    add_history_to_context: bool = False
    num_history_runs: int | None = None
    num_history_messages: int | None = None
    max_history_tokens: int | None = HISTORY_TOKENS
    """The oldest turns are left out when all together are estimated to be more."""
    enable_session_summaries: bool = False
    session_summary_num_runs: int | None = None
    """After how many turns the summary takes them in."""
    add_session_summary_to_context: bool | None = None
    summary_model: str | ChatModel | None = None
    retries: int = 0
    """Further tries when a model fails before its first word, and says that it may work later."""
    dependencies: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None

    opened: tuple[Any, ChatModel] | None = field(default=None, init=False, repr=False)
    _latest: tuple[str, Backend] | None = field(default=None, init=False, repr=False)
    advised: bool = field(default=False, init=False, repr=False)
    _memory: Backend | None = field(default=None, init=False, repr=False)

    @property
    def known_as(self) -> str:
        return self.id or configured.slug(self.name or "") or self.kind

    def about(self) -> Sequence[str | None]:
        """What the system message says first; `{name}` in it is replaced."""
        return (
            self.description,
            configured.role_text(self.role),
            configured.listed(self.instructions),
        )

    def context(self) -> Sequence[str]:
        """What the system message says further, as it is."""
        return ()

    def own_tools(self, model: ChatModel) -> Sequence[Tool]:
        """Tools beside those it was given."""
        return ()

    @overload
    def run(
        self,
        input: Input,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        session_state: Mapping[str, Any] | None = None,
        stream: Literal[False] = False,
    ) -> RunOutput: ...

    @overload
    def run(
        self,
        input: Input,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        session_state: Mapping[str, Any] | None = None,
        stream: Literal[True],
    ) -> Iterator[RunEvent]: ...

    def run(
        self,
        input: Input,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        session_state: Mapping[str, Any] | None = None,
        stream: bool = False,
    ) -> RunOutput | Iterator[RunEvent]:
        """One turn; without any session id in a session of its own.

        ModelError, after the turn is stored as ERROR; errors of the database; SessionConflictError for another
        user's session. As a stream the last event comes before the error.
        """
        events = self.events(
            input,
            session_id=session_id,
            user_id=user_id,
            session_state=session_state,
            stream=stream,
        )
        if stream:
            return events
        with closing(events):
            *_, ended = events
        assert isinstance(ended, RunEnded)
        return ended.output

    def events(
        self,
        input: Input,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        session_state: Mapping[str, Any] | None = None,
        stream: bool = True,
    ) -> Generator[RunEvent, None, None]:
        advice.warn(self, session_id or self.session_id)
        talk = self.conversation(session_id, user_id, session_state, stream=stream)
        found = talk.recover()
        advice.tell(found)
        with closing(talk.ask(as_words(input), seen=found.seen)) as events:
            for event in events:
                if isinstance(event, Notice):
                    advice.notice(event.text)
                yield event
                if isinstance(event, RunEnded) and event.error is not None:
                    raise event.error

    def conversation(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        session_state: Mapping[str, Any] | None = None,
        *,
        stream: bool = True,
    ) -> Conversation:
        """The session that a run with these would go on with."""
        chosen = self.session_id if session_id is None else session_id
        if chosen is not None and not chosen.strip():
            raise UsageError("the session id is empty", hint="leave it out for a new session")
        settings = configured.settings_of(self, stream=stream, user_id=user_id)
        place = self.place if chosen is not None or self.db is not None else places.memory()
        chosen = chosen or str(uuid.uuid4())
        self._latest = chosen, place
        return Conversation(place, chosen, settings, state=session_state)

    @property
    def place(self) -> Backend:
        """Where its sessions are."""
        if self.db is not None:
            return self.db
        with _opening:
            if self._memory is None:
                self._memory = places.memory()
            return self._memory

    def print_response(
        self,
        input: Input,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        session_state: Mapping[str, Any] | None = None,
        stream: bool = False,
    ) -> None:
        """A turn whose answer is printed; tools, notices and a new session's id go to stderr."""
        from agnocli.cli.library import print_events

        events = self.events(
            input,
            session_id=session_id,
            user_id=user_id,
            session_state=session_state,
            stream=stream,
        )
        print_events(events, say_session=(session_id or self.session_id) is None)

    def cli(self, *, session_id: str | None = None, user_id: str | None = None) -> None:
        """Talk to it at the prompt of `agno chat`."""
        from agnocli.cli.library import converse

        converse(self.conversation(session_id, user_id))

    cli_app = cli

    @property
    def last_session_id(self) -> str | None:
        """Of the latest run; what the getters look at when they are told no other."""
        return self._latest[0] if self._latest else None

    def get_session_state(self, session_id: str | None = None) -> dict[str, Any]:
        """SessionNotFoundError."""
        place, known = self._where(session_id)
        return stored_state(place.get(known))

    def update_session_state(
        self, changes: Mapping[str, Any], session_id: str | None = None
    ) -> dict[str, Any]:
        """Set keys of a stored session's state, and nothing else of it; gives the new state."""
        place, known = self._where(session_id)
        return stored_state(keep_turn(place, known, {}, lambda state: {**state, **changes}))

    def get_session_summary(self, session_id: str | None = None) -> SessionSummary | None:
        """None when there is none yet. SessionNotFoundError."""
        place, known = self._where(session_id)
        return summary.of(place.get(known))

    def get_chat_history(
        self, session_id: str | None = None, *, last_n_runs: int | None = None
    ) -> list[Message]:
        """What user and assistant said, in turns that failed or were stopped too, but not within a team."""
        place, known = self._where(session_id)
        return [
            one
            for run in place.runs(known, last=last_n_runs)
            if run.parent_run_id is None
            for one in messages(run)
            if one.role in ("user", "assistant") and one.content and not one.from_history
        ]

    def _where(self, session_id: str | None) -> tuple[Backend, str]:
        """A session's place and id: that one, the agent's own, or the latest."""
        latest, place = self._latest or (None, self.place)
        known = session_id or self.session_id or latest
        if known is None:
            raise UsageError("which session? nothing was run yet", hint="give session_id=…")
        return (place if known == latest else self.place), known


def as_words(input: Input) -> str:
    """Text as it is, several texts as lines, all else as JSON."""
    if isinstance(input, str):
        return input
    if isinstance(input, Sequence) and all(isinstance(one, str) for one in input):
        return "\n".join(input)
    return codec.pretty(input)
