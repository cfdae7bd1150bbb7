"""A text in a few words."""

from __future__ import annotations

from agnocli.cli.render.text import fit, one_line

LONGEST = 44


def glimpse(text: str) -> str:
    return fit(one_line(text[: 10 * LONGEST]), LONGEST)
