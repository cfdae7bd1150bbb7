"""Moments as people write them."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

from agnocli.errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds_of(text: str, flag: str) -> int:
    """Seconds, as 90s, 15m, 36h, 7d, 2w."""
    if match := re.fullmatch(r"(\d{1,9})([smhdw])", text):
        return int(match[1]) * _UNITS[match[2]]
    raise UsageError(f"{flag} {text!r} is no span of time", hint="as 90s, 15m, 36h, 7d or 2w")


def moment(text: str | None, now: float) -> int | None:
    """Epoch seconds for `36h`, `7d`, `today`, `yesterday`, a date or an ISO time; local where no zone is given."""
    if text is None:
        return None
    if match := re.fullmatch(r"(\d{1,9})([smhdw])", text):
        return max(0, int(now) - int(match[1]) * _UNITS[match[2]])
    if text in ("today", "yesterday"):
        day = datetime.fromtimestamp(now).astimezone().date() - timedelta(days=text == "yesterday")
        return int(datetime.combine(day, time()).timestamp())
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is not a time",
            hint="as 36h, 7d, 2w, yesterday, 2026-01-31 or 2026-01-31T12:00:00Z",
        ) from None
