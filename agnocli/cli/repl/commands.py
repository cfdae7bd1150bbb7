"""What begins with a slash."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

import msgspec

from agnocli.abc import SessionQuery
from agnocli.cli.render.text import neutral, one_line
from agnocli.errors import AgnoCLIError, UsageError

if TYPE_CHECKING:
    from agnocli.cli.repl.loop import Repl
    from agnocli.cli.repl.talk import Talk

Candidate = tuple[str, str]
"""What may be typed, and a remark on it."""

OFFERED = 50
HISTORY_TURNS = 5


class Command(msgspec.Struct, frozen=True):
    """`takes` names the argument, in brackets when it may be left out; empty when there is none."""

    name: str
    takes: str
    help: str
    act: Callable[[Repl, str], None]
    candidates: Callable[[Talk], Iterator[Candidate]] | None = None

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.takes}".rstrip()


def is_command(text: str) -> bool:
    """A slash begins a command, two of them a text with one."""
    text = text.lstrip()
    return text.startswith("/") and not text.startswith("//")


def literal(text: str) -> str:
    """What is meant by a text that is no command."""
    return text.replace("//", "/", 1) if text.lstrip().startswith("//") else text


def run(repl: Repl, text: str) -> None:
    """Do what a line says. UsageError for what is no command, or lacks or has too much."""
    name, argument = _split(text)
    command = COMMANDS.get(name)
    if command is None:
        raise _unknown(name)
    if argument and not command.takes:
        raise UsageError(f"{command.usage} takes nothing behind it")
    if command.takes and not command.takes.startswith("[") and not argument:
        raise UsageError(f"{command.usage}: {command.takes} is missing", hint=command.help)
    command.act(repl, argument)


def _split(text: str) -> tuple[str, str]:
    name, *rest = text.strip()[1:].split(maxsplit=1) or [""]
    return name, rest[0].strip() if rest else ""


def _unknown(name: str) -> UsageError:
    near = get_close_matches(name, COMMANDS, n=1) or [
        one for one in COMMANDS if name and one.startswith(name)
    ]
    guess = f"did you mean /{near[0]}? " if near else "/help lists them. "
    return UsageError(
        f"no command /{name}; nothing was sent",
        hint=f"{guess}A message that begins with a slash is written with two: //{name}",
    )


def candidates(talk: Talk, line: str) -> Iterator[tuple[str, str, str]]:
    """What Tab offers behind `line`: the text, the part of the line it replaces, a remark."""
    if not line.startswith("/") or "\n" in line:
        return
    name, blank, argument = line[1:].partition(" ")
    if not blank:
        for command in COMMANDS.values():
            if command.name.startswith(name):
                more = " " if command.takes else ""
                yield f"/{command.name}{more}", line, command.help
    elif (found := COMMANDS.get(name)) and found.candidates:
        for text, remark in found.candidates(talk):
            if text.startswith(argument):
                yield text, argument, remark


def _sessions_here(talk: Talk) -> Iterator[Candidate]:
    try:
        page = talk.backend.find(SessionQuery(user_id=talk.options.user, limit=OFFERED))
    except AgnoCLIError:  # said when the command is run
        return
    for info in page.items:
        if info.name and info.name.isprintable():
            yield info.name, info.session_id
        if info.session_id.isprintable():
            yield info.session_id, one_line(info.title or "")


def _models_here(talk: Talk) -> Iterator[Candidate]:
    from agnocli.agent.models import list_providers

    for row in list_providers(talk.app.environ):
        usable = "" if row.key_set or not row.key_required else f"needs {row.key_env[0]}"
        yield (row.key if row.key == "echo" else f"{row.key}:"), usable or row.notes


def _command_names(talk: Talk) -> Iterator[Candidate]:
    for command in COMMANDS.values():
        yield command.name, command.help


def _help(repl: Repl, argument: str) -> None:
    shown = list(COMMANDS.values())
    if argument:
        name = argument.removeprefix("/")
        if name not in COMMANDS:
            raise _unknown(name)
        shown = [COMMANDS[name]]
    lines = [f"{one.usage:<19} {one.help}" for one in shown]
    sys.stdout.write("\n".join(lines) + "\n" + ("" if argument else KEYS))


KEYS = """
Enter sends; Alt-Enter, Ctrl-J or \\ Enter begin a new line
Ctrl-R searches what was typed before; Tab completes
Ctrl-X Ctrl-E edits in $EDITOR; Ctrl-C stops an answer
"""


def _exit(repl: Repl, argument: str) -> None:
    from agnocli.cli.repl.loop import Leave

    raise Leave


def _new(repl: Repl, name: str) -> None:
    before = repl.talk.label if repl.talk.stored else None
    repl.talk.new(name or None)
    repl.app.note(
        f"new session {repl.talk.label}" + (f"; back with: /switch {before}" if before else "")
    )


def _switch(repl: Repl, reference: str) -> None:
    repl.talk.switch(reference)


def _sessions(repl: Repl, query: str) -> None:
    from agnocli.cli.session_rows import COLUMNS

    talk = repl.talk
    page = talk.backend.find(SessionQuery(text=query or None, user_id=talk.options.user))
    rows = (msgspec.structs.asdict(one) | {"backend": talk.backend_name} for one in page.items)
    shown = repl.app.list(rows, COLUMNS)
    if not shown:
        repl.app.note("no session matches" if query else "no sessions yet")
    elif page.next:
        repl.app.note("these are the latest; /sessions QUERY finds others")


def _rename(repl: Repl, name: str) -> None:
    repl.talk.rename(name)
    later = "" if repl.talk.stored else ", once something is said"
    repl.app.note(f"this session is named {name!r}{later}")


def _history(repl: Repl, argument: str) -> None:
    from agnocli.cli.render.transcript import Shown, write_transcript

    count = _count(argument)
    session = repl.talk.conversation.stored()
    if session is None:
        repl.app.note("nothing has been said yet")
        return
    terminal = repl.app.terminal
    write_transcript(
        session,
        repl.talk.backend.runs(session.session_id, last=count),
        stream=sys.stdout,
        color=terminal.color,
        width=terminal.width,
        tty=terminal.stdout_tty,
        shown=Shown(summary=False),
    )


def _count(argument: str) -> int:
    if not argument:
        return HISTORY_TURNS
    if not (argument.isascii() and argument.isdecimal() and int(argument) > 0):
        raise UsageError(f"/history {argument}: not a number of turns", hint="as /history 3")
    return int(argument)


def _retry(repl: Repl, argument: str) -> None:
    repl.retry()


def _undo(repl: Repl, argument: str) -> None:
    from agnocli.sessions.turns import last_turn, undo

    turn = last_turn(repl.talk.backend, repl.talk.session_id, own=repl.own_runs)
    count = undo(repl.talk.backend, turn)
    runs = "" if count == 1 else f" ({count} runs)"
    repl.app.note(f"removed the last turn{runs}: {glimpse(turn.question)}")
    repl.line.put_back(turn.question)


def glimpse(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= 60 else line[:59] + "…"


def _tokens(repl: Repl, argument: str) -> None:
    from agnocli import codec
    from agnocli.messages import data
    from agnocli.sessions.turns import last_turn

    talk = repl.talk
    turn = last_turn(talk.backend, talk.session_id, own=repl.own_runs)
    session = codec.members(talk.backend.get(talk.session_id).session_data)
    sys.stdout.write(f"last turn  {_counted(data(turn.run).get('metrics'))}\n")
    sys.stdout.write(f"session    {_counted(session.get('session_metrics'))}\n")


def _counted(metrics: object) -> str:
    """Tokens as the provider counted them."""
    counts = metrics if isinstance(metrics, dict) else {}
    names = {"input_tokens": "in", "output_tokens": "out", "total_tokens": "together"}
    parts = [
        f"{counts[name]:,} {word}"
        for name, word in names.items()
        if isinstance(counts.get(name), int)
    ]
    return ", ".join(parts) or "unknown: the provider did not count"


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


_ALL = (
    Command("help", "[COMMAND]", "list the commands", _help, _command_names),
    Command("exit", "", "leave (also /quit, Ctrl-D)", _exit),
    Command("new", "[NAME]", "begin a new session", _new),
    Command("switch", "SESSION", "go on with another session", _switch, _sessions_here),
    Command("sessions", "[QUERY]", "list stored sessions", _sessions),
    Command("rename", "NAME", "name this session", _rename),
    Command("history", "[N]", "show the last N turns", _history),
    Command("retry", "", "ask the last question again", _retry),
    Command("undo", "", "take the last turn back", _undo),
    Command("tokens", "", "what the provider counted", _tokens),
    Command("model", "[MODEL]", "show or change the model", _model, _models_here),
    Command("system", "[TEXT]", "show or set the system prompt (-: none)", _system),
    Command("quit", "", "leave, as /exit", _exit),
)
COMMANDS = {command.name: command for command in _ALL}
