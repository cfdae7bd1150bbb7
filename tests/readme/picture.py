"""The README's picture: commands as they look in a terminal, drawn by the renderer of the program itself.

python -m tests.readme.picture .github/agno.svg
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.records import Run, Session, SessionBundle

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


def still(written: str, folder: str) -> str:
    """Without bars, which are gone from a terminal when they have done their work."""
    lines = [line for line in written.split("\n") if "━" not in line]
    return "\n".join(lines).replace(folder, "/home/alice")


def drawn(shown: Sequence[tuple[str, str]], title: str) -> str:
    """Commands with what they wrote, as SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    for number, (command, written) in enumerate(shown):
        console.print(Text.assemble(("\n$ " if number else "$ ", "bold green"), (command, "bold")))
        console.print(Text.from_ansi(written.rstrip()))
    svg = console.export_svg(title=title)
    return re.sub(
        r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL
    )  # nothing is fetched to show it


def conversation(
    session_id: str, name: str, age: int, *turns: tuple[str, str], **columns: str
) -> SessionBundle:
    """Of questions and answers; changed so many seconds ago."""
    now = int(time.time()) - age
    runs = []
    for number, (question, answer) in enumerate(turns):
        run_id = f"{session_id}-{number}"
        said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        data = {"run_id": run_id, "agent_id": "assistant", "model": "gpt-4o-mini", "messages": said}
        runs.append(
            Run(
                run_id=run_id,
                session_id=session_id,
                agent_id="assistant",
                status="COMPLETED",
                run_index=number,
                run_data=codec.encode(data),
                created_at=now,
                updated_at=now,
            )
        )
    session = Session(
        session_id=session_id, agent_id="assistant", user_id="alice",
        session_data=codec.encode({"session_name": name}),
        agent_data=codec.encode({"model": {"id": "gpt-4o-mini", "provider": "OpenAI"}}),
        created_at=now, updated_at=now, **columns,  # type: ignore[arg-type]
    )  # fmt: skip
    return SessionBundle(session, tuple(runs))


BREW = """For two, **eight grams** in a warm pot:

1. Boil the water, let it cool to 75 °C
2. Pour, wait *two minutes*, pour it all

```python
def brew(grams: int, celsius: float = 75.0) -> str:
    return f"{grams} g at {celsius} °C"
```"""
STORED = [
    conversation(
        "3f2a91c4",
        "Tea for two",
        3 * 3600,
        ("Which green tea for two?", "A sencha from Uji: mild, and forgiving."),
        ("How do I brew it?", BREW),
    ),
    conversation(
        "b81d07aa",
        "Autumn in Kyoto",
        26 * 3600,
        ("Where is green tea grown?", "Around Uji, near Kyoto."),
    ),
    conversation("77c0e5d2", "Invoice 2026-114", 9 * 86400, ("Is it paid?", "Yes, on Monday.")),
]
COMMANDS = [
    "agno sessions list",
    'agno sessions search "green tea"',
    "agno sessions inspect 'Tea for two' --last 1",
    "agno sessions fork 3f2a --at 1 --name 'Tea for one'",
    "agno migrate sqlite prod",
]


def main(path: Path) -> None:
    with TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "bin").mkdir()
        (home / "bin" / "agno").write_text(f'#!/bin/sh\nexec {sys.executable} -m agnocli "$@"\n')
        (home / "bin" / "agno").chmod(0o755)
        names = ("sqlite", "prod")
        settings = [f'[backends.{one}]\ntype = "sqlite"\ndb_file = "{one}.db"\n' for one in names]
        (home / "agno.toml").write_text('default_backend = "sqlite"\n' + "\n".join(settings))
        with SqliteDb(home / "sqlite.db") as backend:
            backend.write(STORED)
        clean = {
            "HOME": folder, "LANG": "C.UTF-8", "TERM": "xterm-256color", "AGNO_PAGER": "cat",
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        }  # fmt: skip
        shown = [(one, still(on_a_terminal(one, home, clean), folder)) for one in COMMANDS]
    path.write_text(drawn(shown, "agno"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
