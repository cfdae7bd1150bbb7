"""Paths of files that begin as what was typed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from agnocli.cli.repl.commands.command import Candidate
from agnocli.config.paths import tilde
from agnocli.errors import ConfigError
from agnocli.layout.readable import bytes_of

OFFERED = 100
_TYPED = re.compile(r'(?:^|(?<=\s))@("[^"\n]*|[^\s"@]*)$')


def typed_path(line: str) -> str | None:
    """The path behind an @ that a line ends in."""
    found = _TYPED.search(line)
    return found[1] if found else None


def beginning_with(typed: str) -> Iterator[Candidate]:
    """As they would be typed behind an @, in quotes where there is a blank; hidden ones when asked for."""
    folder, slash, start = typed.lstrip('"').rpartition("/")
    try:
        entries = sorted(
            os.scandir(tilde(folder + slash, os.environ) if slash else Path()), key=_order
        )
    except (OSError, ConfigError):
        return
    fitting = (one for one in entries if one.name.startswith(start) and one.name.isprintable())
    shown = [one for one in fitting if start.startswith(".") or not one.name.startswith(".")]
    for entry in shown[:OFFERED]:
        path = f"{folder}{slash}{entry.name}"
        if entry.is_dir():
            path += "/"
        quoted = typed.startswith('"') or " " in path
        yield (
            f'"{path}' + ('"' if quoted and not entry.is_dir() else "") if quoted else path,
            _remark(entry),
        )


def _order(entry: os.DirEntry[str]) -> tuple[bool, str]:
    return not entry.is_dir(), entry.name


def _remark(entry: os.DirEntry[str]) -> str:
    return "" if entry.is_dir() else bytes_of(entry.stat(follow_symlinks=False).st_size)
