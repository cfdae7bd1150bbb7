"""What was typed at the prompt, in a file: one JSON string a line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit.history import History

from agnocli import codec
from agnocli.errors import CodecError

MOST_ENTRIES, MOST_BYTES = 2_000, 2_000_000
"""Of the file, as much is read."""
LONGEST = 20_000
"""Characters of an entry; a longer one is not worth typing again."""


class InputHistory(History):
    """Kept to its owner. What begins with a blank is not stored; nor is the same line twice in a row.

    `whole` gives the text of a line in which some is folded; `trouble` is told once when the file cannot be used.
    """

    def __init__(
        self, path: Path, *, whole: Callable[[str], str], trouble: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._path, self._whole, self._trouble = path, whole, trouble
        self._usable = True

    def append_string(self, string: str) -> None:
        text = self._whole(string)
        if not text[:1].isspace() and self._loaded_strings[:1] != [text]:
            super().append_string(text)

    def load_history_strings(self) -> Iterable[str]:
        entries = []
        for line in self._read().splitlines():
            try:
                entry = codec.decode(line)
            except CodecError:  # cut off by the limit, or by a full disk
                continue
            if isinstance(entry, str):
                entries.append(entry)
        return entries[: -MOST_ENTRIES - 1 : -1]

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - MOST_BYTES))
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            self._give_up(error)
            return b""

    def store_string(self, string: str) -> None:
        if not self._usable or len(string) > LONGEST:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.write(descriptor, codec.line(string).encode() + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if self._usable:
            self._usable = False
            self._trouble(f"what is typed is not remembered: {self._path}: {error.strerror}")
