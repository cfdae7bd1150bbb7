"""Two conversations beside each other, as a unified diff."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

from agnocli import codec
from agnocli.cli.render.text import amount, fit, neutral, one_line
from agnocli.cli.render.transcript import BOLD, DIM, RED, Page
from agnocli.layout.readable import iso
from agnocli.layout.spoken import Turn
from agnocli.sessions.difference import MISSING, Change, Difference, Stored, words

GREEN = "32"
MOST_LINES = 20_000
"""A turn of more is shown whole, old and new: comparing takes time that grows with the square."""
LONGEST_VALUE = 60


def write_difference(found: Difference, page: Page) -> None:
    page.line(f"--- {_about(found.left)}", RED)
    page.line(f"+++ {_about(found.right)}", GREEN)
    if (run := found.forked_at()) is not None:
        page.line(f"the second is a fork of the first, at turn {run}")
    page.line(_common(found))
    for field in found.fields:
        is_time = field.name in ("created_at", "updated_at")
        before, after = (_value(one, is_time) for one in (field.left, field.right))
        name = one_line(field.name)
        page.line(f"  {name}: {page.style(before, RED)} → {page.style(after, GREEN)}")
    for change in found.changes():
        page.line()
        page.line(f"── {_title(change)}", BOLD)
        for line in _lines(change):
            page.line(neutral(line), {"-": RED, "+": GREEN, "…": DIM}.get(line[:1], ""))
    page.stream.flush()


def _about(stored: Stored) -> str:
    about = stored.about()
    parts = dict.fromkeys(str(about[name]) for name in ("title", "session_id", "backend"))
    return " · ".join(map(one_line, parts))


def _common(found: Difference) -> str:
    runs = amount(found.common, "run")
    if found.same:
        rows = "; what is stored beside them differs" if found.fields else ""
        return f"the same was said in both: {runs}{rows}"
    removed, added = (count - found.common for count in found.counts)
    return f"{runs} in common; {removed:,} only in the first, {added:,} only in the second"


def _value(value: Any, is_time: bool) -> str:
    if value is MISSING:
        return "nothing"
    if is_time:
        return iso(value)
    text = codec.unescaped(codec.encode(value)).decode("utf-8", "replace")
    return fit(one_line(text[: 4 * LONGEST_VALUE]), LONGEST_VALUE)


def _title(change: Change) -> str:
    numbers = dict.fromkeys(_number(one) for one in (change.left, change.right) if one)
    return f"{' / '.join(numbers)} · {change.kind}"


def _number(one: Turn) -> str:
    return f"turn {one.number}" if one.number else f"{one_line(one.author) or 'member'}'s part"


def _lines(change: Change) -> Iterator[str]:
    before, after = (_script(one) for one in (change.left, change.right))
    if len(before) + len(after) > MOST_LINES:
        yield from (f"-{line}" for line in before)
        yield from (f"+{line}" for line in after)
        return
    for number, line in enumerate(unified_diff(before, after, lineterm="")):
        if line.startswith("@@"):
            if number > 2:
                yield "…"
        elif number >= 2:
            yield line


def _script(one: Turn | None) -> list[str]:
    lines: list[str] = []
    for who, what in words(one) if one else ():
        lines.append(f"{who}:")
        lines += (f"  {line}" for line in what.rstrip("\n").split("\n"))
    return lines
