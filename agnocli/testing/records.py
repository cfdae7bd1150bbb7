"""Sample records to store, and a way to compare what comes back with what was given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec.structs import replace

from agnocli import canonical, codec
from agnocli.abc import Capabilities, Source
from agnocli.records import NULL, SESSION_DOCUMENTS, Document, Run, Session, SessionBundle

EPOCH = 1_760_000_000
"""When sample sessions begin."""

Whole = tuple[Session, tuple[Run, ...]]
Record = TypeVar("Record", Session, Run)


def document(value: object) -> Document:
    return codec.encode(value)


def sample_session(session_id: str = "session-1", *, name: str = "Tea", **columns: Any) -> Session:
    """An agent's session as Agno stores it; `columns` replace what it holds."""
    sample = Session(
        session_id=session_id,
        agent_id="assistant",
        user_id="alice",
        session_data=document({"session_name": name, "session_state": {"cups": 2}}),
        agent_data=document({"agent_id": "assistant", "model": {"id": "gpt-4o-mini"}}),
        metadata=document({"tags": ["home"]}),
        summary=document(None),
        created_at=EPOCH,
        updated_at=EPOCH + 60,
    )
    return replace(sample, **columns)


def sample_run(session_id: str = "session-1", number: int = 0, **columns: Any) -> Run:
    """Turn `number` of a session, a question and its answer; `columns` replace what it holds."""
    run_id = f"{session_id}.run-{number}"
    sample = Run(
        run_id=run_id,
        session_id=session_id,
        agent_id="assistant",
        user_id="alice",
        status="COMPLETED",
        run_index=number,
        run_data=run_document(run_id, f"question {number}", f"answer {number}"),
        created_at=EPOCH + number,
        updated_at=EPOCH + number + 1,
    )
    return replace(sample, **columns)


def run_document(run_id: str, question: str, answer: str) -> Document:
    messages = [
        {"id": f"{run_id}.q", "role": "user", "content": question, "created_at": EPOCH},
        {"id": f"{run_id}.a", "role": "assistant", "content": answer, "created_at": EPOCH},
    ]
    return document(
        {
            "run_id": run_id,
            "agent_id": "assistant",
            "status": "COMPLETED",
            "content": answer,
            "messages": messages,
        }
    )


def sample_bundle(session_id: str = "session-1", runs: int = 2, **columns: Any) -> SessionBundle:
    session = sample_session(session_id, **columns)
    return SessionBundle(session, tuple(sample_run(session_id, one) for one in range(runs)))


def comparable(record: Record, capabilities: Capabilities) -> Record:
    """A record that equals another one when nothing was lost by such a backend.

    Where a document's text is not kept its digest stands for it; an extra column that is NULL is none. Where both
    kinds of null come back as one they are one.
    """
    changes: dict[str, Any] = {
        "extra": {name: value for name, value in record.extra.items() if value is not None}
    }
    if not capabilities.keeps_expiry:
        changes["expires_at"] = None
    if not capabilities.keeps_null_kind and isinstance(record, Session):
        nulls = [name for name in SESSION_DOCUMENTS if getattr(record, name) == NULL]
        record = replace(record, **dict.fromkeys(nulls))
    if not capabilities.keeps_json_text:
        names = ("run_data",) if isinstance(record, Run) else SESSION_DOCUMENTS
        for name in names:
            if (found := getattr(record, name)) is not None:
                changes[name] = canonical.digest([found]).encode()
    return replace(record, **changes)


def whole(bundle: SessionBundle, capabilities: Capabilities) -> Whole:
    """A bundle read to its end, to be compared."""
    runs = tuple(comparable(run, capabilities) for run in bundle.runs)
    return comparable(bundle.session, capabilities), runs


def contents(source: Source, capabilities: Capabilities) -> dict[str, Whole]:
    """All that is stored, by session id."""
    return {bundle.session.session_id: whole(bundle, capabilities) for _, bundle in source.scan()}


def numbered(runs: Iterable[Run]) -> list[tuple[int | None, str]]:
    return [(run.run_index, run.run_id) for run in runs]
