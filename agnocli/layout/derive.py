"""What Agno computes from a document: columns of a run, name and title of a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.records import Document, Run, Session, SessionInfo

HIDDEN_STATUSES = frozenset({"PAUSED", "CANCELLED", "ERROR", "REGENERATED"})
"""Runs that Agno never sends to a model again."""

TITLE_LENGTH = 60


def run_type(data: Mapping[str, Any]) -> str:
    for kind in ("agent", "team"):
        if data.get(f"{kind}_id") or data.get(f"{kind}_name"):
            return kind
    return "workflow"


def run_row(
    data: Mapping[str, Any],
    session: Session,
    index: int | None,
    now: int,
    document: Document | None = None,
) -> Run:
    """The row of a run, from its data; `document` saves encoding it again."""
    created = data.get("created_at")
    return Run(
        run_id=str(data["run_id"]),
        session_id=session.session_id,
        run_type=run_type(data),
        agent_id=data.get("agent_id"),
        team_id=data.get("team_id"),
        workflow_id=data.get("workflow_id"),
        user_id=session.user_id,
        parent_run_id=data.get("parent_run_id"),
        status=data.get("status"),
        run_index=index,
        run_data=document if document is not None else codec.encode(data),
        created_at=created if isinstance(created, int) else now,
        updated_at=now,
    )


def title(text: str) -> str:
    """A first message as one short line."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def session_info(session: Session, *, runs: int, status: str | None) -> SessionInfo:
    """A line of a listing; documents that cannot be decoded leave their parts empty."""
    data, metadata = _lenient(session.session_data), _lenient(session.metadata)
    owner = _lenient(getattr(session, f"{session.session_type}_data", None))
    model, tags = owner.get("model"), metadata.get("tags")
    return SessionInfo(
        session_id=session.session_id,
        name=_text(data.get("session_name")),
        title=_text(data.get("session_name")) or _text(data.get("title")),
        type=session.session_type,
        agent_id=session.agent_id,
        team_id=session.team_id,
        workflow_id=session.workflow_id,
        user_id=session.user_id,
        runs=runs,
        created_at=session.created_at,
        updated_at=session.updated_at,
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        model=_text(model.get("id")) if isinstance(model, dict) else None,
        status=status,
    )


def _lenient(document: Document | None) -> dict[str, Any]:
    try:
        return codec.members(document)
    except CodecError:
        return {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
