"""What a one-shot answer and the REPL share: settings from flags and configuration, the session, an answer shown."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from agnocli.abc import Backend
from agnocli.agent.history import recent_turns
from agnocli.agent.models.keys import model_with_key
from agnocli.agent.models.providers import ECHO, ModelSpec, find_provider
from agnocli.agent.runner import Conversation
from agnocli.agent.settings import ChatSettings
from agnocli.cli.context import App
from agnocli.cli.signals import heeding
from agnocli.config import agent_config, resolve, team_config
from agnocli.config.model import AgentConfig, TeamConfig
from agnocli.errors import BackendNotSetUpError, ConfigError, SessionNotFoundError
from agnocli.records import SessionBundle
from agnocli.run import (
    Notice,
    RunContent,
    RunEnded,
    RunEvent,
    ToolCallCompleted,
    ToolCallStarted,
)

if TYPE_CHECKING:
    from agnocli.cli.render.markdown import AnswerStream


class ChatOptions(msgspec.Struct, kw_only=True):
    """The flags of `agno chat`."""

    session: str | None = None
    continue_: bool = False
    agent: str | None = None
    model: str | None = None
    base_url: str | None = None
    user: str | None = None
    system: str | None = None
    history: int | None = None
    name: str | None = None
    state: dict[str, Any] = {}
    save: bool = True
    stream: bool = True
    raw: bool = False
    usage: bool = False
    team: str | None = None
    approve: str | None = None
    max_tool_calls: int | None = None


def choose_agent(app: App, name: str | None) -> AgentConfig:
    return agent_config(app.config, name, app.environ)


def choose_model(app: App, options: ChatOptions, agent: AgentConfig | TeamConfig) -> ModelSpec:
    """Flag, AGNO_MODEL, the agent's, or OpenAI's when its key is there; ConfigError tells the ways to get one.

    The agent's address and key go with the agent's model, not with another one that was asked for.
    """
    name, origin = model_name(app, options, agent)
    if name is None:
        raise ConfigError("no model is configured", hint=WAYS_TO_A_MODEL)
    own = agent if origin == "file" or agent.model is None else AgentConfig()
    base_url = options.base_url
    given_with_it = name == options.model and "@http" in name
    if not given_with_it and find_provider(name.partition(":")[0]) is not ECHO:
        base_url, _ = resolve("base_url", base_url, app.environ, own.base_url, None)
    return model_with_key(name, base_url, own.api_key, app.environ)


def model_name(
    app: App, options: ChatOptions, agent: AgentConfig | TeamConfig
) -> tuple[str | None, str]:
    """The model that is named, and where; None when none is."""
    name, origin = resolve("model", options.model, app.environ, agent.model, None)
    if name is None and app.environ.get("OPENAI_API_KEY"):
        name = "openai:gpt-4o-mini"
    return name, origin


WAYS_TO_A_MODEL = (
    "set OPENAI_API_KEY, or choose one with -m: ollama:llama3.2 (local), openai:gpt-4o-mini, openrouter:…, "
    "openai-like:ID@http://HOST/v1 (any server); -m echo tries the tool without one; all: agno models list"
)


def settings(app: App, options: ChatOptions) -> ChatSettings:
    """What the configuration says of the agent or team, and over it the flags."""
    from agnocli.agent.configured import settings_of
    from agnocli.cli.owners import approving, chosen_owner

    owner = chosen_owner(app, options)
    found = settings_of(owner, stream=options.stream, user_id=user_id(app, options))
    if owner.tools and options.approve is None and not app.terminal.can_ask:
        app.note("nobody can be asked here, so no tool is run; --approve auto runs them")
    found = msgspec.structs.replace(found, approve=approving(app, options.approve))
    if options.max_tool_calls is not None:
        found = msgspec.structs.replace(found, tool_call_limit=options.max_tool_calls)
    if options.system is not None:
        found = msgspec.structs.replace(found, system=options.system)
    if options.history is not None:
        found = msgspec.structs.replace(found, history_runs=options.history, history_messages=None)
    return found


def user_id(app: App, options: ChatOptions) -> str | None:
    if options.team is not None:
        return options.user or team_config(app.config, options.team, app.environ).user_id
    return options.user or choose_agent(app, options.agent).user_id


def open_session(
    app: App, options: ChatOptions, settings: ChatSettings
) -> tuple[Backend, str, bool]:
    """Where the conversation is kept, and as `choose_session`; with --no-save a copy in memory of what is sent along."""
    if options.save:
        backend = app.backend()
        return backend, *choose_session(app, backend, options)
    copy = app.backend("memory://")
    if options.session is None and not options.continue_:
        return copy, *choose_session(app, copy, options)
    backend = app.backend(read_only=True)
    session_id, stored = choose_session(app, backend, options)
    if stored:
        most = settings.history_runs
        most = settings.history_messages if most is None else most
        turns = recent_turns(backend, session_id, most)
        copy.write([SessionBundle(backend.get(session_id), turns)])
    return copy, session_id, stored


def choose_session(app: App, backend: Backend, options: ChatOptions) -> tuple[str, bool]:
    """The session's id, and whether it is stored already. Says what it chose where that is not plain."""
    import uuid

    from agnocli.sessions.resolve import latest, resolve

    if options.continue_:
        return latest(backend, user_id=user_id(app, options)), True
    if options.session is None:
        return str(uuid.uuid4()), False
    try:
        found = resolve(backend, options.session)
    except (SessionNotFoundError, BackendNotSetUpError):
        if options.session.startswith("@"):
            raise
        app.note(f"no session {options.session!r} yet: starting it")
        return options.session, False
    if found != options.session:
        app.note(f"going on with session {found}")
    return found, True


