"""`agno sessions summarize`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from agnocli.abc import Backend, ChatModel, SessionQuery
from agnocli.agent import pump, summary
from agnocli.agent.models.late import LateModel
from agnocli.cli.chatting import ChatOptions, choose_agent, choose_model
from agnocli.cli.context import App, not_empty
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.render.text import neutral
from agnocli.errors import ModelError, UsageError
from agnocli.records import Session
from agnocli.sessions.resolve import resolve

PAGE = 200


class Wanted(msgspec.Struct, frozen=True):
    """The arguments. `only_print`: nothing is stored."""

    sessions: list[str]
    everything: bool
    stale: bool
    force: bool
    model: str | None
    only_print: bool


def summarize(app: App, wanted: Wanted) -> int:
    """One after the other; what failed is told, and the others go on."""
    if bool(wanted.sessions) == wanted.everything:
        raise UsageError("which sessions?", hint="name them, or give --all or --stale")
    backend = app.backend(read_only=wanted.only_print or app.options.dry_run)
    model = _model(app, wanted)
    found: list[dict[str, Any]] = []
    failures: list[ModelError] = []
    for session_id in _ids(backend, wanted):
        session = backend.get(session_id)
        if wanted.stale and next(summary.uncovered(backend, session), None) is None:
            continue
        if app.options.dry_run:
            app.note(f"would summarize {session_id}")
            continue
        try:
            found.append(_one(app, backend, session, model, wanted))
        except ModelError as error:
            failures.append(error)
            app.warn(f"{session_id}: {error.message}; what was stored stays")
    if failures and not found:
        raise failures[0]
    _print(app, found, single=len(wanted.sessions) == 1)
    return ExitStatus.PARTIAL if failures else ExitStatus.OK


def _model(app: App, wanted: Wanted) -> ChatModel:
    agent = choose_agent(app, None)
    if wanted.model is not None:
        not_empty(wanted.model, "--model")
    named = wanted.model or agent.summary_model
    return LateModel(choose_model(app, ChatOptions(model=named), agent))


def _ids(backend: Backend, wanted: Wanted) -> Iterator[str]:
    if not wanted.everything:
        yield from dict.fromkeys([resolve(backend, one) for one in wanted.sessions])
        return
    query = SessionQuery(limit=PAGE)
    while True:
        page = backend.find(query)
        yield from (info.session_id for info in page.items if info.runs)
        if page.next is None:
            return
        query = msgspec.structs.replace(query, after=page.next)


def _one(
    app: App, backend: Backend, session: Session, model: ChatModel, wanted: Wanted
) -> dict[str, Any]:
    """The summary as it is stored in the end."""
    app.detail(f"summarizing {session.session_id}")
    made = summary.refreshed(backend, session, model, pump.ask, anew=wanted.force)
    row: dict[str, Any] = {"session_id": session.session_id, "stored": False}
    if made is None:
        app.note(f"{session.session_id}: nothing new to summarize")
        present = summary.of(session)
        return row | (msgspec.structs.asdict(present) if present else {"summary": None})
    row |= {"summary": made.text, "topics": list(made.topics)}
    if not wanted.only_print:
        row["stored"] = summary.keep(backend, session, made)
        if not row["stored"]:
            app.warn(f"{session.session_id}: another program summarized it meanwhile; that stays")
    return row


def _print(app: App, found: list[dict[str, Any]], *, single: bool) -> None:
    if app.options.json:
        app.json(found[0] if single and found else found)
        return
    for row in found:
        if not single:
            sys.stdout.write(f"{neutral(row['session_id'])}\n")
        sys.stdout.write(f"{neutral(row['summary'] or '')}\n")
