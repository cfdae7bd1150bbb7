"""Help, and leaving."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agnocli.cli.repl.commands.command import Candidate, Command

if TYPE_CHECKING:
    from agnocli.cli.repl.loop import Repl
    from agnocli.cli.repl.talk import Talk

KEYS = """
Enter sends; Alt-Enter, Ctrl-J or \\ Enter begin a new line
@PATH in a message adds a file; // at its beginning is a slash, @@ an @
Ctrl-R searches what was typed before; Tab completes
Ctrl-X Ctrl-E edits in $EDITOR; Ctrl-C stops an answer
"""


def _help(repl: Repl, argument: str) -> None:
    from agnocli.cli.repl.commands import GROUPS, named

    if argument:
        sys.stdout.write(_line(named(argument.removeprefix("/"))))
        return
    with repl.app.paged() as stream:
        for title, group in GROUPS.items():
            stream.write(f"{title}\n")
            stream.write("".join(f"  {_line(one)}" for one in group))
        stream.write(KEYS)


def _line(command: Command) -> str:
    return f"{command.usage:<30} {command.help}\n"


def _names(talk: Talk, argument: str) -> Iterator[Candidate]:
    from agnocli.cli.repl.commands import COMMANDS

    for command in COMMANDS.values():
        yield command.name, command.help


def _clear(repl: Repl, argument: str) -> None:
    if repl.app.terminal.stdout_tty:
        sys.stdout.write("\x1b[H\x1b[2J")


def _exit(repl: Repl, argument: str) -> None:
    from agnocli.cli.repl.leaving import Leave

    raise Leave


COMMANDS = (
    Command("help", "[COMMAND]", "list the commands", _help, _names),
    Command("clear", "", "clear the screen, and nothing else", _clear),
    Command("exit", "", "leave (also /quit, Ctrl-D)", _exit),
    Command("quit", "", "leave, as /exit", _exit),
)
