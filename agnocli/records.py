"""Agno's rows, whole: what every backend reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, NewType

import msgspec

Document = NewType("Document", bytes)
"""A JSON column as it is stored: UTF-8 JSON text. SQL NULL is `None`, JSON null is `b"null"`."""

NULL = Document(b"null")

SESSION_DOCUMENTS = (
    "session_data",
    "agent_data",
    "team_data",
    "workflow_data",
    "metadata",
    "summary",
)


class Session(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of `agno_sessions`: a conversation without its turns. Times are epoch seconds."""

    session_id: str
    session_type: str = "agent"
    agent_id: str | None = None
    team_id: str | None = None
    workflow_id: str | None = None
    user_id: str | None = None
    session_data: Document | None = None
    agent_data: Document | None = None
    team_data: Document | None = None
    workflow_data: Document | None = None
    metadata: Document | None = None
    summary: Document | None = None
    created_at: int
    updated_at: int | None = None
    extra: Mapping[str, object] = {}
    """Columns that are not Agno's, by name, as the driver gave them."""
    expires_at: int | None = None
    """When the backend forgets it by itself, in epoch milliseconds: Redis. Not a column."""


class Run(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of `agno_runs`: a turn, or a team member's part of one. Times are epoch seconds.

    `run_data` is the whole turn; the other columns repeat parts of it for filtering.
    """

    run_id: str
    session_id: str
    run_type: str = "agent"
    agent_id: str | None = None
    team_id: str | None = None
    workflow_id: str | None = None
    user_id: str | None = None
    parent_run_id: str | None = None
    status: str | None = None
    run_index: int | None = None
    run_data: Document
    created_at: int
    updated_at: int | None = None
    extra: Mapping[str, object] = {}
    expires_at: int | None = None


_NO_COLUMNS = ("extra", "expires_at")
RUN_DOCUMENTS = ("run_data",)
SESSION_COLUMNS = tuple(name for name in Session.__struct_fields__ if name not in _NO_COLUMNS)
RUN_COLUMNS = tuple(name for name in Run.__struct_fields__ if name not in _NO_COLUMNS)

Values = Callable[[Any], tuple[Any, ...]]

_session_documents: Values = attrgetter(*SESSION_DOCUMENTS)
_session_plain: Values = attrgetter(
    *(one for one in SESSION_COLUMNS if one not in SESSION_DOCUMENTS)
)
_run_plain: Values = attrgetter(*(one for one in RUN_COLUMNS if one not in RUN_DOCUMENTS))


def documents_of(record: Session | Run) -> tuple[Document | None, ...]:
    """In the order of the columns."""
    return (record.run_data,) if isinstance(record, Run) else _session_documents(record)


def plain_values(record: Session | Run) -> tuple[Any, ...]:
    """Of the columns that are no documents, in their order."""
    return _run_plain(record) if isinstance(record, Run) else _session_plain(record)


class SessionBundle(NamedTuple):
    """A session and its runs in order; the runs may be a one-shot iterator."""

    session: Session
    runs: Iterable[Run]


class RawPiece(msgspec.Struct, frozen=True):
    """Bytes as they are stored, and where: a column, a key, a document. `data` is None where even they cannot be
    had; `reason` says why."""

    place: str
    data: bytes | None
    reason: str = ""


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a listing. `runs` counts stored runs; `status` is the last run's."""

    session_id: str
    name: str | None = None
    title: str | None = None
    type: str = "agent"
    agent_id: str | None = None
    team_id: str | None = None
    workflow_id: str | None = None
    user_id: str | None = None
    runs: int = 0
    created_at: int
    updated_at: int | None = None
    tags: tuple[str, ...] = ()
    model: str | None = None
    status: str | None = None
