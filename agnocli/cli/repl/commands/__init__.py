"""What begins with a slash.

command   what a command is
general   help, leaving
sessions  which session is talked in: new, switch, fork, and what is done with one as a whole
turns     what was said: shown, copied, taken back, asked again
asking    what the next turn is asked with: model, system prompt, tools, files
stored    what is kept beside the words: state, summary; and exports
spending  tokens and cost
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from agnocli.cli.repl.commands import asking, general, sessions, spending, stored, turns
from agnocli.cli.repl.commands.command import Command
from agnocli.errors import UsageError

if TYPE_CHECKING:
    from agnocli.cli.repl.loop import Repl
    from agnocli.cli.repl.talk import Talk

GROUPS = {
    "sessions": sessions.COMMANDS,
    "what was said": turns.COMMANDS,
    "what is asked": asking.COMMANDS,
    "what is kept": stored.COMMANDS,
    "what it took": spending.COMMANDS,
    "the program": general.COMMANDS,
}
COMMANDS = {one.name: one for group in GROUPS.values() for one in group}


def is_command(text: str) -> bool:
    """A slash begins a command, two of them a text with one."""
    text = text.lstrip()
    return text.startswith("/") and not text.startswith("//")


def literal(text: str) -> str:
    """What is meant by a text that is no command."""
    return text.replace("//", "/", 1) if text.lstrip().startswith("//") else text


def typed(text: str) -> str:
    """How a text is typed that is no command."""
    return text.replace("/", "//", 1) if text.lstrip().startswith("/") else text


def run(repl: Repl, text: str) -> None:
    """Do what a line says. UsageError for what is no command, or lacks or has too much."""
    name, argument = _split(text)
    command = named(name)
    if argument and not command.takes:
        raise UsageError(f"{command.usage} takes nothing behind it")
    if command.takes and not command.takes.startswith("[") and not argument:
        raise UsageError(f"{command.usage}: {command.takes} is missing", hint=command.help)
    command.act(repl, argument)


def named(name: str) -> Command:
    """UsageError names the nearest when there is none."""
    if (found := COMMANDS.get(name)) is not None:
        return found
    near = get_close_matches(name, COMMANDS, n=1) or [
        one for one in COMMANDS if name and one.startswith(name)
    ]
    guess = f"did you mean /{near[0]}? " if near else "/help lists them. "
    raise UsageError(
        f"no command /{name}; nothing was sent",
        hint=f"{guess}A message that begins with a slash is written with two: //{name}",
    )


def _split(text: str) -> tuple[str, str]:
    name, *rest = text.strip()[1:].split(maxsplit=1) or [""]
    return name, rest[0].strip() if rest else ""


def candidates(talk: Talk, line: str) -> Iterator[tuple[str, str, str]]:
    """What Tab offers behind `line`: the text, the part of the line it replaces, a remark."""
    if not is_command(line):
        yield from _attached(line)
        return
    if "\n" in line:
        return
    name, blank, argument = line[1:].partition(" ")
    if not blank:
        for command in COMMANDS.values():
            if command.name.startswith(name):
                more = " " if command.takes else ""
                yield f"/{command.name}{more}", line, command.help
    elif (found := COMMANDS.get(name)) and found.candidates:
        for text, remark in found.candidates(talk, argument):
            if text.startswith(argument):
                yield text, argument, remark


def _attached(line: str) -> Iterator[tuple[str, str, str]]:
    from agnocli.cli.repl.paths import beginning_with, typed_path

    if (typed := typed_path(line)) is not None:
        for path, remark in beginning_with(typed):
            yield f"@{path}", f"@{typed}", remark
