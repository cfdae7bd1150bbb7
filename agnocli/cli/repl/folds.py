"""Long texts in the input line, shown as one word and sent whole."""

from __future__ import annotations

import re

MOST_LINES, MOST_CHARACTERS = 20, 4_000


class Folds:
    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self.pasted: list[str] = []
        """Whatever was, long or not."""

    def fold(self, text: str) -> str:
        """A short word for a long text; a text that is not long as it is."""
        lines = text.rstrip("\n").count("\n") + 1
        if lines > MOST_LINES:
            return self._word(f"pasted {lines:,} lines", text)
        if len(text) > MOST_CHARACTERS:
            return self._word(f"pasted {len(text):,} characters", text)
        return text

    def _word(self, what: str, text: str) -> str:
        word, number = f"[{what}]", 1
        while self._texts.get(word, text) != text:
            number += 1
            word = f"[{what}, {number}]"
        self._texts[word] = text
        return word

    def unfold(self, line: str) -> str:
        """The line with each such word replaced by its text."""
        if not self._texts:
            return line
        words = "|".join(map(re.escape, self._texts))
        return re.sub(words, lambda found: self._texts[found[0]], line)

    def at_end(self, text: str) -> str:
        """The folded word that `text` ends in, or nothing."""
        return next((word for word in self._texts if text.endswith(word)), "")

    def clear(self) -> None:
        self._texts.clear()
        self.pasted.clear()
