"""A text that tells whether a session has changed."""

from __future__ import annotations

import time

_JUST_NOW = 5
"""Seconds within which a session may change again and still have the same time; clocks may differ by that, too."""


def mark(changed: object, *facts: object) -> str:
    """Of a session that changed at `changed`; of one that did just now, a text that is never made again."""
    text = "|".join(map(str, (changed, *facts)))
    if isinstance(changed, int | float) and abs(time.time() - changed) <= _JUST_NOW:
        return f"{text}|{time.time_ns()}"
    return text
