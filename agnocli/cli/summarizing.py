"""`agno sessions summarize`: one or many, several at once."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from threading import Lock
from typing import Any

import msgspec

from agnocli.abc import Backend, ChatModel, ChatRequest, ModelFinished
from agnocli.agent import summary
from agnocli.agent.models.late import LateModel
from agnocli.agent.pump import Pump, Stopped
from agnocli.cli.chatting import ChatOptions, choose_agent, choose_model
from agnocli.cli.choosing import Choice, infos
from agnocli.cli.context import App, not_empty
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import Output
from agnocli.cli.render.table import Column
from agnocli.cli.render.text import neutral
from agnocli.cli.session_rows import COLUMNS, row
from agnocli.errors import AgnoCLIError, ModelError, SessionError
from agnocli.records import SessionInfo

SUMMARY_COLUMNS = [
    Column("session_id", "ID", "id"),
    Column("summary", "SUMMARY"),
    Column("topics", "TOPICS", rank=1),
    Column("stored", "STORED", rank=2),
]


class How(msgspec.Struct, frozen=True, kw_only=True):
    """`only_print`: nothing is stored. `jobs`: so many are asked for at once."""

    stale: bool
    force: bool
    model: str | None
    only_print: bool
    jobs: int = 1


def summarize(app: App, chosen: Choice, how: How) -> int:
    """What failed is told, and the others go on; what is done is stored at once, so a broken-off one goes on too."""
    backend = app.backend(read_only=how.only_print or app.options.dry_run)
    model = _model(app, how)
    wanted = _wanted(backend, chosen, how)
    if app.options.dry_run:
        return _planned(app, wanted)
    work = _Work(app, backend, model, how)
    rows = work.all(wanted)
    first = list(islice(rows, 1))
    if work.failures and not first:
        raise work.failures[0]
    if chosen.is_one:
        _print_one(app, first[0] if first else None)
    else:
        _print(app, chain(first, rows))
    return ExitStatus.PARTIAL if work.failures else ExitStatus.OK


def _model(app: App, how: How) -> ChatModel:
    agent = choose_agent(app, None)
    if how.model is not None:
        not_empty(how.model, "--model")
    named = how.model or agent.summary_model
    return LateModel(choose_model(app, ChatOptions(model=named), agent))


def _wanted(backend: Backend, chosen: Choice, how: How) -> Iterator[SessionInfo]:
    for info in infos(backend, chosen):
        if not info.runs and not chosen.references:
            continue
        if (
            how.stale
            and next(summary.uncovered(backend, backend.get(info.session_id)), None) is None
        ):
            continue
        yield info


def _planned(app: App, wanted: Iterable[SessionInfo]) -> int:
    name = app.backend_name()
    count = app.list((row(info, name) for info in wanted), COLUMNS)
    app.note(f"would summarize {count:,} session{'s' * (count != 1)}")
    return ExitStatus.OK


class _Requests:
    """Questions to models that are open at once, and can be stopped together."""

    def __init__(self) -> None:
        self._lock, self._open = Lock(), set[Pump]()
        self._stopped = False

    def ask(self, model: ChatModel, request: ChatRequest) -> tuple[str, ModelFinished | None]:
        with self._lock:
            if self._stopped:
                raise Stopped
            self._open.add(pump := Pump(model, request))
        try:
            return pump.whole()
        finally:
            with self._lock:
                self._open.remove(pump)
            pump.close()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for pump in self._open:
                pump.stop()


class _Work:
    """`done` counts summaries that are made; `failures` are of sessions that got none."""

    def __init__(self, app: App, backend: Backend, model: ChatModel, how: How) -> None:
        self._app, self._backend, self._model, self._how = app, backend, model, how
        self._requests = _Requests()
        self.done = 0
        self.failures: list[AgnoCLIError] = []

    def all(self, wanted: Iterable[SessionInfo]) -> Iterator[dict[str, Any]]:
        """A row for each, in their order; no more are begun than are worked at."""
        waiting: deque[tuple[str, Future[dict[str, Any]]]] = deque()
        with ThreadPoolExecutor(self._how.jobs) as pool:
            try:
                for info in wanted:
                    if len(waiting) == self._how.jobs:
                        yield from self._result(*waiting.popleft())
                    waiting.append((info.session_id, pool.submit(self._one, info.session_id)))
                while waiting:
                    yield from self._result(*waiting.popleft())
            except BaseException as error:
                self._requests.stop()
                pool.shutdown(cancel_futures=True)
                if self.done and isinstance(error, KeyboardInterrupt):
                    self._app.note(f"stopped; {self.done:,} are done, the same command goes on")
                raise

    def _result(self, session_id: str, future: Future[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        try:
            found = future.result()
        except (ModelError, SessionError) as error:
            self.failures.append(error)
            self._app.warn(f"{session_id}: {error.message}; what was stored stays")
            return
        self.done += 1
        for text in found.pop("notes"):
            self._app.note(text)
        yield found

    def _one(self, session_id: str) -> dict[str, Any]:
        """The summary as it is stored in the end."""
        session = self._backend.get(session_id)
        made = summary.refreshed(
            self._backend, session, self._model, self._requests.ask, anew=self._how.force
        )
        found: dict[str, Any] = {"session_id": session_id, "stored": False, "notes": []}
        if made is None:
            found["notes"].append(f"{session_id}: nothing new to summarize")
            present = summary.of(session)
            return found | (msgspec.structs.asdict(present) if present else {"summary": None})
        found |= {"summary": made.text, "topics": list(made.topics)}
        if not self._how.only_print:
            found["stored"] = summary.keep(self._backend, session, made)
            if not found["stored"]:
                text = f"{session_id}: another program summarized it meanwhile; that stays"
                found["notes"].append(text)
        return found


def _print_one(app: App, found: Mapping[str, Any] | None) -> None:
    if app.options.json:
        app.json(found if found is not None else [])
    elif found is not None:
        sys.stdout.write(f"{neutral(found['summary'] or '')}\n")


def _print(app: App, rows: Iterable[dict[str, Any]]) -> None:
    """As they come: for people each under its session's id."""
    if app.options.output not in (None, Output.AUTO):
        app.list(rows, SUMMARY_COLUMNS)
        return
    for found in rows:
        sys.stdout.write(f"{neutral(found['session_id'])}\n{neutral(found['summary'] or '')}\n")
        sys.stdout.flush()
