"""Mending what `verify` finds. Nothing that was said is changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from agnocli.abc import Backend
from agnocli.errors import CodecError, SessionConflictError
from agnocli.messages import data
from agnocli.records import Document, Run, Session
from agnocli.sessions.verify import REPEATED, Check


def mend(
    backend: Backend,
    session_id: str,
    checks: Collection[Check],
    *,
    is_stale: Callable[[Run], bool],
    interrupted: Callable[[Run], Run],
) -> None:
    """Looks at the runs again, as they are now. The session keeps its date. SessionNotFoundError."""
    session = backend.get(session_id)
    changes = list(_changed(backend.runs(session_id), checks, is_stale, interrupted))
    for run in changes:
        backend.put_run(run)
    if Check.INDEX in checks:
        backend.delete_runs(session_id, [])
        _date(backend, session)


def _changed(
    runs: Iterator[Run],
    checks: Collection[Check],
    is_stale: Callable[[Run], bool],
    interrupted: Callable[[Run], Run],
) -> Iterator[Run]:
    for run in runs:
        changed = run
        if Check.COLUMNS in checks:
            changed = _as_told(changed)
        if Check.STALE in checks and is_stale(changed):
            changed = interrupted(changed)
        if changed is not run:
            yield changed


def _as_told(run: Run) -> Run:
    try:
        told = data(run)
    except CodecError:
        return run
    columns: dict[str, Any] = {
        name: told[name]
        for name in REPEATED
        if isinstance(told.get(name), str) and told[name] != getattr(run, name)
    }
    return replace(run, **columns) if columns else run


def _date(backend: Backend, before: Session) -> None:
    """Numbers are nothing that was said."""
    now = backend.get(before.session_id).updated_at
    if now != before.updated_at:
        with suppress(SessionConflictError):  # of a program that has said something: its date stays
            dates: Mapping[str, Any] = {"updated_at": before.updated_at}
            backend.update(before.session_id, dates, {"updated_at": now})


def session_for(runs: Collection[Run]) -> Session:
    """A row for the runs of a session that lost its own, as far as they tell what it was."""
    turns = [run for run in runs if run.parent_run_id is None] or list(runs)
    first = turns[0]
    kind = first.run_type if first.run_type in ("agent", "team", "workflow") else "agent"
    return Session(
        session_id=first.session_id,
        session_type=kind,
        **{f"{kind}_id": getattr(first, f"{kind}_id")},
        user_id=first.user_id,
        session_data=Document(b"{}"),
        created_at=min(run.created_at for run in runs),
        updated_at=max(run.updated_at or run.created_at for run in runs),
    )
