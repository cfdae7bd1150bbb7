"""Commands of a group, made when they are asked for: looking at every function's parameters costs more than all else."""

from __future__ import annotations

from typing import Any

import typer
from typer.main import get_command, get_command_from_info, get_command_name
from typer.models import CommandInfo, TyperInfo

from agnocli.cli.options import Group


def command_of(app: typer.Typer, name: str) -> Any:
    """The group or command that a Typer app is."""
    if app.registered_groups or len(app.registered_commands) > 1:
        return _LazyGroup(app, name)
    command = get_command(app)
    command.name = name
    return command


class _LazyGroup(Group):
    def __init__(self, app: typer.Typer, name: str) -> None:
        info: Any = app.info
        super().__init__(
            name=name,
            help=info.help,
            context_settings=info.context_settings,
            rich_markup_mode=None,
        )
        infos: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
        self._infos = {_name(one): one for one in infos}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self._infos)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self._infos:
            return None
        info = self._infos[cmd_name]
        if isinstance(info, TyperInfo):
            assert info.typer_instance is not None
            return command_of(info.typer_instance, cmd_name)
        return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)


def _name(info: CommandInfo | TyperInfo) -> str:
    if info.name or info.callback is None:
        return info.name or ""
    return get_command_name(info.callback.__name__)
