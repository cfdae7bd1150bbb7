"""`agno completion SHELL`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agnocli.cli.completion import SCRIPTS
from agnocli.cli.options import Command, application
from agnocli.errors import UsageError

app = application()


@app.command(cls=Command)
def completion(
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Which shell.")],
) -> None:
    """Print a completion script.

    bash: eval "$(agno completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc;
    fish: agno completion fish > ~/.config/fish/completions/agno.fish
    """
    if shell not in SCRIPTS:
        raise UsageError(f"no completion for {shell!r}", hint=f"choose from {', '.join(SCRIPTS)}")
    sys.stdout.write(SCRIPTS[shell])
