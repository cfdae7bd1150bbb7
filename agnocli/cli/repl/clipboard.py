"""The clipboard: through the terminal when the program runs on another machine, else by the desktop's program."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import TextIO

from agnocli.errors import UsageError

PATIENCE = 5
"""Seconds that a clipboard program may take."""


def copy(text: str, environ: Mapping[str, str], terminal: TextIO | None) -> str:
    """Returns how it was done. UsageError when there is no way."""
    content = text.encode("utf-8", "replace")
    if terminal is not None and (environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")):
        terminal.write(f"\x1b]52;c;{b64encode(content).decode()}\x07")
        terminal.flush()
        return "through the terminal (OSC 52)"
    for command in _programs(environ):
        if shutil.which(command[0], path=environ.get("PATH")) is not None:
            _give(command, content)
            return f"with {command[0]}"
    raise UsageError(
        "no clipboard program was found; nothing was copied",
        hint="install wl-clipboard, xclip or xsel; over ssh the terminal's own clipboard is used",
    )


def _programs(environ: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    if environ.get("WAYLAND_DISPLAY"):
        yield ("wl-copy",)
    if environ.get("DISPLAY"):
        yield ("xclip", "-selection", "clipboard")
        yield ("xsel", "--clipboard", "--input")
    yield ("pbcopy",)
    yield ("clip.exe",)
    yield ("termux-clipboard-set",)


def _give(command: tuple[str, ...], content: bytes) -> None:
    try:
        subprocess.run(
            command,
            input=content,
            stdout=subprocess.DEVNULL,  # xclip stays, and would hold a pipe open
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(
            f"{command[0]} failed; nothing was copied", hint=f"try it: echo hello | {command[0]}"
        ) from error
