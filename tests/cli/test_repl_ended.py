"""The program is ended while somebody talks: by a signal, or with its terminal."""

from __future__ import annotations

import signal
import termios
from collections.abc import Iterator

import pytest

from agnocli.testing.openai_server import Answer, Gate
from tests.cli.conftest import Agno, Serve, at
from tests.cli.repl import Open, answer, terminals


@pytest.fixture
def terminal(agno: Agno) -> Iterator[Open]:
    with terminals(agno) as start:
        yield start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_is_ended_keeps_what_was_said(
    agno: Agno, terminal: Open, serve: Serve, number: int
) -> None:
    gate = Gate()
    server = serve(Answer(chunks=["One two three ", gate, "four."]))
    shown = terminal(*at(server))
    shown.until_prompt()
    shown.send("count\r")
    shown.until("One two three")
    shown.child.kill(number)

    assert shown.ended() == 143
    (session,) = agno.session_ids()
    (run,) = agno.runs(session)
    assert (run.status, answer(run)) == ("CANCELLED", "One two three ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_is_ended_at_the_prompt_leaves_the_terminal_as_it_was(
    agno: Agno, terminal: Open, number: int
) -> None:
    shown = terminal("-m", "echo")
    shown.until_prompt()
    assert not termios.tcgetattr(shown.child.child_fd)[3] & termios.ECHO
    shown.child.kill(number)
    shown.until(lambda: not shown.child.isalive())
    restored = termios.tcgetattr(shown.child.child_fd)

    assert restored[3] & termios.ECHO
    assert restored[3] & termios.ICANON
    assert restored[0] & termios.ICRNL
    assert shown.child.exitstatus == 143


def test_a_terminal_that_is_closed_keeps_what_was_said(
    agno: Agno, terminal: Open, serve: Serve
) -> None:
    gate = Gate()
    server = serve(Answer(chunks=["One two three ", gate, "four."]))
    shown = terminal(*at(server))
    shown.until_prompt()
    shown.send("count\r")
    shown.until("One two three")
    shown.child.ptyproc.fileobj.close()
    shown.child.wait()

    (session,) = agno.session_ids()
    (run,) = agno.runs(session)
    assert (run.status, answer(run)) == ("CANCELLED", "One two three ")
