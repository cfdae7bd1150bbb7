"""Leaving, from wherever that is, and how to come back."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.repl.talk import Talk
from agnocli.cli.signals import heeding
from agnocli.config.secrets import masked_url

ENDING = (signal.SIGTERM, signal.SIGHUP)


class Leave(BaseException):
    """Somebody leaves, from wherever that is."""

    def __init__(self, status: ExitStatus = ExitStatus.OK, *, by: int = 0) -> None:
        super().__init__()
        self.status = ExitStatus.TERMINATED if by in ENDING else status
        self.hung_up = by == signal.SIGHUP


@contextmanager
def ending() -> Iterator[None]:
    """SIGTERM and SIGHUP leave, in good order."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise Leave(by=number)

    with heeding(ENDING, leave):
        yield


def farewell(talk: Talk) -> None:
    """How to go on, if there is something to go on with."""
    if not (talk.stored and talk.options.save):
        return
    if talk.is_librarys:
        talk.app.note(f"session {talk.session_id}")
        return
    given = talk.app.options
    words = ["agno", "chat"]
    for flag, value in (("--config", given.config), ("-b", given.backend)):
        if value is not None:
            words += [flag, masked_url(value)]
    words += ["-s", talk.session_id]
    talk.app.note(f"resume: {shlex.join(words)}")
