"""Bars: a line for each row, as long as its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from agnocli.cli.render.text import cells, fit, one_line, pad, sgr

EIGHTHS = " ▏▎▍▌▋▊▉█"
GAP, LEAST = 2, 10
"""Cells between columns, and those a full bar has at least."""
COLOR = "36"


def write_bars(
    bars: Sequence[tuple[str, float]], stream: TextIO, *, width: int, color: bool, title: str = ""
) -> None:
    """Labels and numbers of 0 or more. Fits the width, in cells; a number that is not 0 has a bar that can be seen."""
    labels = [one_line(label) for label, _ in bars]
    numbers = [shown(number) for _, number in bars]
    longest = max(map(cells, numbers), default=0)
    name = min(max(map(cells, labels), default=0), max(8, width // 3))
    full = max(LEAST, width - name - longest - 2 * GAP)
    largest = max((number for _, number in bars), default=0)
    if title:
        stream.write(sgr(title, "1" if color else "") + "\n")
    for label, number, (_, value) in zip(labels, numbers, bars, strict=True):
        drawn = bar(value / largest if largest else 0, full, blocks=_can_draw(stream))
        line = f"{pad(fit(label, name), name)}{' ' * GAP}{pad(number, longest, right=True)}"
        tail = f"{' ' * GAP}{sgr(drawn, COLOR if color else '')}" if drawn else ""
        stream.write(line + tail + "\n")


def bar(part: float, width: int, *, blocks: bool = True) -> str:
    """So much of the width, to an eighth of a cell."""
    if part <= 0:
        return ""
    if not blocks:
        return "#" * max(1, round(part * width))
    whole, eighths = divmod(max(1, round(part * width * 8)), 8)
    return EIGHTHS[8] * whole + EIGHTHS[eighths].strip()


def shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.4f}"


def _can_draw(stream: TextIO) -> bool:
    try:
        EIGHTHS.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
