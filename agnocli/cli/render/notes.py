"""What is said on stderr: notes, warnings, errors, and a sign of life while waiting."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TextIO

from agnocli import codec
from agnocli.cli.render.text import neutral, neutral_json, one_line, sgr
from agnocli.errors import AgnoCLIError
from agnocli.run import ToolCallCompleted

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


ARGUMENT_LENGTH = 40
RESULT_LENGTH = 60


def tool_line(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as one would write it, long values cut."""
    given = (
        f"{key}={_short(codec.line(value), ARGUMENT_LENGTH)}" for key, value in arguments.items()
    )
    return f"{one_line(name)}({', '.join(given)})"


def tool_outcome(call: ToolCallCompleted) -> str:
    """A finished call on one line: what was called, how long it took, what came of it."""
    parts = [tool_line(call.name, call.arguments)]
    if call.seconds is not None:
        parts.append(f"{call.seconds:.1f} s")
    parts.append(_short(call.result, RESULT_LENGTH))
    return f"{'failed' if call.failed else 'tool'}: " + " · ".join(parts)


def _short(text: str, length: int) -> str:
    text = one_line(text)
    return text if len(text) <= length else text[: length - 1] + "…"


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
        self.start()
        return self

    def start(self) -> None:
        """Draw it, again if it was stopped."""
        if self._thread is None and self._stream.isatty() and os.environ.get("TERM") != "dumb":
            self._done.clear()
            self._drawn = 0
            self._thread = threading.Thread(target=self._spin, daemon=True)
            self._thread.start()

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
