"""`agno sessions tag`, whose arguments look like options: +a puts a tag on, -a takes one off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from agnocli.cli.choosing import Choice, infos
from agnocli.cli.context import App, not_empty
from agnocli.cli.filters import Filtered
from agnocli.cli.render.table import Column
from agnocli.errors import UsageError

COLUMNS = [
    Column("session_id", "ID", "id"),
    Column("title", "TITLE", rank=1),
    Column("tags", "TAGS"),
]
_SIGNED = "agnocli.tags"


class Tagging(Filtered):
    """`+a` and `-a` are tags, also where -a is an option elsewhere.

    What is an option still: a short flag (-n, -q, -y …), and one that takes a value and has a word behind it that is
    no tag (`-b postgres`, `-o json`). Sessions stand before tags, so `-b` behind them with nothing more is a tag.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        takes = {name: not one.is_flag for one in self.get_params(ctx) for name in _options(one)}
        plain, signed = _sorted(args, takes)
        ctx.meta[_SIGNED] = signed
        return super().parse_args(ctx, plain)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[+TAG...]", "[-TAG...]"]


def _options(parameter: Any) -> list[str]:
    return list(parameter.opts) if parameter.param_type_name == "option" else []


def _sorted(args: list[str], takes: dict[str, bool]) -> tuple[list[str], list[str]]:
    """What the parser is to see, and the tags. `takes` says of each option whether a value goes with it."""
    plain, signed, left = list[str](), list[str](), list(args)
    while left:
        one = left.pop(0)
        if one == "--":
            return [*plain, one, *left], signed
        has_value = takes.get(one, False) and bool(left)
        if (
            one.startswith("--")
            or not re.match("[+-].", one)
            or takes.get(one) is False
            or (has_value and not re.match("[+-]", left[0]))
        ):
            plain.append(one)
        else:
            signed.append(one)
            continue
        if one.startswith("-") and has_value:
            plain.append(left.pop(0))
    return plain, signed


def given(context: typer.Context, add: list[str], remove: list[str]) -> tuple[list[str], list[str]]:
    """Tags to put on, and to take off."""
    signed: list[str] = context.meta[_SIGNED]
    on = [*add, *(one[1:] for one in signed if one.startswith("+"))]
    off = [*remove, *(one[1:] for one in signed if one.startswith("-"))]
    for one in (*on, *off):
        not_empty(one, "a tag")
    if both := sorted({*on} & {*off}):
        raise UsageError(f"the tag {both[0]!r} is to be put on and taken off", hint="choose one")
    return on, off


def tag(app: App, chosen: Choice, add: list[str], remove: list[str]) -> None:
    """Print the tags, changed or not."""
    changes = bool(add or remove) and not app.options.dry_run
    rows = _changed(app, chosen, add, remove) if changes else _present(app, chosen, add, remove)
    if not app.list(rows, COLUMNS):
        app.note("no session matches")
    elif app.options.dry_run and (add or remove):
        app.note("this is how it would be; nothing was changed")


def _present(
    app: App, chosen: Choice, add: list[str], remove: list[str]
) -> Iterator[dict[str, Any]]:
    for info in infos(app.backend(read_only=True), chosen):
        kept = [one for one in info.tags if one not in remove]
        yield _row(info, [*kept, *(one for one in dict.fromkeys(add) if one not in kept)])


def _changed(
    app: App, chosen: Choice, add: list[str], remove: list[str]
) -> Iterator[dict[str, Any]]:
    from agnocli.sessions.tagging import retag

    backend = app.backend()
    for info in infos(backend, chosen):  # a change moves it to the front, behind us
        yield _row(info, retag(backend, info.session_id, add=add, remove=remove))


def _row(info: Any, tags: Any) -> dict[str, Any]:
    return {"session_id": info.session_id, "title": info.title, "tags": list(tags)}
