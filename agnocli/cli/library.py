"""What a library user sees on a terminal: answers and the prompt, as the program's own."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from agnocli.cli import chatting
from agnocli.cli.context import App
from agnocli.cli.options import GlobalOptions
from agnocli.run import Notice, RunEvent, RunStarted

if TYPE_CHECKING:
    from agnocli.agent.runner import Conversation


def print_events(events: Generator[RunEvent, None, None], *, say_session: bool) -> None:
    """The answer on stdout, all else on stderr. What the run raises is raised."""
    app = App(GlobalOptions())

    def shown() -> Iterator[RunEvent]:
        for event in events:
            if isinstance(event, RunStarted) and say_session:
                app.note(f"session {event.session_id}")
            if not isinstance(event, Notice):  # logged already
                yield event

    view = chatting.answer_view(app, raw=False)
    with closing(events):
        ended = chatting.show(shown(), view, sys.stderr, note=app.note, tty=app.terminal.stdout_tty)
    chatting.remarks(app, ended)


def converse(conversation: Conversation) -> None:
    """The prompt of `agno chat`, until the user leaves."""
    from agnocli.cli.chatting import ChatOptions
    from agnocli.cli.repl.loop import converse

    converse(App(GlobalOptions()), ChatOptions(), conversation)
