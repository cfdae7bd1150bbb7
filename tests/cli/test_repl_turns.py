"""Turns taken back, put back, edited and copied; sessions forked."""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agnocli import codec
from agnocli.cli.repl import clipboard, rewind
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import UsageError
from agnocli.messages import data
from agnocli.testing.openai_server import Answer, Error
from tests.cli.conftest import Agno, Serve, at, said
from tests.cli.repl import CTRL_D, Prompt, asked, turns

END = "\x1b[F"


@pytest.fixture
def prompt(agno: Agno, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(agno, capsys)


def others(agno: Agno, session: str) -> list[str]:
    return [one for one in agno.session_ids() if one != session]


def whole(agno: Agno, session: str) -> list[Any]:
    """The runs, but for when they were written."""
    return [msgspec.structs.replace(run, updated_at=0) for run in agno.runs(session)]


# undo and redo


def test_redo_brings_back_what_undo_took_to_the_byte(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "two", "three")
    before = whole(agno, session)

    prompt("/undo 2", "/redo", "/redo", session=session)

    assert whole(agno, session) == before
    assert "took back the last turn: three" in prompt.err
    assert "back again: two" in prompt.err


def test_turns_can_be_put_back_after_leaving(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "two", "/undo 2")
    assert asked(agno, session) == []

    prompt("/redo 2", session=session)

    assert asked(agno, session) == ["one", "two"]
    assert [run.run_index for run in agno.runs(session)] == [0, 1]


def test_a_turn_put_back_is_heard_by_the_model_again(
    prompt: Prompt, agno: Agno, serve: Serve
) -> None:
    server = serve(Answer("First."), Answer("Second."))

    prompt("one", "/undo", "/redo", "two", model=at(server)[1])

    assert said(server.requests[1])[:2] == [("user", "one"), ("assistant", "First.")]


def test_replaced_answers_and_members_come_back_with_their_turn(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "two", "/retry")
    with SqliteDb(agno.database) as backend:
        *_, last = backend.runs(session)
        member = msgspec.structs.replace(last, run_id="member", parent_run_id=last.run_id)
        backend.append_run(member)
    before = whole(agno, session)

    prompt("/undo", session=session)
    assert asked(agno, session) == ["one"]
    prompt("/redo", session=session)

    assert whole(agno, session) == before


def test_what_was_said_since_is_not_mixed_with_what_is_put_back(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "two", "/undo", "other", "/redo")

    assert asked(agno, session) == ["one", "other"]
    (elsewhere,) = others(agno, session)
    assert asked(agno, elsewhere) == ["one", "two"]
    assert f"go there with: /switch {elsewhere[:8]}" in prompt.err
    assert {data(run)["session_id"] for run in agno.runs(elsewhere)} == {elsewhere}
    prompt("/redo", session=session)
    assert "nothing was taken back in this session" in prompt.err


def test_there_is_nothing_to_redo_without_an_undo(prompt: Prompt) -> None:
    prompt("one", "/redo")

    assert "nothing was taken back in this session" in prompt.err
    assert "hint: /undo takes a turn back" in prompt.err


@pytest.mark.parametrize("killed", ["delete_runs", "append_run"])
def test_a_program_killed_in_between_loses_and_doubles_nothing(
    prompt: Prompt, agno: Agno, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    """The journal is written and the backend is not, or the other way round."""
    session = prompt("one", "two")
    before = whole(agno, session)
    if killed == "append_run":
        prompt("/undo", session=session)
        monkeypatch.setattr("agnocli.sessions.undone.Journal.drop", _dies)
        with pytest.raises(KeyboardInterrupt):
            _redo(agno, session)
    else:
        monkeypatch.setattr(rewind, "undo", _dies)
        with pytest.raises(KeyboardInterrupt):
            _undo(agno, session)
    monkeypatch.undo()
    for name, value in agno.variables.items():
        monkeypatch.setenv(name, value)

    assert whole(agno, session) == before


def _dies(*arguments: object) -> None:
    raise KeyboardInterrupt


def _undo(agno: Agno, session: str) -> None:
    from agnocli.sessions.undone import journal

    with SqliteDb(agno.database) as backend:
        rewind.take_back(backend, session, journal(backend, session), ())


def _redo(agno: Agno, session: str) -> None:
    from agnocli.sessions.undone import journal

    with SqliteDb(agno.database) as backend:
        rewind.put_back(backend, session, journal(backend, session))


def test_a_turn_that_was_kept_and_never_deleted_is_not_doubled(
    prompt: Prompt, agno: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = prompt("one", "two")
    with monkeypatch.context() as patch:
        patch.setattr(rewind, "undo", _dies)
        with pytest.raises(KeyboardInterrupt):
            _undo(agno, session)

    with pytest.raises(UsageError, match="nothing was taken back"):
        _redo(agno, session)
    assert asked(agno, session) == ["one", "two"]


def test_what_was_taken_back_before_a_program_was_killed_comes_back_all_the_same(
    prompt: Prompt, agno: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = prompt("one", "two", "three", "/undo")
    with monkeypatch.context() as patch:
        patch.setattr(rewind, "undo", _dies)
        with pytest.raises(KeyboardInterrupt):
            _undo(agno, session)

    _redo(agno, session)

    assert asked(agno, session) == ["one", "two", "three"]


def test_what_was_taken_back_is_the_users_own(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "/undo")

    (folder,) = (agno.home / "state" / "agno" / "undone").iterdir()
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    prompt("/redo", session=session)
    assert list(folder.iterdir()) == []


def test_nothing_is_taken_back_that_cannot_be_kept(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one")
    (agno.home / "state" / "agno" / "undone").write_text("in the way")

    prompt("/undo", session=session)

    assert "nothing was taken back" in prompt.err
    assert asked(agno, session) == ["one"]


def test_nothing_is_written_for_a_session_that_is_not_saved(prompt: Prompt, agno: Agno) -> None:
    prompt("one", "two", "/undo", "/redo", "/tokens", save=False)

    assert "back again: two" in prompt.err
    assert not (agno.home / "state" / "agno" / "undone").exists()


TOOL = '''
def add_item(item: str, run_context) -> str:
    """Put something on the list."""
    run_context.session_state.setdefault("items", []).append(item)
    return "done"
'''


@pytest.fixture
def shop(agno: Agno) -> Agno:
    agno.configure('default_agent = "shop"\n[agents.shop]\ntools = ["pantry:add_item"]\n')
    (agno.config.parent / "pantry.py").write_text(TOOL)
    return agno


def buys(item: str, number: int) -> tuple[Any, Any]:
    function = {"name": "add_item", "arguments": codec.line({"item": item})}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    return Answer(tool_calls=[call]), Answer("It is on the list.")


def state_of(agno: Agno, session: str) -> Any:
    with SqliteDb(agno.database) as backend:
        return codec.members(backend.get(session).session_data)["session_state"]


def test_undo_takes_back_what_the_turn_did_to_the_state_and_nothing_else(
    prompt: Prompt, shop: Agno, serve: Serve
) -> None:
    server = serve(*buys("milk", 1), *buys("eggs", 2))
    model = {"model": at(server)[1], "approve": "auto"}

    session = prompt("milk", "eggs", "/state set other 1", "/undo", **model)
    assert state_of(shop, session) == {"items": ["milk"], "other": 1}

    prompt("/redo", session=session, **model)
    assert state_of(shop, session) == {"items": ["milk", "eggs"], "other": 1}


# edit


def test_edit_asks_an_earlier_turn_anew_and_keeps_the_old_line(
    prompt: Prompt, agno: Agno, serve: Serve
) -> None:
    server = serve(*map(Answer, ("1", "2", "3", "other")))

    session = prompt.keys(f"one\rtwo\rthree\r/edit 2\r or not\r{CTRL_D}", model=at(server)[1])

    assert asked(agno, session) == ["one", "two or not"]
    assert [run.run_index for run in agno.runs(session)] == [0, 1]
    (kept,) = others(agno, session)
    assert asked(agno, kept) == ["one", "two", "three"]
    assert f"go there with: /switch {kept[:8]}" in prompt.err
    assert said(server.requests[3]) == [("user", "one"), ("assistant", "1"), ("user", "two or not")]


def test_the_first_turn_can_be_edited(prompt: Prompt, agno: Agno) -> None:
    session = prompt.keys(f"one\rtwo\r/edit 1\r!\r{CTRL_D}")

    assert asked(agno, session) == ["one!"]
    assert asked(agno, others(agno, session)[0]) == ["one", "two"]


def test_edit_without_a_number_is_of_the_last_turn(prompt: Prompt, agno: Agno) -> None:
    session = prompt.keys(f"one\rtwo\r/edit\r!\r{CTRL_D}")

    assert asked(agno, session) == ["one", "two!"]


def test_an_edit_can_be_left(prompt: Prompt, agno: Agno) -> None:
    session = prompt.keys(f"one\rtwo\r/edit 1\r\x03\x03three\r{CTRL_D}")

    assert asked(agno, session) == ["one", "two", "three"]
    assert "left as it was" in prompt.err
    assert agno.session_ids() == [session]


def test_a_command_leaves_an_edit(prompt: Prompt, agno: Agno) -> None:
    session = prompt.keys(f"one\r/edit 1\r\x03/tokens\rtwo\r{CTRL_D}")

    assert asked(agno, session) == ["one", "two"]


def test_a_turn_with_replaced_answers_is_edited_as_one(prompt: Prompt, agno: Agno) -> None:
    session = prompt.keys(f"one\rtwo\r/retry\r/edit\r!\r{CTRL_D}")

    assert asked(agno, session) == ["one", "two!"]
    assert asked(agno, others(agno, session)[0]) == ["one", "two", "two"]


def test_the_old_line_of_an_edit_stays_when_the_model_fails(
    prompt: Prompt, agno: Agno, serve: Serve
) -> None:
    server = serve(Answer("1"), Error(401, "no such key"))

    session = prompt.keys(f"one\r/edit\r!\r\x03{CTRL_D}", model=at(server)[1])

    assert turns(agno, session) == [("ERROR", "one!")]
    assert asked(agno, others(agno, session)[0]) == ["one"]


def test_a_turn_that_another_program_writes_is_not_edited_away(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "two")
    with SqliteDb(agno.database) as backend:
        *_, run = backend.runs(session)
        owner = {"host": "elsewhere", "pid": 1, "started": None}
        changes = {"status": "RUNNING", "metadata": {"agnocli": {"owner": owner}}}
        document = codec.patch(run.run_data, changes)
        backend.put_run(msgspec.structs.replace(run, status="RUNNING", run_data=document))

    prompt.keys(f"/edit 1\r!\r\x03{CTRL_D}", session=session)

    assert "is being answered" in prompt.err
    assert asked(agno, session) == ["one", "two"]
    assert agno.session_ids() == [session]


@pytest.mark.parametrize("line", ["/edit 9", "/fork 9", "/show 9", "/copy 9", "/edit -9"])
def test_a_turn_that_is_not_there_is_said(prompt: Prompt, agno: Agno, line: str) -> None:
    session = prompt("one", line)

    assert "has no run" in prompt.err
    assert "hint: /history shows the turns" in prompt.err
    assert agno.session_ids() == [session]


@pytest.mark.parametrize("line", ["/edit", "/fork 1", "/show", "/copy"])
def test_where_all_was_taken_back_nothing_has_been_said(prompt: Prompt, line: str) -> None:
    prompt("one", "/undo", line)

    assert "error: nothing has been said in this session yet" in prompt.err


@pytest.mark.parametrize(
    "line", ["/edit", "/redo", "/fork", "/show", "/copy", "/summary", "/export"]
)
def test_what_needs_a_turn_says_so(prompt: Prompt, agno: Agno, line: str) -> None:
    prompt(line)

    assert "nothing " in prompt.err.splitlines()[0]
    assert not agno.database.exists()


# fork


def test_fork_goes_on_in_a_copy(prompt: Prompt, agno: Agno) -> None:
    copy = prompt("one", "two", "/fork", "three")

    (original,) = others(agno, copy)
    assert asked(agno, copy) == ["one", "two", "three"]
    assert asked(agno, original) == ["one", "two"]
    assert f"back to where it is from: /switch {original[:8]}" in prompt.err


def test_fork_at_a_turn_with_a_name(prompt: Prompt, agno: Agno) -> None:
    copy = prompt("one", "two", "/fork 1 Other way", "three")

    assert asked(agno, copy) == ["one", "three"]
    with SqliteDb(agno.database) as backend:
        assert codec.members(backend.get(copy).session_data)["session_name"] == "Other way"


# retry


def test_retry_with_another_model_is_for_this_once(
    prompt: Prompt, agno: Agno, serve: Serve
) -> None:
    server = serve(Answer("From afar."))

    session = prompt("one", f"/retry {at(server)[1]}", "two")

    assert "From afar." in prompt.out
    assert [data(run)["model"] for run in agno.runs(session)] == ["echo", "m", "echo"]
    assert agno.runs(session)[0].status == "REGENERATED"


# show


def test_show_tells_one_turn_with_its_tools(prompt: Prompt, shop: Agno, serve: Serve) -> None:
    server = serve(*buys("milk", 1), Answer("Bye."))
    session = prompt("milk", "bye", model=at(server)[1], approve="auto")

    prompt("/show 1", session=session)

    assert "arguments:" in prompt.out
    assert '"item": "milk"' in prompt.out
    assert "Bye." not in prompt.out


# copy

CODE = "Here:\n\n```python\nprint(1)\n```\n\nor\n\n~~~\n```\nlast\n```\n~~~\n"


@pytest.fixture
def board(agno: Agno, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clipboard program, and the file it writes."""
    folder, file = tmp_path / "bin", tmp_path / "board"
    folder.mkdir()
    program = folder / "xclip"
    program.write_text(f'#!/bin/sh\nexec cat > "{file}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":0")
    return file


@pytest.mark.parametrize(
    ("line", "copied"),
    [
        ("/copy", "Bye."),
        ("/copy 1", CODE),
        ("/copy 1 code", "```\nlast\n```\n"),
        ("/copy -2", CODE),
    ],
)
def test_copy_takes_an_answer_or_its_last_code(
    prompt: Prompt, board: Path, serve: Serve, line: str, copied: str
) -> None:
    server = serve(Answer(CODE), Answer("Bye."))

    prompt("one", "two", line, model=at(server)[1])

    assert board.read_text() == copied
    assert "with xclip" in prompt.err


def test_nothing_is_copied_where_there_is_no_code(prompt: Prompt, board: Path) -> None:
    prompt("one", "/copy code")

    assert "the last code of turn 1 is empty; nothing was copied" in prompt.err
    assert not board.exists()


def test_without_a_clipboard_it_is_said_what_to_do(
    prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    prompt("one", "/copy")

    assert "no clipboard program was found; nothing was copied" in prompt.err
    assert "hint: install wl-clipboard, xclip or xsel" in prompt.err


def test_a_clipboard_program_that_fails_is_told(prompt: Prompt, board: Path) -> None:
    Path(os.environ["PATH"].partition(":")[0], "xclip").write_text("#!/bin/sh\nexit 1\n")

    prompt("one", "/copy")

    assert "xclip failed; nothing was copied" in prompt.err


def test_over_ssh_the_terminal_is_given_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    clipboard.copy("café 😀", {"SSH_CONNECTION": "1 2 3 4"}, sys.stdout)

    coded = b64encode("café 😀".encode()).decode()
    assert capsys.readouterr().out == f"\x1b]52;c;{coded}\x07"
