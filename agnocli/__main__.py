"""`agno`, `agnocli` and `python -m agnocli`: one program. Answers what is quick before loading anything."""

from __future__ import annotations

import gc
import os
import sys

SELDOM = 50_000
"""New containers before the collector looks for cycles. Records have none: at 700 it takes a twentieth of a migration."""


def main() -> None:
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from agnocli import __version__

        print(f"agnocli {__version__}")  # noqa: T201
        sys.exit(0)
    gc.set_threshold(SELDOM)
    from agnocli.cli.app import main as run

    status = run(arguments)
    sys.stderr.flush()
    # nothing is left open: the interpreter's own end would wait for threads of a driver, half a second for PyMongo's
    os._exit(status)


if __name__ == "__main__":
    main()
