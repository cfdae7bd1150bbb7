"""`agno`, `agnocli` and `python -m agnocli`: one program. Answers what is quick before loading anything."""

from __future__ import annotations

import sys


def main() -> None:
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from agnocli import __version__

        print(f"agnocli {__version__}")  # noqa: T201
        sys.exit(0)
    from agnocli.cli.app import main as run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
