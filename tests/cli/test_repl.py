"""The prompt: greeting, talking, leaving."""

from __future__ import annotations

import shlex

import msgspec
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from agnocli import codec
from agnocli.agent.owner import this_process
from agnocli.cli.chatting import ChatOptions
from agnocli.cli.context import App
from agnocli.cli.options import GlobalOptions
from agnocli.cli.repl import commands
from agnocli.cli.repl.leaving import farewell
from agnocli.cli.repl.talk import Talk
from agnocli.db.sqlite import SqliteDb
from tests.cli.conftest import Agno
from tests.cli.repl import (
    Prompt,
    Quiet,
    asked,
)


@pytest.fixture
def prompt(agno: Agno, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(agno, capsys)


def test_a_line_is_a_turn_and_the_next_one_holds_it(prompt: Prompt, agno: Agno) -> None:
    session = prompt("My name is Alice.", "What is my name?")

    assert asked(agno, session) == ["My name is Alice.", "What is my name?"]
    assert 'held 1 turn; the first began: "My name is Alice."' in prompt.out


def test_leaving_tells_how_to_resume(prompt: Prompt, agno: Agno) -> None:
    prompt.globals.backend = "my sessions.db"

    session = prompt("hello")

    assert prompt.status == 0
    command = prompt.err.splitlines()[-1].removeprefix("resume: ")
    assert shlex.split(command) == ["agno", "chat", "-b", "my sessions.db", "-s", session]


def test_a_password_is_not_in_the_way_to_resume(
    prompt: Prompt, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(GlobalOptions(backend="memory://"))
    talk = Talk(app, ChatOptions(model="echo"))
    talk.stored = True
    app.options.backend = "postgresql://me:geheim@host/db"

    farewell(talk)

    assert "geheim" not in capsys.readouterr().err


def test_saying_nothing_stores_nothing_and_tells_of_nothing(prompt: Prompt, agno: Agno) -> None:
    prompt("/help", "/tokens", "/rename Lisbon", "/history", "/new", "/system Be brief.")

    assert not agno.database.exists()
    assert "resume" not in prompt.err


def test_without_saving_nothing_is_stored_and_there_is_nothing_to_resume(
    prompt: Prompt, agno: Agno
) -> None:
    prompt("hello", save=False)

    assert "You said" in prompt.out
    assert not agno.database.exists()
    assert "resume" not in prompt.err


@pytest.mark.parametrize("line", ["/exit", "/quit"])
def test_a_command_leaves(prompt: Prompt, agno: Agno, line: str) -> None:
    session = prompt("hello", line, "never said")

    assert prompt.status == 0
    assert asked(agno, session) == ["hello"]


def test_an_unknown_command_is_never_sent_and_the_nearest_is_offered(
    prompt: Prompt, agno: Agno
) -> None:
    prompt("/hlep", " /histroy 3", "/usr/bin/env is what?")

    assert not agno.database.exists()
    assert "did you mean /help?" in prompt.err
    assert "did you mean /history?" in prompt.err
    assert "no command /usr/bin/env" in prompt.err


def test_two_slashes_say_a_text_with_one(prompt: Prompt, agno: Agno) -> None:
    session = prompt("//etc/hosts is // what?")

    assert asked(agno, session) == ["/etc/hosts is // what?"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/info 3", "/info takes nothing behind it"),
        ("/undo some", "not a number of turns"),
        ("/edit some", "not a turn"),
        ("/copy 1 2", "not a turn"),
        ("/switch", "SESSION is missing"),
        ("/rename", "NAME is missing"),
        ("/history many", "not a number of turns"),
        ("/history 0", "not a number of turns"),
        ("/help nothing", "no command /nothing"),
    ],
)
def test_a_command_with_a_wrong_argument_says_so(
    prompt: Prompt, agno: Agno, line: str, message: str
) -> None:
    session = prompt("hello", line, "again")

    assert message in prompt.err
    assert asked(agno, session) == ["hello", "again"]


def test_help_lists_every_command_on_a_line_of_its_own(prompt: Prompt) -> None:
    prompt("/help")

    lines = prompt.out.splitlines()
    for name, command in commands.COMMANDS.items():
        assert [line for line in lines if line.startswith(f"  /{name} ")] == [
            f"  {command.usage:<30} {command.help}"
        ]
    assert max(map(len, lines)) < 80


def test_help_for_one_command(prompt: Prompt) -> None:
    prompt("/help /undo")

    assert prompt.out.splitlines() == ["/undo [N]                      take the last turns back"]


def test_the_toolbar_tells_backend_session_and_model(prompt: Prompt, agno: Agno) -> None:
    app = App(GlobalOptions(backend="memory://"))
    talk = Talk(app, ChatOptions(model="echo:slow=1", name="Lis\x1b[2Jbon"))

    assert talk.status == "memory:// · Lis␛[2Jbon · echo:slow=1"
    talk.new("a name that is longer than thirty characters")
    assert talk.status == "memory:// · a name that is longer t… · echo:slow=1"
    talk.new(None)
    assert talk.status == f"memory:// · {talk.session_id[:8]} · echo:slow=1"


def test_the_greeting_tells_model_backend_and_help(
    prompt: Prompt, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(GlobalOptions(backend="memory://"))
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        Quiet(app, Talk(app, ChatOptions(model="echo"))).greet()

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "echo · memory:// · /help lists the commands"
    assert "/model PROVIDER:ID" in lines[-1]
    assert max(map(len, lines)) <= 60


def test_an_interrupted_answer_of_a_killed_program_is_told_at_the_start(
    prompt: Prompt, agno: Agno
) -> None:
    session = prompt("one")
    with SqliteDb(agno.database) as backend:
        (run,) = backend.runs(session)
        owner = this_process() | {"pid": 2**22 + 1}
        changes = {"status": "RUNNING", "metadata": {"agnocli": {"owner": owner}}}
        document = codec.patch(run.run_data, changes)
        backend.put_run(msgspec.structs.replace(run, status="RUNNING", run_data=document))

    prompt(session=session)

    assert "the last answer was interrupted" in prompt.err
    assert "one · 1 run so far" in prompt.err
