"""What is said on stderr: notes, warnings, errors, and a sign of life while waiting."""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType
from typing import Self, TextIO

from agnocli import codec
from agnocli.cli.render.text import neutral, neutral_json, sgr
from agnocli.errors import AgnoCLIError

DIM, RED, YELLOW = "2", "1;31", "33"


def colored(stream: TextIO) -> bool:
    """Whether colour is welcome on a stream when nobody said so: a terminal that can, and no NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def note(text: str, *, stream: TextIO | None = None, color: bool | None = None) -> None:
    """Something worth knowing; one dim line."""
    _say("", text, DIM, stream, color)


def warn(text: str, *, stream: TextIO | None = None, color: bool | None = None) -> None:
    _say("warning: ", text, YELLOW, stream, color)


def _say(label: str, text: str, codes: str, stream: TextIO | None, color: bool | None) -> None:
    stream = stream or sys.stderr
    codes = codes if (colored(stream) if color is None else color) else ""
    body = _lines(text)
    stream.write((sgr(label, codes) + body if label else sgr(body, codes)) + "\n")
    stream.flush()


def _lines(text: str) -> str:
    """One line; an error of a driver may have more, which are joined."""
    return " ".join(filter(None, (line.strip() for line in neutral(text).split("\n"))))


def error(
    error: AgnoCLIError,
    *,
    name: str,
    code: int,
    as_json: bool = False,
    stream: TextIO | None = None,
    color: bool | None = None,
) -> None:
    """An error as two lines, or as a JSON object on one; `code` is the exit status, `name` its word."""
    stream = stream or sys.stderr
    if as_json:
        body = {"error": name, "code": code, "message": error.message, "hint": error.hint}
        stream.write(neutral_json(codec.line(body)) + "\n")
        stream.flush()
        return
    color = colored(stream) if color is None else color
    stream.write(sgr("error:", RED if color else "") + " " + _lines(error.message) + "\n")
    if error.hint:
        stream.write(sgr("hint: " + _lines(error.hint), DIM if color else "") + "\n")
    stream.flush()


class Waiting:
    """A spinner on a terminal, from entering until `stop` or leaving; nothing anywhere else."""

    FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
    STEP = 0.1

    def __init__(self, stream: TextIO | None = None, label: str = "thinking") -> None:
        self._stream, self._label = stream or sys.stderr, label
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._drawn = 0

    def __enter__(self) -> Self:
        if self._stream.isatty() and os.environ.get("TERM") != "dumb":
            self._thread = threading.Thread(target=self._spin, daemon=True)
            self._thread.start()
        return self

    def _spin(self) -> None:
        step = 0
        while not self._done.wait(self.STEP):
            frame = f"{self.FRAMES[step % len(self.FRAMES)]} {self._label}"
            self._drawn = len(frame)
            self._stream.write("\r" + frame)
            self._stream.flush()
            step += 1

    def stop(self) -> None:
        """Take the spinner away; safe to call again. Call it before anything is printed."""
        if self._thread is None:
            return
        self._done.set()
        self._thread.join()
        self._thread = None
        if self._drawn:
            self._stream.write("\r" + " " * self._drawn + "\r")
            self._stream.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