class RawAnswer:
    """The answer's characters exactly as they come."""

    def __init__(self) -> None:
        self._last = "\n"

    def feed(self, delta: str) -> None:
        sys.stdout.write(delta)
        sys.stdout.flush()
        self._last = delta[-1:] or self._last

    def finish(self) -> None:
        if self._last != "\n":
            sys.stdout.write("\n")
            sys.stdout.flush()


def answer_view(app: App, *, raw: bool) -> AnswerStream:
    """Where an answer's text goes: rendered on a terminal, plain into a pipe, untouched if raw."""
    from agnocli.cli.render.markdown import MarkdownStream, PlainStream

    if raw:
        return RawAnswer()
    if app.terminal.stdout_tty:
        return MarkdownStream(sys.stdout, width=app.terminal.width, color=app.terminal.color)
    return PlainStream(sys.stdout)


def show(
    events: Iterator[RunEvent],
    view: AnswerStream,
    waiting: TextIO,
    *,
    note: Callable[[str], None],
    tty: bool,
) -> RunEnded:
    """Print an answer as it comes, a line for each tool call among it; returns how it ended."""
    from agnocli.cli.render.notes import Waiting, tool_outcome

    ended: RunEnded | None = None
    said = broken = False
    sign = Waiting(waiting)
    try:
        with sign:
            for event in events:
                if isinstance(event, RunContent) and event.member is None:
                    sign.stop()
                    view.feed(event.content.lstrip("\n") if broken else event.content)
                    said, broken = True, False
                elif isinstance(event, ToolCallStarted | ToolCallCompleted):
                    sign.stop()
                    if tty and said:  # the note goes to the same screen
                        view.finish()
                        said, broken = False, True
                    if isinstance(event, ToolCallCompleted):
                        note(tool_outcome(event))
                        sign.start()
                elif isinstance(event, Notice):
                    note(event.text)
                elif isinstance(event, RunEnded):
                    ended = event
    finally:
        view.finish()
    assert ended is not None
    return ended


def remarks(app: App, ended: RunEnded, *, stopped: str = "stopped; what was said is kept") -> None:
    """What the answer itself does not tell."""
    output = ended.output
    if output.status == "CANCELLED":
        app.note(stopped)
    elif output.finish_reason == "length":
        app.warn("the answer was cut off at the model's length limit")
    elif ended.error is None and output.finish_reason is None:
        app.warn("the answer ended without the model saying so; it may be incomplete")


@contextmanager
def stopping(conversation: Conversation, came: list[int] | None = None) -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and a closed terminal stop the answer instead of the program; a second Ctrl-C ends it.

    Gives the list of signals that came: `came`, if given.
    """
    came = [] if came is None else came

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt
        conversation.stop()

    with heeding((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stop):
        yield came


def prepare(app: App, conversation: Conversation, options: ChatOptions) -> None:
    """Before the first turn: tidy up after a killed process, and set the name that the flags give it."""
    if conversation.stored() is None:
        return
    recovery = conversation.recover()
    if recovery.interrupted:
        app.note("the last answer was interrupted; what was said of it is kept")
    if recovery.running:
        app.warn("another program is, or was, answering in this session; that turn is left out")
    if options.name:
        from agnocli.sessions.naming import rename

        rename(conversation.backend, conversation.session_id, options.name)


def usage(output: Any) -> str:
    """Tokens and time of a turn, as the provider counted."""
    metrics = output.metrics
    tokens = [
        f"{metrics[f'{kind}_tokens']} {kind}"
        for kind in ("input", "output")
        if metrics.get(f"{kind}_tokens")
    ]
    seconds = f"{metrics['duration']:.1f} s" if "duration" in metrics else ""
    return ", ".join(
        filter(None, [" + ".join(tokens) + " tokens" if tokens else "tokens unknown", seconds])
    )
