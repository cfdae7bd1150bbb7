"""Markdown line by line: what a line begins, told from as little of it as possible."""

from __future__ import annotations

import re
from enum import Enum

import msgspec


class Kind(Enum):
    TEXT = "text"
    BLANK = "blank"
    HEADING = "heading"
    RULE = "rule"
    FENCE = "fence"
    TABLE = "table"
    INDENTED = "indented"


WHOLE = frozenset({Kind.HEADING, Kind.RULE, Kind.FENCE, Kind.TABLE, Kind.INDENTED, Kind.BLANK})
"""Kinds that are read as whole lines."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """How a line begins. `quotes` counts ">" marks, `markers` are list markers with their columns, `at` is where
    the text starts in the line and `indent` its column behind the quote marks."""

    kind: Kind
    at: int
    indent: int
    quotes: int = 0
    markers: tuple[tuple[int, str], ...] = ()


LONGEST_RULE = 1000
_QUOTE = re.compile(r" {0,3}> ?")
_MARKER = re.compile(r"([-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_MARKER_BEGUN = re.compile(r"[-*+]|\d{1,9}[.)]?")
_RULE = re.compile(r"(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|=+[ \t]*)")
_RULE_BEGUN = re.compile(r"[-\s]+|[*\s]+|[_\s]+|=+[ \t]*")
_HEADING = re.compile(r"#{1,6}(?:[ \t]|$)")
_FENCE = re.compile(r"`{3,}|~{3,}")
_FENCE_LINE = re.compile(r"(`{3,})[^`]*|(~{3,}).*")


def start(line: str, complete: bool, *, in_text: bool, in_list: bool) -> Start | None:
    """None when it takes more of the line to know; a longer part of the line never says something else."""
    at, quotes = quoted(line)
    if not complete and at == len(line):
        return None
    base, markers = at, list[tuple[int, str]]()
    while True:
        text_at = len(line) - len(line[at:].lstrip(" \t"))
        body, indent = line[text_at:], _columns(line[base:text_at])
        kind = _kind(body, complete)
        if kind is None:
            return None
        found = _MARKER.match(body) if kind is Kind.TEXT else None
        if found is None or not _is_marker(found[1], in_text, in_list or bool(markers)):
            break
        markers.append((indent, found[1]))
        at = text_at + len(found[0])
        if at == len(line):
            text_at = at
            if not complete:
                return None
            break
    if kind is Kind.TEXT and indent >= 4 and not (in_text or in_list or markers):
        kind = Kind.INDENTED
    return Start(kind=kind, at=text_at, indent=indent, quotes=quotes, markers=tuple(markers))


def quoted(line: str, most: int = 1000) -> tuple[int, int]:
    """Where the text behind the quote marks of a line starts, and how many there are."""
    at = quotes = 0
    while quotes < most and (found := _QUOTE.match(line, at)):
        at, quotes = found.end(), quotes + 1
    return at, quotes


def _columns(blanks: str) -> int:
    return len(blanks.expandtabs(4))


def _kind(body: str, complete: bool) -> Kind | None:
    if not body:
        return Kind.BLANK if complete else None
    if len(body) <= LONGEST_RULE and _RULE_BEGUN.fullmatch(body):
        if not complete:
            return None
        return Kind.RULE if _RULE.fullmatch(body) else Kind.TEXT
    if body[0] == "|":
        return Kind.TABLE
    if _FENCE.match(body):
        if complete:
            return Kind.FENCE if _FENCE_LINE.fullmatch(body) else Kind.TEXT
        return None
    if _HEADING.match(body):
        return Kind.HEADING if complete or body.rstrip("#") else None
    if not complete and (_MARKER_BEGUN.fullmatch(body) or body in ("`", "``", "~", "~~")):
        return None
    return Kind.TEXT


def _is_marker(marker: str, in_text: bool, in_list: bool) -> bool:
    return not in_text or in_list or marker in "-*+" or marker[:-1] == "1"


def closes_fence(body: str, fence: str) -> bool:
    text = body.strip()
    return len(text) >= len(fence) and not text.strip(fence[0])


_SEPARATOR = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")


def is_separator(body: str) -> bool:
    """The line between a table's head and its rows."""
    return "|" in body and bool(_SEPARATOR.fullmatch(body))
