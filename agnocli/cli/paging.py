"""A pager for what is taller than the screen."""

from __future__ import annotations

import io
import shlex
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO, cast

_LESS = "FIRX"
"""Quits when all fits, ignores case, shows colours, leaves the text on the screen."""


class PagerClosed(Exception):
    """Whoever read had enough; no error."""


def pager_command(environ: Mapping[str, str]) -> list[str]:
    """AGNO_PAGER, then PAGER, else less; nothing where one of them is set to nothing, or to `cat`."""
    named = next((environ[name] for name in ("AGNO_PAGER", "PAGER") if name in environ), "less")
    try:
        words = shlex.split(named)
    except ValueError:  # a quote is not closed
        words = [named]
    return [] if words == ["cat"] else words


class Pager(io.TextIOBase):
    """Holds text back until it is more than `lines`, and then starts the pager. `finish` when all is written."""

    def __init__(
        self, out: TextIO, command: list[str], lines: int, environ: Mapping[str, str]
    ) -> None:
        self._out, self._command, self._lines = out, command, lines
        self._environ = {"LESS": _LESS, "LV": "-c", **environ}
        self._held: list[str] = []
        self._height = 0
        self._process: subprocess.Popen[str] | None = None
        self._sigint: Any = None
        self.missing = False
        """There is no such program; the text went to the screen."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._process is not None:
            self._send(text)
        elif self.missing:
            self._out.write(text)
        else:
            self._held.append(text)
            self._height += text.count("\n")
            if self._height > self._lines:
                self._start()
        return len(text)

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                env=self._environ,
                encoding=self._out.encoding,
                errors="backslashreplace",
            )
        except OSError:
            self.missing = True
        else:  # Ctrl-C is the pager's, as q is
            self._sigint = signal.signal(signal.SIGINT, signal.SIG_IGN)
        held, self._held = "".join(self._held), []
        self.write(held)

    def _send(self, text: str) -> None:
        stdin = cast("subprocess.Popen[str]", self._process).stdin
        try:
            cast(TextIO, stdin).write(text)
        except BrokenPipeError as error:
            raise PagerClosed from error

    def finish(self) -> None:
        """Until whoever reads is done."""
        self._out.write("".join(self._held))
        if self._process is None:
            return
        try:
            with suppress(BrokenPipeError):
                cast(TextIO, self._process.stdin).close()
            self._process.wait()
        finally:
            signal.signal(signal.SIGINT, self._sigint)
