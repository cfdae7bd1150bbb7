"""`agno chat`: one answer, or a conversation at the prompt."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from agnocli import codec
from agnocli.agent.runner import Conversation
from agnocli.cli import chat_flags, chatting
from agnocli.cli.chatting import ChatOptions
from agnocli.cli.context import App, run
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import Command, Output, application
from agnocli.cli.render.text import neutral
from agnocli.errors import CodecError, ModelError, UsageError
from agnocli.messages import text
from agnocli.run import RunEnded, RunEvent, RunOutput

if TYPE_CHECKING:
    from agnocli.cli.attachments import Message

app = application()


class Approval(StrEnum):
    ASK = "ask"
    AUTO = "auto"
    DENY = "deny"


@app.command(cls=Command)
def chat(
    context: typer.Context,
    prompt: Annotated[
        str | None, typer.Argument(help="What to say; text on stdin is added.")
    ] = None,
    session: Annotated[
        str | None,
        typer.Option("--session", "-s", help="Go on with this session, or start one of that id."),
    ] = None,
    continue_: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the latest session.")
    ] = False,
    agent: chat_flags.Agent = None,
    team: chat_flags.Team = None,
    model: chat_flags.Model = None,
    base_url: chat_flags.BaseUrl = None,
    user: chat_flags.User = None,
    system: chat_flags.System = None,
    history: chat_flags.History = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of a new session.")] = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", metavar="KEY=JSON", help="Session state.")
    ] = None,
    files: Annotated[
        list[Path] | None, typer.Option("--file", "-f", help="A text file or picture to add.")
    ] = None,
    no_save: Annotated[bool, typer.Option("--no-save", help="Store nothing.")] = False,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Ask for the answer in one piece.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="The answer's characters exactly, no rendering.")
    ] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Stay at the prompt.")
    ] = False,
    usage: Annotated[bool, typer.Option("--usage", help="Tell tokens and time on stderr.")] = False,
    max_tool_calls: Annotated[
        int | None, typer.Option("--max-tool-calls", min=0, help="Tool calls a turn may make.")
    ] = None,
    approve: Annotated[
        Approval | None,
        typer.Option(
            "--approve", help="Before a tool is run; without it ask on a terminal, else deny."
        ),
    ] = None,
) -> int:
    """Talk to a model. With PROMPT or text on stdin: one answer. With neither: the prompt."""
    given = {
        "PROMPT": prompt,
        "--session": session,
        "--agent": agent,
        "--team": team,
        "--model": model,
        "--base-url": base_url,
        "--user": user,
        "--name": name,
    }
    chat_flags.check(given)
    if session is not None and continue_:
        raise UsageError("--session and --continue exclude each other")
    options = ChatOptions(
        session=session,
        continue_=continue_,
        agent=agent,
        model=model,
        base_url=base_url,
        user=user,
        system=system,
        history=history,
        name=name,
        state=dict(map(_state, state or [])),
        save=not no_save,
        stream=not no_stream,
        raw=raw,
        usage=usage,
        team=team,
        approve=approve,
        max_tool_calls=max_tool_calls,
    )
    return run(context, lambda one: _chat(one, options, prompt, files or [], interactive))


def _state(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(
            f"--state {text}: expected KEY=JSON", hint="""as --state 'items=["milk"]'"""
        )
    try:
        return key, codec.decode(value)
    except CodecError as error:
        raise UsageError(
            f"--state {key}: {error.message}", hint=f"""text is quoted: --state '{key}="{value}"'"""
        ) from error


def _chat(
    app: App, options: ChatOptions, prompt: str | None, files: list[Path], interactive: bool
) -> int:
    said = _said(app, prompt, files)
    if said is None or interactive:
        if said is None and not app.terminal.can_ask:
            raise UsageError(
                "nothing to ask", hint='give a PROMPT, as agno chat "…", or text on stdin'
            )
        from agnocli.cli.repl import start

        return start(app, options, said)
    return _answer(app, options, said)


def _said(app: App, prompt: str | None, files: list[Path]) -> Message | None:
    """Prompt, stdin and files as one message; None when there is nothing of them."""
    from agnocli.cli.attachments import message, read

    piped = "" if app.terminal.stdin_tty or sys.stdin is None else _read_stdin()
    words = "\n\n".join(part for part in (prompt, piped.strip("\n")) if part)
    said = message(words, [read(path, f"--file {path}") for path in files])
    return said if said.text.strip() or said.pictures else None


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            "stdin is not UTF-8 text", hint="convert it, as with iconv -t utf-8"
        ) from error


def _answer(app: App, options: ChatOptions, said: Message) -> int:
    settings = chatting.settings(app, options)
    backend, session_id, stored = chatting.open_session(app, options, settings)
    conversation = Conversation(
        backend, session_id, settings, name=options.name, state=options.state
    )
    conversation.pictures = said.pictures
    if app.options.dry_run:
        return _would_ask(app, conversation, said)
    chatting.prepare(app, conversation, options)
    try:
        ended, signals = _run(app, conversation, options, said)
    finally:
        if options.session is None and not stored and options.save:
            app.note(f"session {session_id}")
    return _end(app, ended, options, signals)


def _would_ask(app: App, conversation: Conversation, said: Message) -> int:
    """The messages that would be sent. Nothing is sent or stored."""
    (request, _), model = conversation.outlook(said.text), conversation.settings.model
    asked: dict[str, Any] = {
        "session_id": conversation.session_id,
        "model": model.id,
        "messages": list(request.messages),
        "dry_run": True,
    }
    if not app.json(asked):
        for message in request.messages:
            words = neutral(text(message.get("content")))
            sys.stdout.write(f"{message['role']}: {words}\n")
        app.note(f"would ask {model.id}; nothing was sent or stored")
    return ExitStatus.OK


def _run(
    app: App, conversation: Conversation, options: ChatOptions, said: Message
) -> tuple[RunEnded, list[int]]:
    with chatting.stopping(conversation) as signals, closing(conversation.ask(said.text)) as events:
        if app.options.output is Output.JSONL:
            return _print_events(events), signals
        if app.options.output is Output.JSON:
            ended = next(event for event in events if isinstance(event, RunEnded))
            app.json(summary(ended.output))
            return ended, signals
        view = chatting.answer_view(app, raw=options.raw)
        shown = chatting.show(events, view, sys.stderr, note=app.note, tty=app.terminal.stdout_tty)
        return shown, signals


def _print_events(events: Iterator[RunEvent]) -> RunEnded:
    ended: RunEnded | None = None
    for event in events:
        if isinstance(event, RunEnded):
            ended, line = event, summary(event.output)
        else:
            line = {"event": event.event, **msgspec.structs.asdict(event)}
        sys.stdout.write(codec.line(line) + "\n")
        sys.stdout.flush()
    assert ended is not None
    return ended


def summary(output: RunOutput) -> dict[str, Any]:
    """The promised object."""
    return {
        "session_id": output.session_id,
        "run_id": output.run_id,
        "content": output.content,
        "status": output.status.value,
        "model": output.model,
        "metrics": dict(output.metrics),
        "tools": list(output.tools),
    }


def _end(app: App, ended: RunEnded, options: ChatOptions, signals: list[int]) -> int:
    chatting.remarks(app, ended)
    if options.usage:
        app.note(chatting.usage(ended.output))
    if ended.error is not None:
        raise ModelError(
            ended.error.message,
            hint=f"{ended.error.hint or 'try again'}; the question is kept in session {ended.output.session_id}",
            transient=ended.error.transient,
        ) from ended.error
    if signals:
        return ExitStatus.INTERRUPTED if signals[0] == signal.SIGINT else 128 + signals[0]
    if ended.output.model == "echo" and not app.options.json:
        app.note(f"that was the offline test model. For a real one: {chatting.WAYS_TO_A_MODEL}")
    return ExitStatus.OK
