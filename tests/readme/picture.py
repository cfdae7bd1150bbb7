"""The README's picture: commands as they look in a terminal, drawn by the renderer of the program itself.

python -m tests.readme.picture .github/agno.svg
"""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 100, 40


def on_a_terminal(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a command writes to a terminal of this size, escapes and all."""
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", f"stty cols {COLUMNS} rows {ROWS}; {command}"],
        cwd=folder, env=environment, stdin=inner, stdout=inner, stderr=inner,
    )  # fmt: skip
    os.close(inner)
    written = b""
    while True:
        try:
            some = os.read(outer, 65536)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        written += some
    os.close(outer)
    process.wait()
    return written.decode().replace("\r\n", "\n")


def drawn(shown: Sequence[tuple[str, str]], title: str) -> str:
    """Commands with what they wrote, as SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    for number, (command, written) in enumerate(shown):
        console.print(Text.assemble(("\n$ " if number else "$ ", "bold green"), (command, "bold")))
        console.print(Text.from_ansi(written.rstrip()))
    return console.export_svg(title=title)
