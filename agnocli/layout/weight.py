"""What a session weighs: the bytes of its documents."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from agnocli.records import SESSION_DOCUMENTS, Document, Session

_documents: Callable[[Session], tuple[Document | None, ...]] = attrgetter(*SESSION_DOCUMENTS)


def session_bytes(session: Session) -> int:
    """Without its runs."""
    return sum(map(len, filter(None, _documents(session))))
