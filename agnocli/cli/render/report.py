"""Findings for a person: what, how grave, and below it what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

import msgspec

from agnocli.cli.render.text import one_line, sgr
from agnocli.cli.render.wrap import Wrapper

MARKS = {"ok": ("✓", "32"), "warning": ("!", "33"), "error": ("✗", "31")}


class Line(msgspec.Struct, frozen=True):
    """`status` is ok, warning or error."""

    what: str
    status: str
    detail: str
    fix: str | None = None


def write_report(lines: Iterable[Line], stream: TextIO, *, width: int, color: bool) -> None:
    """As they come."""
    wrapper = Wrapper(stream, width)
    for line in lines:
        mark, codes = MARKS[line.status]
        wrapper.begin(sgr(mark, codes if color else "") + " ", "  ")
        wrapper.text(f"{one_line(line.what)}:", "1" if color else "")
        wrapper.text(f" {one_line(line.detail)}")
        wrapper.line_end()
        if line.fix and line.status != "ok":
            # whole, so that a command can be copied
            stream.write(f"  → {sgr(one_line(line.fix), '2' if color else '')}\n")
