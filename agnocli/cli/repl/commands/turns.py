"""What was said: shown, copied, taken back, asked again."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from agnocli.cli.render.text import bytes_of
from agnocli.cli.repl.commands.asking import models_here
from agnocli.cli.repl.commands.command import Candidate, Command, count, turn_number
from agnocli.cli.repl.glimpse import glimpse
from agnocli.cli.repl.talk import short
from agnocli.errors import AgnoCLIError, UsageError

if TYPE_CHECKING:
    from agnocli.cli.render.transcript import Shown
    from agnocli.cli.repl.loop import Repl
    from agnocli.cli.repl.talk import Talk
    from agnocli.records import Run, Session

HISTORY_TURNS = 5
OFFERED = 20
_FENCED = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)^ {0,3}(?P=fence)[`~]*[ \t]*$",
    re.DOTALL | re.MULTILINE,
)


def turns_here(talk: Talk, argument: str) -> Iterator[Candidate]:
    from agnocli.layout.members import number_of
    from agnocli.sessions.turns import question

    if not talk.stored:
        return
    try:
        runs = list(talk.backend.runs(talk.session_id, last=OFFERED))
    except AgnoCLIError:  # said when the command is run
        return
    for run in reversed(runs):
        if run.parent_run_id is None and run.run_index is not None:
            yield str(number_of(run, 0)), glimpse(question(run))


def _history(repl: Repl, argument: str) -> None:
    from agnocli.cli.render.transcript import Shown

    number = count(argument, "history", HISTORY_TURNS)
    session = repl.talk.conversation.stored()
    if session is None:
        repl.app.note("nothing has been said yet")
        return
    runs = repl.talk.backend.runs(session.session_id, last=number)
    _transcript(repl, session, runs, Shown(frame=False))


def _transcript(repl: Repl, session: Session, runs: Iterable[Run], shown: Shown) -> None:
    from agnocli.cli.render.transcript import write_transcript

    terminal = repl.app.terminal
    with repl.app.paged() as stream:
        write_transcript(
            session,
            runs,
            stream=stream,
            color=terminal.color,
            width=terminal.width,
            tty=terminal.stdout_tty,
            shown=shown,
        )


def _show(repl: Repl, argument: str) -> None:
    from agnocli.cli.render.transcript import Shown

    wanted = turn_number(argument) if argument else -1
    if wanted is None:
        raise UsageError(f"/show {argument}: not a turn", hint="as /show 3, or /show -1")
    _, run = repl.turn(wanted)
    shown = Shown(frame=False, tools=True, metrics=True)
    of_it = (
        one
        for one in repl.talk.backend.runs(run.session_id)
        if run.run_id in (one.run_id, one.parent_run_id)
    )
    _transcript(repl, repl.must_be_stored(), of_it, shown)


def _retry(repl: Repl, model: str) -> None:
    repl.retry(model or None)


def _undo(repl: Repl, argument: str) -> None:
    from agnocli.cli.repl.rewind import Given, take_back

    talk = repl.talk
    for _ in range(count(argument, "undo", 1)):
        turn = take_back(talk.backend, talk.session_id, repl.journal(), repl.own_runs)
        runs = "" if len(turn.runs) == 1 else f" ({len(turn.runs)} runs)"
        repl.app.note(f"took back the last turn{runs}: {glimpse(turn.question)}")
        repl.give(Given(turn.question, turn.pictures))
    repl.app.note("/redo brings it back" if argument in ("", "1") else "/redo brings them back")
    repl.check_summary()


def _redo(repl: Repl, argument: str) -> None:
    from agnocli.cli.repl.rewind import put_back

    talk = repl.talk
    for _ in range(count(argument, "redo", 1)):
        turn = put_back(talk.backend, talk.session_id, repl.journal())
        if turn.elsewhere is None:
            repl.app.note(f"back again: {glimpse(turn.question)}")
        else:
            repl.app.note(f"other things were said since; it is in a session of its own: {glimpse(turn.question)}")  # fmt: skip
            repl.app.note(f"go there with: /switch {short(turn.elsewhere)}")
    repl.line.put_back("")


def _edit(repl: Repl, argument: str) -> None:
    wanted = turn_number(argument) if argument else -1
    if wanted is None:
        raise UsageError(f"/edit {argument}: not a turn", hint="as /edit 3, or /edit for the last")
    repl.edit(wanted)


def _copy(repl: Repl, argument: str) -> None:
    """`[TURN] [code]`: an answer, or the last block of code in it."""
    from agnocli.cli.repl.clipboard import copy
    from agnocli.messages import data, text

    words = argument.split()
    code = "code" in words
    rest = [one for one in words if one != "code"]
    wanted = turn_number(rest[0]) if rest else -1
    if wanted is None or len(rest) > 1:
        raise UsageError(f"/copy {argument}: not a turn", hint="as /copy, /copy 3 or /copy code")
    number, run = repl.turn(wanted)
    said = text(data(run).get("content"))
    if code:
        blocks = [found["code"] for found in _FENCED.finditer(said)]
        said = blocks[-1] if blocks else ""
    what = f"the last code of turn {number}" if code else f"the answer of turn {number}"
    if not said:
        raise UsageError(f"{what} is empty; nothing was copied")
    way = copy(said, repl.app.environ, sys.stdout if repl.app.terminal.stdout_tty else None)
    repl.app.note(f"copied {what}, {bytes_of(len(said.encode('utf-8', 'replace')))}, {way}")


COMMANDS = (
    Command("history", "[N]", "show the last N turns", _history),
    Command("show", "[TURN]", "show a turn with its tools in full", _show, turns_here),
    Command("copy", "[TURN] [code]", "copy an answer, or its last code", _copy, turns_here),
    Command("retry", "[MODEL]", "ask the last question again", _retry, models_here),
    Command("edit", "[TURN]", "ask otherwise; a fork keeps what was said", _edit, turns_here),
    Command("undo", "[N]", "take the last turns back", _undo),
    Command("redo", "[N]", "put them where they were", _redo),
)
