"""What a session weighs: the bytes of its documents."""

from __future__ import annotations

from agnocli.records import Session, documents_of


def session_bytes(session: Session) -> int:
    """Without its runs."""
    return sum(map(len, filter(None, documents_of(session))))
