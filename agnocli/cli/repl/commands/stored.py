"""What is kept beside the words, and exports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agnocli import codec
from agnocli.cli.render.text import neutral
from agnocli.cli.repl.commands.command import Candidate, Command, words
from agnocli.errors import AgnoCLIError, CodecError, UsageError

if TYPE_CHECKING:
    from agnocli.cli.repl.loop import Repl
    from agnocli.cli.repl.talk import Talk

FORMATS = ("markdown", "html", "json", "jsonl", "csv", "openai")


def _state(repl: Repl, argument: str) -> None:
    """`[get KEY|set KEY JSON|unset KEY]`; without, all of it."""
    what, _, rest = argument.partition(" ")
    key, _, value = rest.strip().partition(" ")
    if not argument:
        _tell(repl.talk.state())
    elif what == "get" and key and not value:
        state = repl.talk.state()
        if key not in state:
            raise UsageError(f"the state has no {key!r}", hint="/state shows what it has")
        _tell(state[key])
    elif what == "set" and key and value:
        repl.talk.set_state(key, _json(key, value))
        repl.app.note(f"{key} is set")
    elif what == "unset" and key and not value:
        repl.talk.unset_state(key)
        repl.app.note(f"{key} is gone")
    else:
        raise UsageError(
            f"/state {argument}: not understood",
            hint="as /state, /state get K, /state set K JSON, /state unset K",
        )


def _tell(value: Any) -> None:
    sys.stdout.write(neutral(codec.pretty(value)) + "\n")


def _json(key: str, text: str) -> Any:
    try:
        return codec.decode(text)
    except CodecError as error:
        raise UsageError(
            f"/state set {key}: {error.message}", hint=f'text is quoted: /state set {key} "{text}"'
        ) from error


def _keys(talk: Talk, argument: str) -> Iterator[Candidate]:
    verbs = ("get", "set", "unset")
    if " " not in argument:
        yield from ((f"{one} ", "") for one in verbs)
        return
    try:
        state = talk.state()
    except AgnoCLIError:  # said when the command is run
        return
    for verb in verbs:
        yield from ((f"{verb} {key}", codec.line(state[key])[:40]) for key in state)


def _summary(repl: Repl, argument: str) -> None:
    from agnocli.agent import pump, summary

    if argument not in ("", "refresh"):
        raise UsageError(f"/summary {argument}: not understood", hint="as /summary refresh")
    session = repl.must_be_stored()
    if argument:
        repl.app.note("summarizing…")
        settings = repl.talk.settings
        model = settings.summary_model or settings.model
        made = summary.refreshed(repl.talk.backend, session, model, pump.ask, anew=True)
        if made is not None and not summary.keep(repl.talk.backend, session, made):
            repl.app.warn("another program summarized it meanwhile; that stays")
        session = repl.must_be_stored()
    if told := summary.stored(session):
        sys.stdout.write(neutral(told) + "\n")
    else:
        repl.app.note("there is no summary yet; /summary refresh makes one")


def _export(repl: Repl, argument: str) -> None:
    """`[FORMAT] [FILE]`: Markdown beside the name of the session unless said; - is the screen."""
    from agnocli.cli.commands.session_files import STREAM, Format, Where, file_name, into
    from agnocli.formats.pages import suffix_of
    from agnocli.transfer.options import TransferOptions

    session = repl.must_be_stored()
    first, _, rest = argument.partition(" ")
    chosen = Format(first) if first in FORMATS else None
    out = rest.strip() if chosen else argument
    if not out:
        chosen = chosen or Format.MARKDOWN
        out = file_name(repl.talk.name or session.session_id) + suffix_of(chosen)
    options = TransferOptions(session_ids=(session.session_id,))
    into(repl.app, repl.talk.backend, options, Where(chosen, out, redact=False, force=False), out)
    if out != STREAM:
        repl.app.note(f"written: {Path(out)}")


def _formats(talk: Talk, argument: str) -> Iterator[Candidate]:
    yield from ((f"{one} ", "") for one in FORMATS)


COMMANDS = (
    Command(
        "state", "[get K|set K V|unset K]", "show or change the session's state", _state, _keys
    ),
    Command(
        "summary", "[refresh]", "show the summary, or make it anew", _summary, words("refresh")
    ),
    Command("export", "[FORMAT] [FILE]", "write this session into a file", _export, _formats),
)
