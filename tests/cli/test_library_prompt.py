"""An agent of a library's user at the prompt: `Agent.cli()`."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

from agnocli.db.sqlite import SqliteDb
from tests.cli.conftest import Agno
from tests.cli.repl import CTRL_D, Terminal, answer

PROGRAM = """
import sys
from agnocli.agent import Agent
from agnocli.db.sqlite import SqliteDb

with SqliteDb(db_file=sys.argv[1]) as db:
    agent = Agent(name="Shop", model="echo", db=db, add_history_to_context=True)
    agent.cli(session_id="mine")
print("and on it goes")
"""


def test_it_is_the_prompt_of_chat_and_the_program_goes_on_behind_it(agno: Agno) -> None:
    agno.database.parent.mkdir(parents=True)
    shown = Terminal(agno, ("-c", PROGRAM, str(agno.database)))
    with closing(shown.child):
        shown.until_prompt()
        shown.send("hello\r")
        shown.until('You said: "hello"')
        shown.until_prompt()
        shown.send("again\r")
        shown.until("held 1 turn")
        shown.until_prompt()
        shown.send("/model\r")
        shown.until("echo")
        shown.until_prompt()
        shown.send(CTRL_D)
        assert shown.ended() == 0
        assert "session mine" in shown.text
        assert "and on it goes" in shown.text
    with SqliteDb(agno.database, read_only=True) as db:
        assert [run.agent_id for run in db.runs("mine")] == ["shop", "shop"]
        assert "hello" in answer(next(db.runs("mine")))


def test_without_a_terminal_it_says_so(agno: Agno) -> None:
    command = [sys.executable, "-c", PROGRAM, str(agno.home / "x.db")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 1
    assert "a conversation needs a terminal" in done.stderr
