"""What is looked for, and where it stands in a text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import msgspec

from agnocli.abc import SessionQuery
from agnocli.errors import UsageError
from agnocli.sessions.search.parts import KINDS, clean

Span = tuple[int, int]

MOST_SPANS = 1000
"""Places of one text that are counted."""
_TRIGRAMS = 12
"""Of a word that are asked for; more would hardly tell more."""


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`terms` must all stand in one text; blanks in a term mean any blanks. `regex` takes them as patterns.

    `roles` are in small letters. `sessions` chooses sessions as a listing does; its order, skip and limit do not
    count. `limit` is of hits, or of sessions with `by_session`, which gives the best hit of each; None means all.
    """

    terms: tuple[str, ...]
    regex: bool = False
    case_sensitive: bool = False
    kinds: tuple[str, ...] = KINDS
    roles: tuple[str, ...] = ()
    sessions: SessionQuery = SessionQuery()
    limit: int | None = 20
    latest: bool = False
    by_session: bool = False
    context: int = 60
    """Characters of a snippet on either side of what was found."""


class Pattern:
    """A query's terms, compiled. UsageError for none, an empty one, or one that is no regular expression."""

    def __init__(self, query: SearchQuery) -> None:
        self.query = query
        if not query.terms or not all(one.strip() for one in query.terms):
            raise UsageError(
                "there is nothing to search for", hint="an unset variable in a script?"
            )
        self._folds = not (query.regex or query.case_sensitive)
        self._terms = tuple(self._compiled(clean(one)) for one in query.terms)

    def _compiled(self, term: str) -> re.Pattern[str]:
        if self.query.regex:
            try:
                flags = re.MULTILINE | (0 if self.query.case_sensitive else re.IGNORECASE)
                return re.compile(term, flags)
            except (re.error, OverflowError, RecursionError) as error:
                raise UsageError(
                    f"{term!r} is not a regular expression: {error}",
                    hint="without --regex it is taken as it stands",
                ) from error
        if self._folds:
            term = fold(term)
        return re.compile(r"\s+".join(map(re.escape, term.split())))

    def wants(self, kind: str, role: str) -> bool:
        query = self.query
        return kind in query.kinds and (not query.roles or role.lower() in query.roles)

    def spans(self, text: str) -> tuple[list[Span], ...]:
        """Where each term stands; empty when one does not."""
        folded = fold(text) if self._folds else text
        found = []
        for term in self._terms:
            if not (spans := _spans(term, folded)):
                return ()
            found.append(spans)
        if len(folded) == len(text):
            return tuple(found)
        back = _Back(text)
        return tuple([(back.of(start), back.of(end)) for start, end in one] for one in found)

    def trigrams(self) -> list[str]:
        """What the folded text of every match has; empty when nothing is known of it."""
        if self.query.regex:
            return []
        words = [word for term in self.query.terms for word in fold(clean(term)).split()]
        return list(dict.fromkeys(three for word in words for three in _threes(word)))

    def marks(self, text: str) -> list[Span]:
        """All places in order, none within another."""
        apart: list[Span] = []
        for start, end in sorted(one for spans in self._anywhere(text) for one in spans):
            if not apart or start >= apart[-1][1]:
                apart.append((start, end))
        return apart

    def _anywhere(self, text: str) -> Iterator[list[Span]]:
        folded = fold(text) if self._folds else text
        back = _Back(text) if len(folded) != len(text) else None
        for term in self._terms:
            spans = _spans(term, folded)
            yield spans if back is None else [(back.of(a), back.of(b)) for a, b in spans]


def _spans(term: re.Pattern[str], text: str) -> list[Span]:
    found = list[Span]()
    for match in term.finditer(text):
        if match.end() > match.start():
            found.append(match.span())
            if len(found) == MOST_SPANS:
                break
    return found


def fold(text: str) -> str:
    """Without case: `Straße` and `STRASSE` are one."""
    return text.casefold()


def _threes(word: str) -> Iterator[str]:
    last = len(word) - 3
    step = max(1, -(-last // _TRIGRAMS))
    for start in dict.fromkeys([*range(0, last + 1, step), *([last] if last >= 0 else [])]):
        yield word[start : start + 3]


class _Back:
    """From places in a folded text, some characters of which became several, to those in the text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *accumulate(len(fold(one)) for one in text)]

    def of(self, place: int) -> int:
        found = bisect_right(self._starts, place) - 1
        return found if self._starts[found] == place else found + 1
