"""Which session is talked in, and what is done with one as a whole."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from agnocli.abc import SessionQuery
from agnocli.cli.render.text import one_line
from agnocli.cli.repl.commands.command import Candidate, Command, turn_number
from agnocli.cli.repl.commands.turns import turns_here
from agnocli.cli.repl.talk import short
from agnocli.errors import AgnoCLIError, SessionConflictError, UsageError

if TYPE_CHECKING:
    from agnocli.cli.repl.loop import Repl
    from agnocli.cli.repl.talk import Talk

OFFERED = 50


def sessions_here(talk: Talk, argument: str) -> Iterator[Candidate]:
    try:
        page = talk.backend.find(SessionQuery(user_id=talk.options.user, limit=OFFERED))
    except AgnoCLIError:  # said when the command is run
        return
    for info in page.items:
        if info.name and info.name.isprintable():
            yield info.name, info.session_id
        if info.session_id.isprintable():
            yield info.session_id, one_line(info.title or "")


def _new(repl: Repl, name: str) -> None:
    before = repl.talk.label if repl.talk.stored else None
    repl.talk.new(name or None)
    repl.app.note(
        f"new session {repl.talk.label}" + (f"; back with: /switch {before}" if before else "")
    )


def _switch(repl: Repl, reference: str) -> None:
    repl.talk.switch(reference)


def _fork(repl: Repl, argument: str) -> None:
    """`[TURN] [NAME]`: a first word that is a number is the turn."""
    from agnocli.sessions.fork import fork

    talk = repl.talk
    first, _, rest = argument.partition(" ")
    wanted = turn_number(first)
    name = rest.strip() if wanted is not None else argument
    at = None if wanted is None else repl.turn(wanted)[0]
    repl.must_be_stored()
    before = talk.session_id
    made = fork(talk.backend, before, at, name or None)
    talk.switch(made)
    repl.app.note(f"this is a copy; back to where it is from: /switch {short(before)}")


def _sessions(repl: Repl, query: str) -> None:
    from agnocli.cli.session_rows import COLUMNS

    talk = repl.talk
    page = talk.backend.find(SessionQuery(text=query or None, user_id=talk.options.user))
    rows = (msgspec.structs.asdict(one) | {"backend": talk.backend_name} for one in page.items)
    shown = repl.app.list(rows, COLUMNS)
    if not shown:
        repl.app.note("no session matches" if query else "no sessions yet")
    elif page.next:
        repl.app.note("these are the latest; /sessions QUERY finds others")


def _search(repl: Repl, text: str) -> None:
    """Words as a shell takes them: what stands in quotes is found as it stands."""
    from agnocli.cli.searching import Answer, Telling, columns, rows
    from agnocli.sessions.search import Pattern, SearchQuery, indexes, look

    app, talk = repl.app, repl.talk
    try:
        terms = tuple(shlex.split(text))
    except ValueError:
        terms = (text,)
    chosen = SessionQuery(user_id=talk.options.user)
    query = SearchQuery(terms=terms, sessions=chosen, context=app.terminal.width * 2 // 3)
    folder = indexes(app.environ) if talk.options.save else None
    with Telling(app, talk.backend) as watcher:
        found = look(talk.backend, query, folder=folder, watcher=watcher)
    shown = [
        msgspec.structs.replace(one, table=True, rank=0) if one.name == "run" else one
        for one in columns(Pattern(query), everywhere=False)
    ]
    app.list(rows(app, [Answer(talk.backend_name, talk.backend.address, found)], query), shown)
    if not found.total:
        app.note("nothing found")
    elif len(found.hits) < found.total:
        app.note(f"the best {len(found.hits)} of {found.total:,}; more words find less")


def _rename(repl: Repl, name: str) -> None:
    repl.talk.rename(name)
    later = "" if repl.talk.stored else ", once something is said"
    repl.app.note(f"this session is named {name!r}{later}")


def _tag(repl: Repl, argument: str) -> None:
    """`[+TAG… -TAG…]`: puts on and takes off; without, tells."""
    from agnocli.sessions.tagging import retag, tags_of

    session = repl.must_be_stored()
    words = argument.split()
    if not all(one.strip("+-") for one in words):
        raise UsageError(f"/tag {argument}: a tag is empty", hint="as /tag +work -draft")
    off = [one[1:] for one in words if one.startswith("-")]
    on = [one.removeprefix("+") for one in words if not one.startswith("-")]
    tags = tags_of(session)
    if words:
        tags = retag(repl.talk.backend, session.session_id, add=on, remove=off)
    repl.app.note(f"tags: {', '.join(tags)}" if tags else "no tags")


def _delete(repl: Repl, argument: str) -> None:
    """Into the trash; then a new session."""
    from agnocli.cli.deleting import remove

    session_id = repl.must_be_stored().session_id
    if remove(repl.app, repl.talk.backend, [session_id]).changed:
        raise SessionConflictError(session_id, "was written to just now", hint="once more")
    repl.talk.new(None)
    repl.app.note(f"deleted, into the trash; back with: agno sessions restore {short(session_id)}")


def _diff(repl: Repl, reference: str) -> None:
    from agnocli.cli.commands.session_inspect import page
    from agnocli.cli.render.difference import write_difference
    from agnocli.sessions.difference import Stored, difference
    from agnocli.sessions.resolve import resolve

    backend = repl.talk.backend
    other = Stored(backend, resolve(backend, reference))
    this = Stored(backend, repl.must_be_stored().session_id)
    with repl.app.paged() as stream:
        write_difference(difference(other, this), page(repl.app, stream))


def _info(repl: Repl, argument: str) -> None:
    from agnocli.layout.spoken import facts

    talk = repl.talk
    session = talk.conversation.stored()
    rows = [("session", talk.session_id)] if session is None else list(facts(session))
    rows += [("backend", talk.backend.address), ("asks", talk.model)]
    if session is None:
        rows.append(("stored", "nothing yet"))
    elif undone := len(repl.journal()):
        turns = "1 turn, /redo brings it" if undone == 1 else f"{undone} turns, /redo brings them"
        rows.append(("undone", f"{turns} back"))
    for label, value in rows:
        sys.stdout.write(f"{label:<9} {one_line(value)}\n")


COMMANDS = (
    Command("new", "[NAME]", "begin a new session", _new),
    Command("switch", "SESSION", "go on with another session", _switch, sessions_here),
    Command("fork", "[TURN] [NAME]", "go on in a copy, of all or up to a turn", _fork, turns_here),
    Command("sessions", "[QUERY]", "list stored sessions", _sessions),
    Command("search", "TEXT", "find words in all that was said", _search),
    Command("diff", "SESSION", "what this one has otherwise", _diff, sessions_here),
    Command("rename", "NAME", "name this session", _rename),
    Command("tag", "[+TAG -TAG]", "show or change its tags", _tag),
    Command("delete", "", "move this session to the trash", _delete),
    Command("info", "", "what is known of this session", _info),
)
