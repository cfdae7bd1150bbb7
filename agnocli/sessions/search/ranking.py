"""How well a text answers a query, and the piece of it that shows why."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from agnocli.sessions.search.parts import Part
from agnocli.sessions.search.query import Span

_WEIGHTS = {
    "name": 2.0,
    "content": 1.0,
    "summary": 1.0,
    "reasoning": 0.8,
    "tools": 0.7,
    "state": 0.6,
    "system": 0.4,
}
_WITHIN_WORDS = 0.6
"""Weight of a place that is no whole word."""
_USUAL_LENGTH = 600
_SATURATION, _LENGTH_COUNTS = 1.2, 0.6
_LOOKED_AT = 200
"""Places from which a snippet may start."""
_LONGEST = 200
"""Characters shown of what a regular expression found."""


def score(part: Part, spans: Sequence[Sequence[Span]]) -> float:
    """More places tell more, ever less so; in a short text they tell more than in a long one.

    BM25 without the rarity of terms, so that what a text scores does not depend on the others.
    """
    length = 1 - _LENGTH_COUNTS + _LENGTH_COUNTS * len(part.text) / _USUAL_LENGTH
    total = 0.0
    for places in spans:
        weight = sum(1.0 if _is_word(part.text, one) else _WITHIN_WORDS for one in places)
        total += weight * (_SATURATION + 1) / (weight + _SATURATION * length)
    return round(total / len(spans) * _WEIGHTS[part.kind], 4)


def _is_word(text: str, span: Span) -> bool:
    start, end = span
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


def snippet(text: str, spans: Sequence[Sequence[Span]], context: int) -> str:
    """The text around the first place from which most terms are near; cut at blanks, cuts shown as "…"."""
    start, end = _best(spans, context)
    first, last = max(0, start - context), min(len(text), end + context)
    if first:
        first = _behind_blank(text, first, start)
    if last < len(text):
        last = _before_blank(text, end, last)
    before, after = "…" if first else "", "…" if last < len(text) else ""
    return before + " ".join(text[first:last].split()) + after


def _best(spans: Sequence[Sequence[Span]], context: int) -> Span:
    """From the place that has most terms behind it within reach to the end of the last of these."""
    best, most = spans[0][0], 0
    for start, _ in sorted(chain.from_iterable(spans))[:_LOOKED_AT]:
        reach = start + 2 * context
        firsts = (
            next((one for one in places if start <= one[0] <= reach), None) for places in spans
        )
        near = [one[1] for one in firsts if one is not None]
        if len(near) > most:
            best, most = (start, max(near)), len(near)
    return best[0], min(best[1], best[0] + max(2 * context, _LONGEST))


def _behind_blank(text: str, first: int, start: int) -> int:
    for place in range(first, min(first + 20, start)):
        if text[place].isspace():
            return place + 1
    return first


def _before_blank(text: str, end: int, last: int) -> int:
    for place in range(last, max(last - 20, end), -1):
        if text[place - 1].isspace():
            return place - 1
    return last
