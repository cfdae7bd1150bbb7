"""Global options: understood before and after the subcommand, by the same parser."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, ClassVar

import msgspec
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from agnocli.errors import UsageError


class Output(StrEnum):
    AUTO = "auto"
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    IDS = "ids"


class GlobalOptions(msgspec.Struct, kw_only=True):
    """As given; None where not given."""

    backend: str | None = None
    config: str | None = None
    output: Output | None = None
    fields: str | None = None
    color: str | None = None
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    no_input: bool = False
    no_pager: bool = False
    yes: bool = False
    dry_run: bool = False
    version: bool = False

    @property
    def json(self) -> bool:
        """Whether whoever reads this wants JSON, errors included."""
        return self.output in (Output.JSON, Output.JSONL)


def _store(context: typer.Context, parameter: Any, value: Any) -> None:
    """What is given after the subcommand wins over what is given before."""
    if value is None or value is False:
        return
    options = context.find_root().ensure_object(GlobalOptions)
    if parameter.name == "output":
        value = (
            Output(value) if value in list(Output) else _bad(parameter.name, value, list(Output))
        )
    if parameter.name == "color" and value not in _COLORS:
        _bad(parameter.name, value, _COLORS)
    setattr(options, parameter.name, value)


_COLORS = ("auto", "always", "never")


def _bad(name: str, value: str, known: Any) -> Any:
    raise UsageError(f"--{name} {value}: no such choice", hint=f"choose from {', '.join(known)}")


def _option(*names: str, flag: bool = False, metavar: str | None = None, help: str) -> TyperOption:
    return TyperOption(
        param_decls=list(names),
        is_flag=flag,
        default=False if flag else None,
        type=None if flag else str,
        metavar=metavar,
        help=help,
        expose_value=False,
        is_eager=True,
        callback=_store,
    )


_GLOBAL = [
    _option(
        "-b", "--backend", metavar="NAME|URL", help="Where the sessions are.  [env: AGNO_BACKEND]"
    ),
    _option("--config", metavar="FILE|none", help="Configuration file.  [env: AGNO_CONFIG]"),
    _option("-o", "--output", metavar="FORMAT", help="auto, table, json, jsonl, csv, tsv or ids."),
    _option("--fields", metavar="A,B", help="Only these, in this order; `help` lists them."),
    _option("--color", metavar="WHEN", help="auto, always or never."),
    _option("-q", "--quiet", flag=True, help="Say nothing but data and errors."),
    _option("-v", "--verbose", flag=True, help="Say more on stderr."),
    _option("--debug", flag=True, help="Show tracebacks."),
    _option("--no-input", flag=True, help="Never ask anything."),
    _option("--no-pager", flag=True, help="Print long output at once.  [env: AGNO_PAGER, PAGER]"),
    _option("-y", "--yes", flag=True, help="Answer yes to confirmations."),
    _option("-n", "--dry-run", flag=True, help="Only say what would be done."),
    _option("--version", flag=True, help="Print the version."),
]


def _version_if_asked(context: typer.Context) -> None:
    """After all options are read, since -o may stand behind."""
    options = context.find_root().ensure_object(GlobalOptions)
    if not options.version:
        return
    from agnocli import __version__, codec

    found = {"name": "agnocli", "version": __version__}
    typer.echo(codec.line(found) if options.json else f"agnocli {__version__}")
    raise typer.Exit


class Command(TyperCommand):
    """A command that takes the global options too, without listing them in its own help.

    `shared` are options of several commands, and the heading they stand under; a command that uses a name of theirs
    for something of its own does without that one.
    """

    shared: ClassVar[tuple[str, Sequence[TyperOption]]] = ("", ())

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        for param in self.params:
            param.metavar = param.metavar or _metavar(param)

    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), *self._shared(), *_own(_GLOBAL, self.params)]

    def _shared(self) -> list[TyperOption]:
        return _own(self.shared[1], self.params)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        finally:
            _version_if_asked(ctx)

    def invoke(self, ctx: Any) -> Any:
        for param in self.params:
            given = ctx.params.get(param.name)
            for value in given if isinstance(given, list | tuple) else (given,):
                if isinstance(value, str):
                    check_text(param, value)
        return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        arguments = [one for one in self.params if one.param_type_name == "argument"]
        names = [f"{one.metavar}{'' if one.nargs == 1 else '...'}" for one in arguments]
        pairs = zip(arguments, names, strict=True)
        return ["[OPTIONS]", *(name if one.required else f"[{name}]" for one, name in pairs)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        records = [one.get_help_record(ctx) for one in super().get_params(ctx)]
        arguments = [one for one in records if one and not one[0].startswith("-")]
        options = [one for one in records if one and one[0].startswith("-")]
        shared = [one.get_help_record(ctx) for one in self._shared()]
        sections = (("Arguments", arguments), ("Options", options), (self.shared[0], shared))
        for heading, rows in sections:
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
        formatter.write_paragraph()
        formatter.write_text("Global options, as -b and -o, go here too: see `agno --help`.")


def _own(options: Sequence[TyperOption], params: list[Any]) -> list[TyperOption]:
    """The options whose names a command does not use for something of its own."""
    taken = {name for param in params for name in param.opts}
    return [one for one in options if taken.isdisjoint(one.opts)]


def _metavar(param: Any) -> str | None:
    if getattr(param, "is_flag", False):
        return None
    if choices := getattr(param.type, "choices", None):
        return "|".join(str(getattr(one, "value", one)) for one in choices)
    return "N" if "int" in param.type.name else str(param.name).strip("_").upper()


def check_text(param: Any, value: str) -> None:
    """What a script gave may be no text at all."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        name = param.opts[0] if param.param_type_name == "option" else param.metavar
        raise UsageError(
            f"{name} is not valid UTF-8", hint="convert it, as with iconv -t utf-8"
        ) from error


class Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), *_GLOBAL]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        finally:
            _version_if_asked(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, known = args[0], self.list_commands(ctx)
        if name in known or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = get_close_matches(name, known, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"no such command: {name}", hint=f"{guess}{ctx.command_path} --help")

    def invoke(self, ctx: Any) -> Any:
        if ctx._protected_args:
            return super().invoke(ctx)
        if not ctx.find_root().ensure_object(GlobalOptions).json:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(2)
        raise UsageError("no command is given", hint=f"{ctx.command_path} --help")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        rows = [row for one in self.get_params(ctx) if (row := one.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(rows)


def environment_default(options: GlobalOptions) -> GlobalOptions:
    """Options that the environment sets when no flag does."""
    if options.output is None and (value := os.environ.get("AGNO_OUTPUT")):
        options.output = (
            Output(value) if value in list(Output) else _bad("output", value, list(Output))
        )
    return options


def application(help: str | None = None) -> typer.Typer:
    """A Typer app as all of ours are: plain help, no completion of its own, no pretty tracebacks."""
    return typer.Typer(
        cls=Group,
        help=help,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
