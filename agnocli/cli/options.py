"""Global options: understood before and after the subcommand, by the same parser."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any

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
    yes: bool = False
    dry_run: bool = False

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
    _option("--fields", metavar="A,B", help="Only these fields, in this order."),
    _option("--color", metavar="WHEN", help="auto, always or never."),
    _option("-q", "--quiet", flag=True, help="Say nothing but data and errors."),
    _option("-v", "--verbose", flag=True, help="Say more on stderr."),
    _option("--debug", flag=True, help="Show tracebacks."),
    _option("--no-input", flag=True, help="Never ask anything."),
    _option("-y", "--yes", flag=True, help="Answer yes to confirmations."),
    _option("-n", "--dry-run", flag=True, help="Only say what would be done."),
]
_GLOBAL_NAMES = {name for option in _GLOBAL for name in option.opts}


class Command(TyperCommand):
    """A command that takes the global options too, without listing them in its own help."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), *_own(_GLOBAL, self.params)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        records = [one.get_help_record(ctx) for one in super().get_params(ctx)]
        arguments = [one for one in records if one and not one[0].startswith("-")]
        options = [one for one in records if one and one[0].startswith("-")]
        for heading, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
        formatter.write_paragraph()
        formatter.write_text("Global options, as -b and -o, go here too: see `agno --help`.")


def _own(options: list[TyperOption], params: list[Any]) -> list[TyperOption]:
    """The global options whose names a command does not use for something of its own."""
    taken = {name for param in params for name in param.opts}
    return [one for one in options if taken.isdisjoint(one.opts)]


class Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), *_GLOBAL]

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
        no_args_is_help=help is not None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
