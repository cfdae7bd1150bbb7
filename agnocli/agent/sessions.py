"""The session row of a conversation: made with its first turn, kept up with each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from agnocli import codec
from agnocli.abc import Backend
from agnocli.agent.settings import ChatSettings
from agnocli.edit import edit_members
from agnocli.errors import SessionConflictError
from agnocli.layout.derive import title
from agnocli.records import NULL, Session

_TOKENS = ("input_tokens", "output_tokens", "total_tokens")


def new_session(
    session_id: str,
    settings: ChatSettings,
    first_words: str,
    name: str | None,
    state: Mapping[str, Any],
) -> Session:
    """A row as Agno makes it; the title is ours, for listings."""
    model = {
        "name": settings.model.name,
        "id": settings.model.id,
        "provider": settings.model.provider,
    }
    data: dict[str, Any] = {"session_state": dict(state)}
    if name:
        data["session_name"] = name
    data["title"] = title(first_words)
    now = int(time.time())
    return Session(
        session_id=session_id,
        session_type="agent",
        agent_id=settings.agent_id,
        user_id=settings.user_id,
        session_data=codec.encode(data),
        agent_data=codec.encode(
            {"name": settings.agent_name, "agent_id": settings.agent_id, "model": model}
        ),
        metadata=NULL,
        summary=NULL,
        created_at=now,
        updated_at=now,
    )


def check_owner(session: Session, user_id: str | None) -> None:
    """SessionConflictError unless the user may write here: the owner, or anybody who names no user.

    Nobody chats in a workflow's session: its runs hold no messages, and Agno's workflow passes over an agent's.
    """
    if session.session_type == "workflow":
        raise SessionConflictError(
            session.session_id,
            "is a workflow's, which only its program can go on with",
            hint="agno sessions inspect shows it; start another session to chat",
        )
    if user_id is None or session.user_id == user_id:
        return
    if session.user_id is None:
        raise SessionConflictError(
            session.session_id,
            "has no owner",
            hint="go on without --user, or start another session",
        )
    raise SessionConflictError(
        session.session_id,
        f"belongs to user {session.user_id!r}",
        hint=f"go on as --user {session.user_id}, or start another session",
    )


def add_metrics(backend: Backend, session_id: str, metrics: Mapping[str, Any]) -> None:
    """Count a turn's tokens into the session's, and date the session."""

    def counted(data: dict[str, Any]) -> Mapping[str, object]:
        total = data.get("session_metrics")
        total = dict(total) if isinstance(total, dict) else {}
        return {"session_metrics": _sum(total, metrics)}

    if any(metrics.get(name) for name in _TOKENS):
        edit_members(backend, session_id, "session_data", counted)
    else:
        backend.update(session_id, {})


def _sum(total: dict[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    total |= _added(total, metrics)
    details = total.get("details")
    details = dict(details) if isinstance(details, dict) else {}
    models = [dict(one) for one in details.get("model") or () if isinstance(one, dict)]
    for used in (metrics.get("details") or {}).get("model", ()):
        same = [one for one in models if all(one.get(k) == used.get(k) for k in ("id", "provider"))]
        if same:
            same[0] |= _added(same[0], used)
        else:
            models.append(dict(used))
    return total | {"details": details | {"model": models}}


def _added(total: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, int]:
    return {
        name: (total.get(name) or 0) + more[name]
        for name in _TOKENS
        if isinstance(more.get(name), int)
    }
