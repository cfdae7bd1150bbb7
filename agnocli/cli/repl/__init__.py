"""The prompt of `agno chat`.

    talk      what is being talked about: session, settings, what the next turn is asked with
    loop      reads a line, says or does it, until somebody leaves
    leaving   how somebody does, and comes back
    commands  what begins with a slash
    rewind    turns taken back, put back, asked anew
    clipboard where copied text goes
    paths     what Tab offers behind @
    line      the input line: its look, keys, completion
    keys      what each key does
    folds     long pastes, shown as one word
    history   what was typed, in a file
    terminal  the terminal while nobody is at the prompt

Nothing here but `line`, `keys` and `history` imports prompt_toolkit, and nothing imports them before `start`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agnocli.cli.attachments import Message
    from agnocli.cli.chatting import ChatOptions
    from agnocli.cli.context import App


def start(app: App, options: ChatOptions, first: Message | None) -> int:
    """Talk until the user leaves; `first` is said first. Returns the exit status."""
    from agnocli.cli.repl.loop import run

    return run(app, options, first)
