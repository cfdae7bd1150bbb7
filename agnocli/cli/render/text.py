"""Stored text made fit for a terminal, and how wide it is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from agnocli.layout.readable import BIDI
from agnocli.layout.readable import bytes_of as bytes_of
from agnocli.layout.readable import iso as iso
from agnocli.layout.readable import neutral as neutral
from agnocli.layout.readable import one_line as one_line
from agnocli.layout.readable import seconds as seconds


class Out(Protocol):
    """What text can be written to."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


_UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f{BIDI}]")

ZERO_WIDTH_JOINER, EMOJI_SELECTOR = "\u200d", "\ufe0f"


def neutral_json(text: str) -> str:
    """JSON text of the same value in which C1 controls, DEL and bidi overrides are escaped as well."""
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def clusters(text: str) -> Iterator[tuple[str, int]]:
    """What a terminal draws as one character, with its width in cells."""
    cluster, width, joined = "", 0, False
    for character in text:
        own = _cells_of(character)
        if cluster and (joined or own == 0 or _is_skin_tone(character, width)):
            cluster += character
            if character == EMOJI_SELECTOR and width == 1:
                width = 2
        else:
            if cluster:
                yield cluster, width
            cluster, width = character, own
        joined = character == ZERO_WIDTH_JOINER
    if cluster:
        yield cluster, width


def _is_skin_tone(character: str, width: int) -> bool:
    return width == 2 and "\U0001f3fb" <= character <= "\U0001f3ff"


def _cells_of(character: str) -> int:
    if character < "\u0300":
        return 0 if character < " " else 1
    import unicodedata

    if unicodedata.category(character) in ("Mn", "Me", "Cf") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cells(text: str) -> int:
    """Width on a terminal, of neutral text."""
    if text.isascii():
        return len(text)
    return sum(width for _, width in clusters(text))


def fit(text: str, width: int) -> str:
    """`text`, cut to at most `width` cells; a cut ends in "…"."""
    if cells(text) <= width:
        return text
    if width <= 0:
        return ""
    kept, used = [], 0
    for cluster, size in clusters(text):
        if used + size > width - 1:
            break
        kept.append(cluster)
        used += size
    return "".join(kept).rstrip() + "…"


def fit_around(text: str, place: int, width: int) -> str:
    """As `fit`, with what stands at `place` within the first third; what is cut before it shows as "…", too."""
    if cells(text) <= width:
        return text
    before, room = list[str](), width // 3
    for cluster, size in reversed([*clusters(text[:place])]):
        room -= size
        if room < 1:
            return fit("…" + "".join(reversed(before)).lstrip() + text[place:], width)
        before.append(cluster)
    return fit(text, width)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """`text` filled up with blanks to `width` cells; `right` moves it to the right edge."""
    blanks = " " * (width - cells(text))
    return blanks + text if right else text + blanks


_UNITS = (
    (60, 1, "s"),
    (3600, 60, "m"),
    (86400, 3600, "h"),
    (14 * 86400, 86400, "d"),
    (60 * 86400, 7 * 86400, "w"),
    (730 * 86400, 30 * 86400, "mo"),
)


def age(epoch: object, now: float) -> str:
    """How long ago, roughly: "2h ago", "in 3d" for the future; as `iso` for what is no time."""
    moment = seconds(epoch)
    if moment is None:
        return iso(epoch)
    gone = now - moment
    if abs(gone) < 1:
        return "now"
    size = abs(gone)
    number, unit = next(
        ((size // step, unit) for limit, step, unit in _UNITS if size < limit),
        (size // (365 * 86400), "y"),
    )
    amount = f"{number:.0f}{unit}"
    return f"{amount} ago" if gone > 0 else f"in {amount}"


def sgr(text: str, codes: str) -> str:
    """`text` in a style of the terminal, given as SGR codes ("1;31"); unchanged without codes."""
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text else text


def amount(number: int, noun: str) -> str:
    """As in 1 run, 2,000 runs."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
