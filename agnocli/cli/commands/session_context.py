"""`agno sessions context`: what the next request of a conversation would send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agnocli.cli import chat_flags
from agnocli.cli.context import App, run

if TYPE_CHECKING:
    from agnocli.agent.outlook import Outlook
    from agnocli.agent.runner import Conversation
    from agnocli.cli.chatting import ChatOptions


def context(
    context: typer.Context,
    session: Annotated[str, typer.Argument(help="Id, name, beginning of an id, or @last.")],
    prompt: Annotated[str | None, typer.Argument(help="What would be said next.")] = None,
    agent: chat_flags.Agent = None,
    team: chat_flags.Team = None,
    model: chat_flags.Model = None,
    base_url: chat_flags.BaseUrl = None,
    user: chat_flags.User = None,
    system: chat_flags.System = None,
    history: chat_flags.History = None,
    short: Annotated[bool, typer.Option("--short", help="One line a message.")] = False,
) -> int:
    """Show what the next `agno chat -s SESSION` would send, and what it leaves out. Nothing is sent or stored.

    Flags as those of chat. Tokens are estimated: some four bytes each.
    """
    from agnocli.cli.chatting import ChatOptions

    options = ChatOptions(
        session=session,
        agent=agent,
        team=team,
        model=model,
        base_url=base_url,
        user=user,
        system=system,
        history=history,
        approve="auto",
    )
    given = {"PROMPT": prompt, "--agent": agent, "--team": team, "--model": model}
    chat_flags.check({**given, "--base-url": base_url, "--user": user})
    return run(context, lambda one: _context(one, options, prompt, short))


def _context(app: App, options: ChatOptions, prompt: str | None, short: bool) -> None:
    from agnocli.agent.outlook import outlook

    conversation = _conversation(app, options)
    found = outlook(conversation, prompt)
    if app.options.json:
        app.json(as_json(conversation, found))
        return
    show(app, conversation, found, whole=not short)


def _conversation(app: App, options: ChatOptions) -> Conversation:
    """As chat would go on with it, model or none."""
    from msgspec.structs import replace

    from agnocli.agent.runner import Conversation
    from agnocli.cli import chatting
    from agnocli.config import agent_config, team_config
    from agnocli.sessions.resolve import resolve

    backend = app.backend(read_only=True)
    session_id = resolve(backend, options.session or "")
    if options.team is None:
        owner: Any = agent_config(app.config, options.agent, app.environ)
    else:
        owner = team_config(app.config, options.team, app.environ)
    if chatting.model_name(app, options, owner)[0] is None:
        options = replace(options, model="echo")
        app.note("no model is configured: shown without any provider's own spelling")
    return Conversation(backend, session_id, chatting.settings(app, options))


def show(app: App, conversation: Conversation, found: Outlook, *, whole: bool) -> None:
    from agnocli.cli.render.request import write_request

    with app.paged() as stream:
        write_request(
            found,
            stream=stream,
            color=app.terminal.color,
            width=app.terminal.width,
            whole=whole,
        )
    stored, settings = conversation.stored(), conversation.settings
    theirs = None if stored is None else (stored.team_id or stored.agent_id)
    if theirs is not None and theirs != settings.agent_id:
        app.note(f"the session is of {theirs!r}, and this is as {settings.agent_id!r} asks")


def as_json(conversation: Conversation, found: Outlook) -> dict[str, Any]:
    body = dict(found.body)
    asked = {name: body.pop(name, []) for name in ("messages", "tools")}
    return {
        "session_id": conversation.session_id,
        "model": body.pop("model"),
        **asked,
        "options": body,
        "tokens": {
            "estimated": found.tokens,
            "messages": [part.tokens for part in found.parts],
            "tools": found.tool_tokens,
        },
        "sources": [part.source for part in found.parts],
        "left_out": [{"reason": why, "runs": number} for why, number in found.left_out.items()],
    }
