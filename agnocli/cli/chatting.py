"""What a one-shot answer and the REPL share: settings from flags and configuration, the session, an answer shown."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from agnocli.abc import Backend, ChatRequest, ModelEvent, TextDelta
from agnocli.agent.history import recent_turns
from agnocli.agent.models import open_model, parse_model
from agnocli.agent.models.providers import (
    ECHO,
    OPENAI,
    ModelSpec,
    Secret,
    find_provider,
)
from agnocli.agent.runner import Conversation, RunEnded, RunEvent
from agnocli.agent.settings import ChatSettings
from agnocli.cli.context import App
from agnocli.config import agent_config, resolve
from agnocli.config.model import AgentConfig
from agnocli.errors import BackendNotSetUpError, ConfigError, SessionNotFoundError
from agnocli.records import SessionBundle

if TYPE_CHECKING:
    from agnocli.cli.render.markdown import AnswerStream

DEFAULT_HISTORY_RUNS = 5


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


class LateModel:
    """A model opened when it is first asked: the client library takes half a second to load."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    @property
    def name(self) -> str:
        return self.spec.provider.model_class

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def provider(self) -> str:
        return self.spec.provider.label

    def stream(self, request: ChatRequest) -> Iterator[ModelEvent]:
        return open_model(self.spec).stream(request)


def choose_agent(app: App, name: str | None) -> AgentConfig:
    return agent_config(app.config, name, app.environ)


def choose_model(app: App, options: ChatOptions, agent: AgentConfig) -> ModelSpec:
    """Flag, AGNO_MODEL, the agent's, or OpenAI's when its key is there; ConfigError tells the ways to get one.

    The agent's address and key go with the agent's model, not with another one that was asked for.
    """
    name, origin = resolve("model", options.model, app.environ, agent.model, None)
    if name is None and app.environ.get("OPENAI_API_KEY"):
        name = "openai:gpt-4o-mini"
    if name is None:
        raise ConfigError("no model is configured", hint=WAYS_TO_A_MODEL)
    own = agent if origin == "file" or agent.model is None else AgentConfig()
    base_url = options.base_url
    given_with_it = name == options.model and "@http" in name
    if not given_with_it and find_provider(name.partition(":")[0]) is not ECHO:
        base_url, _ = resolve("base_url", base_url, app.environ, own.base_url, None)
    return model_with_key(name, base_url, own.api_key, app.environ)


def model_with_key(
    name: str, base_url: str | None, api_key: str | None, environ: Mapping[str, str]
) -> ModelSpec:
    """The model, with an agent's own key in the place of the environment's."""
    if not api_key:
        return parse_model(name, base_url=base_url, environ=environ)
    provider = find_provider(name.partition(":")[0])
    variables = dict.fromkeys((provider or OPENAI).key_env, api_key)
    spec = parse_model(name, base_url=base_url, environ={**environ, **variables})
    return msgspec.structs.replace(spec, key=Secret(api_key.strip()))


WAYS_TO_A_MODEL = (
    "set OPENAI_API_KEY, or choose one with -m: ollama:llama3.2 (local), openai:gpt-4o-mini, openrouter:…, "
    "openai-like:ID@http://HOST/v1 (any server); -m echo tries the tool without one; all: agno models list"
)


def settings(app: App, options: ChatOptions) -> ChatSettings:
    agent = choose_agent(app, options.agent)
    runs = agent.num_history_runs if agent.num_history_runs is not None else DEFAULT_HISTORY_RUNS
    if options.history is not None:
        runs = options.history
    elif not agent.add_history_to_context:
        runs = 0
    further = {"temperature": agent.temperature, "max_tokens": agent.max_tokens}
    name = agent.name or "assistant"
    if agent.tools:
        app.warn(f"agent {name!r} has tools, which this version does not run")
    return ChatSettings(
        model=LateModel(choose_model(app, options, agent)),
        agent_id=agent.id or name,
        agent_name=name,
        system=options.system if options.system is not None else system_text(agent),
        history_runs=runs,
        user_id=user_id(app, options),
        stream=options.stream,
        options={key: value for key, value in further.items() if value is not None},
    )


def system_text(agent: AgentConfig) -> str | None:
    """Description, role and instructions, several of these as a list."""
    parts = [agent.description, f"<your_role>\n{agent.role}\n</your_role>" if agent.role else None]
    if isinstance(agent.instructions, str):
        parts.append(agent.instructions)
    elif agent.instructions:
        bullet = "- " if len(agent.instructions) > 1 else ""
        parts.append("\n".join(bullet + one for one in agent.instructions))
    return "\n\n".join(filter(None, parts)) or None


def user_id(app: App, options: ChatOptions) -> str | None:
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
        turns = recent_turns(backend, session_id, settings.history_runs)
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


def show(events: Iterator[RunEvent], view: AnswerStream, waiting: TextIO) -> RunEnded:
    """Print an answer as it comes; returns how it ended."""
    from agnocli.cli.render.notes import Waiting

    ended: RunEnded | None = None
    try:
        with Waiting(waiting) as sign:
            for event in events:
                if isinstance(event, TextDelta):
                    sign.stop()
                    view.feed(event.text)
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
    if output.tools:
        app.warn("the model asked for tools, which this version does not run")


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

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in signals}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def first_state(app: App, options: ChatOptions) -> dict[str, Any]:
    """The state a new session begins with: the agent's, and over it what the flags set."""
    return {**(choose_agent(app, options.agent).session_state or {}), **options.state}


def prepare(app: App, conversation: Conversation, options: ChatOptions) -> None:
    """Before the first turn: tidy up after a killed process, and set what the flags change in a stored session."""
    from agnocli.edit import edit_members

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
    if options.state:

        def merged(data: dict[str, Any]) -> dict[str, object]:
            state = data.get("session_state")
            return {"session_state": (state if isinstance(state, dict) else {}) | options.state}

        edit_members(conversation.backend, conversation.session_id, "session_data", merged)


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
