"""`agno sessions verify`: find, tell, and with --fix back up and mend."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from heapq import merge
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from agnocli.abc import Auditable, Backend, SessionQuery
from agnocli.agent import recovery
from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import Output
from agnocli.cli.render.progress import with_progress
from agnocli.cli.render.table import Column
from agnocli.cli.render.text import amount
from agnocli.errors import AgnoCLIError, ExistsError, SessionNotFoundError
from agnocli.records import NULL, Run, SessionBundle
from agnocli.sessions import verify
from agnocli.sessions.reading import PAGE, each, listed
from agnocli.sessions.repair import mend, session_for
from agnocli.sessions.resolve import resolve
from agnocli.sessions.verify import Check, Inspector, Problem

COLUMNS = [
    Column("session_id", "SESSION", "id"),
    Column("run_id", "RUN", "id", rank=2),
    Column("check", "CHECK"),
    Column("detail", "PROBLEM"),
    Column("fix", "FIX", rank=1),
    Column("can_be_fixed", "FIXABLE", rank=3),
]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """`stale_after` is in seconds; `backup` None for a file among the program's own."""

    sessions: list[str]
    query: SessionQuery | None
    secrets: bool
    fix: bool
    adopt: bool
    stale_after: int
    backup: str | None

    @property
    def is_everything(self) -> bool:
        return not self.sessions and self.query is None


class Plan(msgspec.Struct):
    """What is to be mended: checks by session, and orphans without their bodies by the session they name."""

    found: int = 0
    fixable: int = 0
    checks: dict[str, set[Check]] = {}
    orphans: dict[str, list[Run]] = {}

    def add(self, problem: Problem) -> None:
        self.found += 1
        self.fixable += problem.can_be_mended
        if problem.can_be_mended and problem.check is not Check.ORPHAN:
            self.checks.setdefault(problem.session_id or "", set()).add(problem.check)

    @property
    def session_ids(self) -> list[str]:
        return list(dict.fromkeys([*self.orphans, *self.checks]))


def verify_sessions(app: App, wanted: Wanted) -> int:
    backend = app.backend(read_only=not wanted.fix or app.options.dry_run)
    plan = Plan()
    _tell(app, _begun(_noted(_problems(app, backend, wanted, plan), plan)))
    if not plan.found:
        app.note("nothing is wrong")
        return ExitStatus.OK
    app.note(f"{amount(plan.found, 'problem')}, {plan.fixable:,} of which --fix puts right")
    if not wanted.fix or not plan.fixable:
        return ExitStatus.MISMATCH
    places = f"{amount(plan.fixable, 'problem')} of {amount(len(plan.session_ids), 'session')} at {backend.address}"
    if app.options.dry_run:
        app.note(f"would put right {places}")
        return ExitStatus.MISMATCH
    if not app.confirm(f"Put right {places}, after a backup of these sessions?"):
        app.note("nothing was changed")
        return ExitStatus.MISMATCH
    _fix(app, backend, wanted, plan)
    left = _left(app, backend, wanted, plan) + plan.found - plan.fixable
    return ExitStatus.PARTIAL if left else ExitStatus.OK


def _is_stale(wanted: Wanted) -> Callable[[Run], bool]:
    return partial(recovery.is_stale, now=time.time(), after=wanted.stale_after)


def _problems(app: App, backend: Backend, wanted: Wanted, plan: Plan) -> Iterator[Problem]:
    inspector = Inspector(_is_stale(wanted), _detector() if wanted.secrets else None)
    if wanted.is_everything:
        yield from verify.of_place(backend.inspect())
        yield from _orphans(backend, plan)
    ids = with_progress(_ids(backend, wanted), app.terminal, quiet=app.options.quiet)
    yield from each(backend, ids, inspector.problems, verify.unreadable)


def _orphans(backend: Backend, plan: Plan) -> Iterator[Problem]:
    if isinstance(backend, Auditable):
        for session_id, runs in groupby(backend.orphans(), key=lambda run: run.session_id):
            light = [replace(run, run_data=NULL) for run in runs]
            plan.orphans[session_id] = light
            yield verify.orphans(light)


def _detector() -> Any:
    from agnocli.secrets import Detector

    return Detector()


def _ids(backend: Backend, wanted: Wanted) -> Iterable[str]:
    if wanted.sessions:
        given = dict.fromkeys([resolve(backend, one) for one in wanted.sessions])
        means = None if wanted.query is None else set(listed(backend, wanted.query))
        return [one for one in given if means is None or one in means]
    return backend.ids() if wanted.query is None else listed(backend, wanted.query)


