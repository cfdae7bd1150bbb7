"""What becomes of a session that a sink already has."""

from __future__ import annotations

from agnocli.abc import ConflictPolicy
from agnocli.errors import SessionConflictError
from agnocli.records import Session


def settled(policy: ConflictPolicy, incoming: Session, stored: Session) -> ConflictPolicy:
    """One of error, skip and replace. SessionConflictError for another user's session, which only skip lets be."""
    if policy is ConflictPolicy.SKIP:
        return policy
    if None not in (owners := (incoming.user_id, stored.user_id)) and len({*owners}) == 2:
        raise SessionConflictError(
            incoming.session_id,
            f"is there already and belongs to user {stored.user_id!r}, not {incoming.user_id!r}",
            hint="leave it as it is with --on-conflict skip, or delete it there first",
        )
    if policy is ConflictPolicy.NEWER:
        later = _moment(incoming) > _moment(stored)
        return ConflictPolicy.REPLACE if later else ConflictPolicy.SKIP
    return policy


def kept(session_id: str, policy: ConflictPolicy, *, same: bool) -> str:
    """The field of WriteResult for a stored session that is not replaced; SessionConflictError when that won't do."""
    if same:
        return "identical"
    if policy is ConflictPolicy.SKIP:
        return "skipped"
    raise SessionConflictError(
        session_id,
        "is there already and differs",
        hint="choose what wins with --on-conflict skip, replace or newer",
    )


def _moment(session: Session) -> int:
    return session.created_at if session.updated_at is None else session.updated_at
