"""The session row of a conversation: made with its first turn, kept up with each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
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
    model, kind = settings.model, settings.kind
    owner = {
        "name": settings.agent_name,
        f"{kind}_id": settings.agent_id,
        "model": {"name": model.name, "id": model.id, "provider": model.provider},
    }
    columns: dict[str, Any] = {
        f"{kind}_id": settings.agent_id,
        f"{kind}_data": codec.encode(owner),
    }
    data: dict[str, Any] = {"session_state": dict(state)}
    if name:
        data["session_name"] = name
    data["title"] = title(first_words)
    now = int(time.time())
    return Session(
        session_id=session_id,
        session_type=kind,
        user_id=settings.user_id,
        session_data=codec.encode(data),
        **columns,
        metadata=codec.encode(settings.metadata) if settings.metadata else NULL,
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


def stored_state(session: Session | None) -> dict[str, Any]:
    return _object(codec.members(session.session_data if session else None).get("session_state"))


def keep_turn(
    backend: Backend,
    session_id: str,
    metrics: Mapping[str, Any],
    edit: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    *,
    known: Session | None = None,
) -> Session:
    """Count a turn's tokens into the session's, change its state, and date the session."""

    def changed(data: dict[str, Any]) -> Mapping[str, object]:
        changes = counted(data, metrics)
        if edit is not None:
            changes["session_state"] = dict(edit(_object(data.get("session_state"))))
        return changes

    if edit is None and not counted({}, metrics):
        return backend.update(session_id, {})
    return edit_members(backend, session_id, "session_data", changed, known=known)


def counted(data: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, object]:
    """What changes in session_data when tokens are counted into it: nothing when none were spent."""
    if not any(metrics.get(name) for name in _TOKENS):
        return {}
    return {"session_metrics": _sum(_object(data.get("session_metrics")), metrics)}


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _sum(total: dict[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    total |= _added(total, metrics)
    details = _object(total.get("details"))
    for role, spent in (metrics.get("details") or {}).items():
        details[role] = _by_model(details.get(role), spent)
    return total | {"details": details}


def _by_model(total: object, spent: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = total if isinstance(total, list) else []
    models = [dict(one) for one in found if isinstance(one, dict)]
    for used in spent:
        same = [one for one in models if all(one.get(k) == used.get(k) for k in ("id", "provider"))]
        if same:
            same[0] |= _added(same[0], used)
        else:
            models.append(dict(used))
    return models


def _added(total: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, int]:
    return {
        name: (total.get(name) or 0) + more[name]
        for name in _TOKENS
        if isinstance(more.get(name), int)
    }