def _noted(problems: Iterable[Problem], plan: Plan) -> Iterator[Problem]:
    for problem in problems:
        plan.add(problem)
        yield problem


def _begun(problems: Iterator[Problem]) -> Iterator[Problem]:
    """With the first at hand: what stops the search at once is said before anything is printed."""
    first = list(islice(problems, 1))
    return chain(first, problems)


def _tell(app: App, problems: Iterable[Problem]) -> None:
    if app.output is Output.TABLE and app.terminal.stdout_tty and not app.options.fields:
        from agnocli.cli.render.report import write_report

        color, width = app.terminal.color, app.terminal.width
        write_report(map(_line, problems), sys.stdout, width=width, color=color)
    else:
        app.list(map(_row, problems), COLUMNS)


def _line(problem: Problem) -> Any:
    from agnocli.cli.render.report import Line

    where = f"session {problem.session_id}" if problem.session_id else "here"
    run = f" run {problem.run_id}," if problem.run_id else ""
    return Line(f"{where},{run} {problem.check}", "warning", problem.detail, problem.fix)


def _row(problem: Problem) -> dict[str, object]:
    row = {name: getattr(problem, name) for name in ("session_id", "run_id", "check", "detail")}
    return {**row, "fix": problem.fix, "can_be_fixed": problem.can_be_mended}


def _fix(app: App, backend: Backend, wanted: Wanted, plan: Plan) -> None:
    """A session that cannot be mended is told, and the others are."""
    backend.probe()
    path = _backup_path(app, wanted)
    _back_up(backend, plan, path)
    app.note(
        f"the sessions as they were are in {path}; "
        f"agno sessions import {path} --on-conflict replace brings them back"
    )
    for session_id in plan.session_ids:
        try:
            _mend(backend, session_id, plan, wanted)
        except AgnoCLIError as error:
            app.warn(f"{session_id}: {error.message}")


def _left(app: App, backend: Backend, wanted: Wanted, plan: Plan) -> int:
    """How many of the problems are there still, by another look at these sessions."""
    again = Plan()
    inspector = Inspector(_is_stale(wanted))
    problems = each(backend, plan.session_ids, inspector.problems, verify.unreadable)
    orphans = _orphans(backend, again) if plan.orphans else ()
    deque(_noted(chain(orphans, problems), again), maxlen=0)
    mended, left = plan.fixable - again.fixable, again.fixable
    app.note(f"{amount(mended, 'problem')} put right" + (f", {left:,} left" if left else ""))
    return left


def _mend(backend: Backend, session_id: str, plan: Plan, wanted: Wanted) -> None:
    lost = plan.orphans.get(session_id, [])
    if lost and isinstance(backend, Auditable):
        run_ids = [run.run_id for run in lost]
        if wanted.adopt:
            backend.adopt(session_for(lost), run_ids)
        else:
            backend.delete_orphans(run_ids)
    if checks := plan.checks.get(session_id):
        mend(
            backend,
            session_id,
            checks,
            is_stale=_is_stale(wanted),
            interrupted=recovery.interrupted,
        )


def _backup_path(app: App, wanted: Wanted) -> Path:
    from agnocli.config import state_dir

    if wanted.backup is not None:
        path = Path(wanted.backup).absolute()
        if path.exists():
            raise ExistsError(f"there is a file {path} already", hint="name another --backup")
        return path
    folder = state_dir(app.environ) / "backups"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"verify-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.jsonl"


def _back_up(backend: Backend, plan: Plan, path: Path) -> None:
    """Whole and synced to the disk, before anything is changed."""
    from agnocli.formats.registry import open_file

    file = open_file(str(path), format="jsonl", restart=True)
    with file.loading():
        if plan.orphans and isinstance(backend, Auditable):
            file.write(_lost(backend, plan))
        for ids in _pages([one for one in plan.checks if one not in plan.orphans]):
            written = file.write(backend.read(ids))
            for session_id in set(ids).difference(written.written):
                raise SessionNotFoundError(session_id, hint="it went meanwhile; run this again")


def _lost(backend: Any, plan: Plan) -> Iterator[SessionBundle]:
    """Orphans among the runs of their session, or in the one that they are given."""
    for session_id, runs in groupby(backend.orphans(), key=lambda run: run.session_id):
        if session_id in plan.orphans:
            made = SessionBundle(session_for(plan.orphans[session_id]), ())
            session, known = next(backend.read([session_id]), made)
            yield SessionBundle(session, merge(known, runs, key=_place))


def _place(run: Run) -> tuple[int, int, str]:
    return -1 if run.run_index is None else run.run_index, run.created_at, run.run_id


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]
