"""What the next turn is asked with: the model, the system prompt, tools, files; and what that costs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agnocli.cli.render.text import fit, neutral, one_line
from agnocli.cli.repl.commands.command import Candidate, Command, words
from agnocli.errors import UsageError

if TYPE_CHECKING:
    from agnocli.cli.repl.loop import Repl
    from agnocli.cli.repl.talk import Talk


def models_here(talk: Talk, argument: str) -> Iterator[Candidate]:
    from agnocli.agent.models import list_providers

    for row in list_providers(talk.app.environ):
        usable = "" if row.key_set or not row.key_required else f"needs {row.key_env[0]}"
        yield (row.key if row.key == "echo" else f"{row.key}:"), usable or row.notes


def _model(repl: Repl, name: str) -> None:
    if name:
        repl.talk.set_model(name)
        repl.preload()
        repl.app.note(f"the next turns go to {repl.talk.model}")
    else:
        spec = repl.talk.spec
        shown = repl.talk.model if spec is None or repl.talk.is_echo else neutral(str(spec))
        sys.stdout.write(f"{shown}\n")


def _system(repl: Repl, text: str) -> None:
    if text:
        repl.talk.set_system(None if text == "-" else text)
        repl.app.note("no system prompt from now on" if text == "-" else "system prompt set")
    elif system := repl.talk.settings.system:
        sys.stdout.write(neutral(system) + "\n")
    else:
        repl.app.note("there is no system prompt")


def _tools(repl: Repl, argument: str) -> None:
    """`[on|off NAME]`; without, the list."""
    talk = repl.talk
    if not argument:
        _list_tools(repl)
        return
    switch, _, name = argument.partition(" ")
    if switch not in ("on", "off") or not name:
        raise UsageError(f"/tools {argument}: not understood", hint="as /tools off NAME")
    talk.switch_tool(name.strip(), on=switch == "on")
    done = "is offered to the model" if switch == "on" else "is not offered any more"
    repl.app.note(f"{name.strip()} {done}")


def _list_tools(repl: Repl) -> None:
    tools = repl.talk.tools()
    if not tools:
        repl.app.note("there are no tools; the configuration of an agent names them")
    longest = max((len(tool.name) for tool, _ in tools), default=0)
    width = repl.app.terminal.width if repl.app.terminal.stdout_tty else 400
    for tool, is_on in tools:
        told = one_line(tool.description.partition("\n")[0])
        line = f"{'on ' if is_on else 'off'} {one_line(tool.name):<{longest}}  {told}"
        sys.stdout.write(fit(line, width).rstrip() + "\n")


def tools_here(talk: Talk, argument: str) -> Iterator[Candidate]:
    for tool, is_on in talk.tools():
        yield f"{'off' if is_on else 'on'} {tool.name}", ""


def _file(repl: Repl, argument: str) -> None:
    """`[PATH…]`: files for the next message; `-` takes them away again."""
    from agnocli.cli.attachments import about, read
    from agnocli.config.paths import tilde

    if argument == "-":
        repl.attached.clear()
        repl.app.note("no files go along")
        return
    try:
        paths = shlex.split(argument)
    except ValueError as error:
        raise UsageError(f"/file {argument}: {error}", hint="quote a path with blanks") from error
    added = [read(tilde(path, repl.app.environ), path) for path in paths]
    repl.attached += added
    if repl.attached:
        repl.app.note(f"goes with the next message: {about(repl.attached)}")
    else:
        repl.app.note("no files go along; /file PATH adds one, as @PATH in a message does")


def files_here(talk: Talk, argument: str) -> Iterator[Candidate]:
    from agnocli.cli.repl.paths import beginning_with

    before, blank, last = argument.rpartition(" ")
    for path, remark in beginning_with(last):
        yield f"{before}{blank}{path}", remark


def _context(repl: Repl, argument: str) -> None:
    from agnocli.agent.outlook import outlook
    from agnocli.cli.render.request import write_request

    terminal = repl.app.terminal
    found = outlook(repl.talk.conversation)
    with repl.app.paged() as stream:
        write_request(
            found,
            stream=stream,
            color=terminal.color,
            width=terminal.width,
            whole=argument == "full",
        )


COMMANDS = (
    Command("model", "[MODEL]", "show or change the model", _model, models_here),
    Command("system", "[TEXT]", "show or set the system prompt (-: none)", _system),
    Command("tools", "[on|off NAME]", "list the tools; offer one, or not", _tools, tools_here),
    Command("file", "[PATH…]", "add files to the next message (-: none)", _file, files_here),
    Command("context", "[full]", "what the next request would send", _context, words("full")),
)
