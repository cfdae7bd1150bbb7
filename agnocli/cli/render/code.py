"""Code in colour, one line at a time: what is open at a line's end is carried to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agnocli.cli.render.text import sgr

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped]

LONGEST = 4000
"""Longer lines are data, not code, and stay plain."""

_STYLES = {
    "Comment": "2",
    "Keyword": "35",
    "Keyword.Constant": "36",
    "Keyword.Type": "36",
    "Literal.String": "32",
    "Literal.String.Interpol": "33",
    "Literal.Number": "36",
    "Name.Function": "34",
    "Name.Class": "1;34",
    "Name.Builtin": "36",
    "Name.Decorator": "33",
    "Name.Tag": "34",
    "Name.Attribute": "33",
    "Operator.Word": "35",
    "Generic.Inserted": "32",
    "Generic.Deleted": "31",
    "Generic.Heading": "1",
    "Generic.Subheading": "36",
}
_COMMENT_END = "\n*/"


class Highlighter:
    """`language` as a fence names it; an unknown one leaves lines plain."""

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language)
        self._stack = ["root"]
        self._stateful = self._lexer is not None and _keeps_state(self._lexer)
        self._in_comment = False

    def line(self, text: str) -> str:
        if self._lexer is None or len(text) > LONGEST or not text.strip():
            return text
        lead = "/*" if self._in_comment else ""
        parts: list[str] = []
        skip = len(lead)
        if self._in_comment or "/*" in text:
            open_after = self._leaves_comment_open(lead + text)
            source = lead + text + (_COMMENT_END if open_after else "\n")
            self._in_comment = open_after
        else:
            source = lead + text + "\n"
        for kind, value in self._lex(source):
            dropped = min(skip, len(value))
            skip -= dropped
            parts.append(sgr_line(value[dropped:], _style(kind)))
        return "".join(parts).split("\n", 1)[0]

    def _leaves_comment_open(self, source: str) -> bool:
        stack = list(self._stack)
        last = ("", "")
        for kind, value in self._lex(source + _COMMENT_END):
            if value.strip():
                last = (str(kind), value)
        self._stack = stack
        return ".Comment" in last[0] and last[1].rstrip().endswith("*/")

    def _lex(self, source: str) -> Iterator[tuple[object, str]]:
        from pygments.lexer import ExtendedRegexLexer, LexerContext

        assert self._lexer is not None
        if self._stateful:
            context = LexerContext(source, 0, stack=list(self._stack))
            read = ExtendedRegexLexer.get_tokens_unprocessed(self._lexer, context=context)
            try:
                found = [(kind, value) for _, kind, value in read]
            except TypeError:  # its rules call back without a context
                self._stateful = False
            else:
                self._stack = list(context.stack)
                return iter(found)
        return ((kind, value) for _, kind, value in self._lexer.get_tokens_unprocessed(source))


def sgr_line(text: str, codes: str) -> str:
    """Style up to the first line end only, so that a cut there leaves no style open."""
    head, end, tail = text.partition("\n")
    return sgr(head, codes) + end + tail


def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        return get_lexer_by_name(language) if language else None
    except ClassNotFound:
        return None


def _keeps_state(lexer: Lexer) -> bool:
    from pygments.lexer import RegexLexer

    plain = RegexLexer.get_tokens_unprocessed
    return isinstance(lexer, RegexLexer) and type(lexer).get_tokens_unprocessed is plain


def _style(kind: object) -> str:
    name = str(kind).removeprefix("Token.")
    while name:
        if name in _STYLES:
            return _STYLES[name]
        name = name.rpartition(".")[0]
    return ""
