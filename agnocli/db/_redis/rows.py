"""Agno's records on Redis: one JSON object each, in the order and the characters that Agno writes.

Members that are not changed keep their text; unknown ones stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from agnocli import codec
from agnocli.errors import CodecError, LayoutError, RecordRejectedError
from agnocli.records import (
    NULL,
    RUN_COLUMNS,
    SESSION_COLUMNS,
    SESSION_DOCUMENTS,
    Document,
    Run,
    Session,
)

BLOB = "runs"
"""The member of a session record that holds Agno 2's runs."""

LARGEST = 512 * 2**20
"""Bytes of a value that a server takes, unless it is told otherwise."""

_SESSION_ORDER = (
    *("session_id", "session_type", "agent_id", "team_id", "workflow_id", "user_id"),
    *("agent_data", "team_data", "workflow_data", "session_data", "summary", "metadata"),
    *("created_at", "updated_at"),
)
_TIMES = ("created_at", "updated_at", "run_index")
_NULL = b"null"
Members = dict[str, bytes]


class Head(msgspec.Struct):
    """The part of a session record that a listing sorts and filters by."""

    session_type: str | None = None
    agent_id: str | None = None
    team_id: str | None = None
    workflow_id: str | None = None
    user_id: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    runs: msgspec.Raw = msgspec.Raw(_NULL)

    @property
    def has_blob(self) -> bool:
        return bytes(self.runs) not in (_NULL, b"[]")


heads = msgspec.json.Decoder(list[Head])
head = msgspec.json.Decoder(Head)


def members(text: bytes, key: str) -> Members:
    """LayoutError for a record that is damaged."""
    try:
        text.decode()
        return {name: bytes(raw) for name, raw in codec.raw_members(Document(text)).items()}
    except (CodecError, UnicodeDecodeError) as error:
        raise LayoutError(
            f"the record {key!r} is damaged: {error}",
            hint="look at it with redis-cli GET, and put it right or delete it",
        ) from error


def session(found: Mapping[str, bytes], session_id: str) -> Session:
    """A session record's columns. SQL NULL, JSON null and a missing member are the same here: None."""
    columns: dict[str, Any] = {}
    for name in SESSION_COLUMNS:
        raw = found.get(name, _NULL)
        if name in SESSION_DOCUMENTS:
            columns[name] = None if raw == _NULL else Document(raw)
        else:
            columns[name] = _integer(raw) if name in _TIMES else _text(raw)
    columns["session_id"] = session_id
    if columns["session_type"] is None:
        columns["session_type"] = _infer_type(columns)
    columns["created_at"] = columns["created_at"] or 0
    return Session(**columns, extra=_extra(found, (*SESSION_COLUMNS, BLOB)))


def _infer_type(columns: Mapping[str, Any]) -> str:
    kinds = (one for one in ("agent", "team", "workflow") if columns[f"{one}_id"])
    return next(kinds, "agent")


def run(found: Mapping[str, bytes], run_id: str, session_id: str) -> Run:
    columns: dict[str, Any] = {}
    for name in RUN_COLUMNS:
        raw = found.get(name, _NULL)
        if name == "run_data":
            columns[name] = Document(raw)
        else:
            columns[name] = _integer(raw) if name in _TIMES else _text(raw)
    columns |= {"run_id": run_id, "session_id": session_id}
    columns["run_type"] = "agent" if columns["run_type"] is None else columns["run_type"]
    columns["created_at"] = columns["created_at"] or 0
    return Run(**columns, extra=_extra(found, RUN_COLUMNS))


def blob(found: Mapping[str, bytes]) -> Document | None:
    raw = found.get(BLOB, _NULL)
    return None if raw == _NULL else Document(raw)


def _text(raw: bytes) -> str | None:
    value = codec.decode(raw)
    return value if value is None or isinstance(value, str) else raw.decode()


def _integer(raw: bytes) -> int | None:
    value = codec.decode(raw)
    return int(value) if isinstance(value, int | float) else None


def _extra(found: Mapping[str, bytes], known: tuple[str, ...]) -> dict[str, object]:
    return {name: codec.decode(raw) for name, raw in found.items() if name not in known}


def session_members(record: Session) -> Members:
    return _members(record, _SESSION_ORDER, SESSION_DOCUMENTS)


def run_members(record: Run) -> Members:
    return _members(record, RUN_COLUMNS, ("run_data",))


def _members(
    record: Session | Run, columns: tuple[str, ...], documents: tuple[str, ...]
) -> Members:
    found = {name: member(name, getattr(record, name), documents) for name in columns}
    for name, value in record.extra.items():
        if name == BLOB and isinstance(record, Session):
            raise RecordRejectedError(record.session_id, name, "is where Agno 2 keeps its runs")
        try:
            found[name] = codec.encode(value)
        except CodecError as error:
            raise RecordRejectedError(record.session_id, name, error.message) from error
    return found


def member(name: str, value: object, documents: tuple[str, ...] = SESSION_DOCUMENTS) -> bytes:
    """A column as its JSON text."""
    if name in documents:
        return _NULL if value is None else bytes(value).strip()  # type: ignore[call-overload]
    return codec.encode(value)


def text(found: Mapping[str, bytes], record: Session | Run) -> bytes:
    """The record to be stored. RecordRejectedError when it is too big."""
    joined = codec.unescaped(codec.join(found))
    if len(joined) > LARGEST:
        raise RecordRejectedError(
            record.session_id, "the record", f"has {len(joined):,} bytes, more than {LARGEST:,}"
        )
    return joined


def without_nulls(record: Session) -> Session:
    """A session as it will be read back, where JSON null is no other thing than nothing."""
    found = {name: None for name in SESSION_DOCUMENTS if getattr(record, name) == NULL}
    return msgspec.structs.replace(record, **found) if found else record
