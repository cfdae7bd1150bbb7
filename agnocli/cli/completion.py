"""Shell completion: the scripts, and the answers they ask for."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Any

from agnocli.cli.options import GlobalOptions, Output
from agnocli.errors import AgnoCLIError

_BASH = """\
_agno_complete() {
    local IFS=$'\\n'
    local before=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
    COMPREPLY=($(_AGNO_COMPLETE=bash _AGNO_BEFORE="${before[*]}" _AGNO_WORD="${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[0]}" 2>/dev/null))
}
complete -o default -F _agno_complete agno agnocli
"""
_ZSH = """\
#compdef agno agnocli
_agno_complete() {
    local -a found
    found=("${(@f)$(_AGNO_COMPLETE=zsh _AGNO_BEFORE="${(F)words[2,CURRENT-1]}" _AGNO_WORD="${words[CURRENT]}" "${words[1]}" 2>/dev/null)}")
    [[ -n "${found[1]}" ]] && _describe 'agno' found || _files
}
compdef _agno_complete agno agnocli
"""
_FISH = """\
function __agno_complete
    set -l before (commandline -opc)
    set -lx _AGNO_COMPLETE fish
    set -lx _AGNO_BEFORE (string join \\n -- $before[2..-1] | string collect)
    set -lx _AGNO_WORD (commandline -ct)
    $before[1] 2>/dev/null
end
complete -c agno -f -a '(__agno_complete)'
complete -c agnocli -f -a '(__agno_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}

_SESSION_ARGUMENTS = {"session", "sessions"}
_MOST = 200
"""Sessions that are offered, the latest first."""

_PLAIN = re.compile(r"[^\s'\"`$\\*?\[\](){}<>|&;!\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
"""Words that mean themselves in every shell."""

Found = tuple[str, str]
"""A word and what it is."""


def complete(root: Any) -> int:
    """Answer a script; the words come in the environment. Whatever fails, there is just nothing to offer."""
    shell = os.environ["_AGNO_COMPLETE"]
    before = [word for word in os.environ.get("_AGNO_BEFORE", "").split("\n") if word]
    word = os.environ.get("_AGNO_WORD", "")
    try:
        found = [one for one in _offers(root, before, word) if one[0].startswith(word)]
        found = [one for one in found if _PLAIN.fullmatch(one[0])]
    except AgnoCLIError:
        return 1
    sys.stdout.write("".join(_line(shell, *one) + "\n" for one in found))
    return 0


def _line(shell: str, word: str, about: str) -> str:
    if shell == "zsh":
        word = word.replace("\\", "\\\\").replace(":", "\\:")
        return f"{word}:{about}" if about else word
    return f"{word}\t{about}" if shell == "fish" and about else word


def _offers(root: Any, before: list[str], word: str) -> Iterator[Found]:
    context = root.make_context("agno", [], resilient_parsing=True, obj=GlobalOptions())
    command, given, waiting = _walk(context, root, before)
    if waiting is not None:
        yield from _values(waiting, before)
    elif word.startswith("-"):
        for parameter in command.get_params(context):
            about = getattr(parameter, "help", None) or ""
            yield from ((name, about) for name in parameter.opts if name.startswith("-"))
    elif hasattr(command, "list_commands"):
        yield from _subcommands(context, command)
    else:
        yield from _arguments(command, given, before)


def _walk(context: Any, root: Any, before: Iterable[str]) -> tuple[Any, int, Any]:
    """The command the words lead to, how many arguments it has, and the option that waits for its value."""
    command, given, waiting = root, 0, None
    for word in before:
        if waiting is not None:
            waiting = None
        elif word.startswith("-"):
            waiting = _takes_value(context, command, word)
        elif hasattr(command, "list_commands"):
            command = command.get_command(context, word) or command
        else:
            given += 1
    return command, given, waiting


def _takes_value(context: Any, command: Any, word: str) -> Any:
    for parameter in command.get_params(context):
        if word in parameter.opts and not getattr(parameter, "is_flag", False):
            return parameter
    return None


def _subcommands(context: Any, group: Any) -> Iterator[Found]:
    from agnocli.cli.app import COMMANDS

    for name in group.list_commands(context):
        if name in COMMANDS and group.name == "agno":
            yield name, COMMANDS[name]
        elif not (command := group.get_command(context, name)).hidden:
            yield name, command.get_short_help_str(60)


def _arguments(command: Any, given: int, before: list[str]) -> Iterator[Found]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    if not arguments:
        return
    argument = arguments[min(given, len(arguments) - 1)]
    if argument.name in _SESSION_ARGUMENTS and (given < len(arguments) or argument.nargs == -1):
        yield from _sessions(before)
    elif argument.name == "deleted":
        yield from _deleted()
    elif argument.name == "shell":
        yield from ((shell, "") for shell in SCRIPTS)
    elif argument.name == "name" and command.name in ("check", "init"):
        yield from _backends(before)


def _deleted() -> Iterator[Found]:
    from agnocli.cli.render.text import one_line
    from agnocli.cli.trash import Trash

    for one in islice(Trash(os.environ).items(), _MOST):
        yield one.session_id, one_line(one.title or "")


def _values(option: Any, before: list[str]) -> Iterator[Found]:
    if option.name in ("session", "diff"):
        yield from _sessions(before)
    elif option.name == "backend":
        yield from _backends(before)
    elif option.name == "output":
        yield from ((one.value, "") for one in Output)
    elif option.name == "color":
        yield from ((one, "") for one in ("auto", "always", "never"))
    elif option.name == "agent":
        yield from ((name, "") for name in _app(before).config.agents)
    elif option.name == "team":
        yield from ((name, "") for name in _app(before).config.teams)
    elif option.name == "model":
        from agnocli.agent.models.providers import list_providers

        yield from ((f"{one.key}:", one.label) for one in list_providers(os.environ))
    elif choices := getattr(option.type, "choices", None):
        yield from ((str(getattr(one, "value", one)), "") for one in choices)


def _sessions(before: list[str]) -> Iterator[Found]:
    from agnocli.abc import SessionQuery
    from agnocli.cli.render.text import one_line

    app = _app(before)
    try:
        for info in app.backend(read_only=True).find(SessionQuery(limit=_MOST)).items:
            yield info.session_id, one_line(info.title or "")
            if info.name:
                yield info.name, info.session_id
    finally:
        app.close()


def _backends(before: list[str]) -> Iterator[Found]:
    yield from ((name, one.type) for name, one in _app(before).config.backends.items())


def _app(before: list[str]) -> Any:
    """The backend and configuration that the line itself names."""
    from agnocli.cli.context import App

    options = GlobalOptions()
    for word, value in pairwise(before):
        if word in ("-b", "--backend"):
            options.backend = value
        elif word == "--config":
            options.config = value
    return App(options)
