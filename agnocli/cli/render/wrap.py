"""Words into lines of a terminal: what is written is final."""

from __future__ import annotations

import re

from agnocli.cli.render.text import Out, cells, clusters, neutral, sgr

_EAST = "\u2e80-\u312f\u3190-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff"
_STAYS = "、。，．・：；？！ー々〻ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ）〕］｝〉》」』】〙〗％〟\u3099\u309a\u309b\u309c"
_OPENS = "（〔［｛〈《「『【〘〖〝"

_TOKENS = re.compile(f"\n|[ \t]+|[{_EAST}]|[^ \t\n{_EAST}]+")
_EAST_ONE = re.compile(f"[{_EAST}]")


def may_break(before: str, after: str) -> bool:
    """Whether a line may end between two characters that no blank stands between."""
    if before in _OPENS or after in _STAYS:
        return False
    if _EAST_ONE.match(after):
        return True
    return bool(_EAST_ONE.match(before)) and after.isalnum()


class Wrapper:
    """Fills lines of `width` cells word by word; a word is written when its end is known.

    Blanks at line ends are never written. A word longer than a line is cut between characters.
    """

    def __init__(self, stream: Out, width: int) -> None:
        self._stream, self._width = stream, width
        self._first = self._rest = ""
        self._room = width
        self._used = 0
        self._open = False
        self._word: list[tuple[str, str]] = []
        self._size = 0
        self._blank = False
        self._last = " "

    def begin(self, first: str = "", rest: str = "") -> None:
        """Start a block whose first line opens with `first`, further ones with `rest`: both neutral, may be styled."""
        self._first, self._rest = first, rest
        self._room = max(1, self._width - visible(rest))
        self._last = " "

    def text(self, text: str, codes: str = "") -> None:
        for token in _TOKENS.findall(neutral(text)):
            if token == "\n":
                self.line_end()
            elif token[0] in " \t":
                self._commit()
                self._blank = self._used > 0
            else:
                self._add(token, codes)
            self._last = token[-1]

    def _add(self, token: str, codes: str) -> None:
        if self._word and may_break(self._last, token[0]):
            self._commit()
        self._word.append((token, codes))
        self._size += cells(token)

    def _commit(self) -> None:
        if not self._word:
            return
        gap = 1 if self._blank else 0
        if self._used and self._used + gap + self._size > self._room:
            self._end()
            gap = 0
        self._put(" " * gap)
        self._used += gap
        for text, codes in self._word:
            self._pour(text, codes)
        self._word, self._size, self._blank = [], 0, False

    def _pour(self, text: str, codes: str) -> None:
        size = cells(text)
        if self._used + size <= self._room:
            self._put(sgr(text, codes))
            self._used += size
            return
        piece = ""
        for cluster, own in clusters(text):
            if self._used and self._used + own > self._room:
                self._put(sgr(piece, codes))
                self._end()
                piece = ""
            piece += cluster
            self._used += own
        self._put(sgr(piece, codes))

    def _put(self, text: str) -> None:
        if not text:
            return
        if not self._open:
            self._stream.write(self._first)
            self._first, self._open = self._rest, True
        self._stream.write(text)

    def _end(self) -> None:
        self._stream.write("\n")
        self._used, self._open, self._blank = 0, False, False

    def line_end(self) -> None:
        """End the line, if one is open."""
        self._commit()
        if self._open:
            self._end()
        self._last = " "

    def finish(self) -> None:
        """End the block; a marker that nothing followed is written alone."""
        self.line_end()
        if self._first != self._rest:
            self._stream.write(self._first.rstrip() + "\n")
        self._first = self._rest


_SGR = re.compile("\x1b\\[[0-9;]*m")


def visible(text: str) -> int:
    """Cells of text that may hold SGR codes."""
    return cells(_SGR.sub("", text))
