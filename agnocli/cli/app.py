"""The program: finds the command, and is the one place that catches."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from agnocli.cli.exit_status import ExitStatus, exit_status
from agnocli.cli.lazy import command_of
from agnocli.cli.options import GlobalOptions, Group, application, environment_default
from agnocli.errors import AgnoCLIError, ConfigError, UsageError

COMMANDS = {
    "chat": "Talk to a model; the conversation is kept.",
    "sessions": "List, search, inspect, rename, delete, export and import conversations.",
    "migrate": "Copy sessions from one place to another, and prove it.",
    "verify": "Compare two places, session by session.",
    "backends": "The places that hold sessions: list, check, make.",
    "config": "Where the configuration is, what it says, whether it is right.",
    "models": "Model providers, and what each needs.",
    "doctor": "What is installed, reachable, and likely meant otherwise.",
    "completion": "Print a completion script for bash, zsh or fish.",
}
"""Name and one line of help of each module in `agnocli.cli.commands`, so that help imports none of them."""

AGNOCTL = ("connect", "disconnect", "create", "status", "up", "down", "restart", "tokens")
"""Commands of the `agno` script that Agno itself installs."""


ParserError: Any = typer.BadParameter.__mro__[2]
"""What all errors of the parser are; Typer has it under different names, or none, from version to version."""


class _Root(Group):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return command_of(import_module(f"agnocli.cli.commands.{cmd_name}").app, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


root = application(
    "Chat with LLM agents, and keep, find and manage the conversations, in Agno's own storage."
)


@root.callback(cls=_Root)
def _root() -> None:
    pass


def main(arguments: Sequence[str]) -> int:
    """Run the program; returns its exit status."""
    _open_streams()
    try:
        status = _caught(list(arguments), GlobalOptions())
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read us has had enough
        _abandon_stdout()
        return ExitStatus.BROKEN_PIPE
    except OSError as error:
        _abandon_stdout()
        sys.stderr.write(f"error: {error.filename or 'the output'}: {error.strerror}\n")
        return ExitStatus.FAILED


def _open_streams() -> None:
    """Something to write to even where the caller closed it; and no character that cannot be written."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _abandon_stdout() -> None:
    """Nor is there anybody to flush to at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _caught(arguments: list[str], options: GlobalOptions) -> int:
    try:
        return _dispatch(arguments, options)
    except AgnoCLIError as error:
        return _report(error, options, arguments)
    except typer.Exit as done:
        return done.exit_code
    except ParserError as error:
        return _report(_usage(error), options, arguments)
    except (KeyboardInterrupt, typer.Abort):
        return ExitStatus.INTERRUPTED
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - the one place where nothing is let through
        return _report(_unexpected(error), options, arguments)


def _dispatch(arguments: list[str], options: GlobalOptions) -> int:
    if "_AGNO_COMPLETE" in os.environ:
        from agnocli.cli.completion import complete

        return complete(get_command(root))
    if (forwarded := _agnoctl(arguments)) is not None:
        return forwarded
    command = get_command(root)
    with command.make_context("agno", arguments, obj=options) as context:
        environment_default(options)
        status = command.invoke(context)
    return status if isinstance(status, int) else ExitStatus.OK


def _agnoctl(arguments: Sequence[str]) -> int | None:
    """Run a command of Agno's own CLI, whose script has our name; None when it is none of its."""
    if not arguments or arguments[0] not in AGNOCTL:
        return None
    try:
        agnoctl = import_module("agnoctl.main")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "agnoctl":
            raise
        raise ConfigError(
            f"`agno {arguments[0]}` is a command of Agno's own CLI, which is not installed here",
            hint="pip install agnoctl; the commands of this program: agno --help",
        ) from error
    sys.argv = ["agno", *arguments]
    agnoctl.app()
    return ExitStatus.OK


def _usage(error: Any) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "agno"
    return UsageError(error.format_message(), hint=f"{path} --help")


def _unexpected(error: Exception) -> AgnoCLIError:
    failure = AgnoCLIError(
        f"unexpected {type(error).__name__}: {_without_secrets(str(error))}",
        hint="this is a mistake in agnocli: run it again with --debug, and report what that says",
    )
    failure.__cause__ = error
    return failure


def _report(error: AgnoCLIError, options: GlobalOptions, arguments: Sequence[str]) -> int:
    from agnocli.cli.render.notes import error as print_error

    status = exit_status(error)
    color = {"always": True, "never": False}.get(options.color or "auto")
    as_json = options.json or _asks_for_json(arguments)
    print_error(error, name=_name(error), code=status, as_json=as_json, color=color)
    if options.debug:
        from traceback import format_exception

        sys.stderr.write(_without_secrets("".join(format_exception(error))))
    return status


def _without_secrets(text: str) -> str:
    """Others' messages may repeat a URL or a key of the environment."""
    from agnocli.config import masked
    from agnocli.config.secrets import HIDDEN, is_secret

    text = str(masked(text))
    for name, value in os.environ.items():
        if is_secret(name) and value:
            text = text.replace(value, HIDDEN)
    return text


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether JSON is asked for, in a line that could not be parsed as a whole."""
    if not any(one.startswith(("-o", "--output")) for one in arguments):
        return os.environ.get("AGNO_OUTPUT") in ("json", "jsonl")
    line = " ".join(arguments)
    return re.search(r"(^| )(-o|--output)[ =]?jsonl?( |$)", line) is not None


def _name(error: AgnoCLIError) -> str:
    """`SessionNotFoundError` as `session_not_found`."""
    words = type(error).__name__.removesuffix("Error")
    return "".join("_" + c.lower() if c.isupper() else c for c in words).strip("_")
