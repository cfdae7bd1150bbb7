"""Agno's records on Redis: one JSON object each, in the order and the characters that Agno writes.

Members that are not changed keep their text; unknown ones stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import msgspec

from agnocli import codec
from agnocli.db._redis.packing import Pieces
from agnocli.errors import CodecError, LayoutError, RecordRejectedError
from agnocli.records import (
    RUN_COLUMNS,
    RUN_DOCUMENTS,
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


class _SessionRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A record as Agno writes it; whatever is otherwise is read member by member."""

    session_id: str
    session_type: str
    created_at: int
    agent_id: str | None = None
    team_id: str | None = None
    workflow_id: str | None = None
    user_id: str | None = None
    agent_data: msgspec.Raw = msgspec.Raw(_NULL)
    team_data: msgspec.Raw = msgspec.Raw(_NULL)
    workflow_data: msgspec.Raw = msgspec.Raw(_NULL)
    session_data: msgspec.Raw = msgspec.Raw(_NULL)
    summary: msgspec.Raw = msgspec.Raw(_NULL)
    metadata: msgspec.Raw = msgspec.Raw(_NULL)
    updated_at: int | None = None


class _RunRecord(msgspec.Struct, forbid_unknown_fields=True):
    run_id: str
    session_id: str
    run_type: str
    run_data: msgspec.Raw
    created_at: int
    agent_id: str | None = None
    team_id: str | None = None
    workflow_id: str | None = None
    user_id: str | None = None
    parent_run_id: str | None = None
    status: str | None = None
    run_index: int | None = None
    updated_at: int | None = None


_session_record = msgspec.json.Decoder(_SessionRecord)
_run_record = msgspec.json.Decoder(_RunRecord)
_column = msgspec.json.Encoder().encode

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


def read_session(
    text: bytes, key: str, session_id: str, ends: int | None
) -> tuple[Session, Document | None]:
    """A session and the runs that Agno 2 left in its record. LayoutError for one that is damaged."""
    try:
        found = _session_record.decode(_checked(text))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        held = members(text, key)
        return msgspec.structs.replace(session(held, session_id), expires_at=ends), blob(held)
    columns = {name: getattr(found, name) for name in _SESSION_ORDER}
    for name in SESSION_DOCUMENTS:
        raw = bytes(columns[name])
        columns[name] = None if raw == _NULL else Document(raw)
    columns["session_id"] = session_id
    return Session(**columns, expires_at=ends), None


def read_run(text: bytes, key: str, run_id: str, session_id: str, ends: int | None) -> Run:
    """LayoutError for a record that is damaged."""
    try:
        found = _run_record.decode(_checked(text))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        stored = run(members(text, key), run_id, session_id)
        return msgspec.structs.replace(stored, expires_at=ends)
    return Run(
        run_id=run_id,
        session_id=session_id,
        run_type=found.run_type,
        agent_id=found.agent_id,
        team_id=found.team_id,
        workflow_id=found.workflow_id,
        user_id=found.user_id,
        parent_run_id=found.parent_run_id,
        status=found.status,
        run_index=found.run_index,
        run_data=Document(bytes(found.run_data)),
        created_at=found.created_at,
        updated_at=found.updated_at,
        expires_at=ends,
    )


def head_of(text: bytes) -> Head:
    try:
        return head.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _odd_head(text)


def _odd_head(text: bytes) -> Head:
    """Of a record that the fast decoder refuses."""
    try:
        found = members(text, "")
        record = session(found, "")
    except (LayoutError, CodecError):
        return Head()
    columns = {name: getattr(record, name) for name in Head.__struct_fields__ if name != "runs"}
    return Head(**columns, runs=msgspec.Raw(found.get(BLOB, _NULL)))


def _checked(text: bytes) -> bytes:
    if not text.isascii():
        text.decode()
    return text


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


def _frame(columns: tuple[str, ...]) -> bytes:
    return ("{" + ", ".join(f'"{name}": %b' for name in columns) + "}").encode()


_SESSION_FRAME, _session_columns = _frame(_SESSION_ORDER), attrgetter(*_SESSION_ORDER)
_RUN_FRONT, _RUN_BACK = (
    _frame(RUN_COLUMNS).replace(b'"run_data": %b', b'"run_data": \0').split(b"\0")
)
_run_columns = attrgetter(*(name for name in RUN_COLUMNS if name != "run_data"))


def session_text(record: Session) -> bytes:
    """The record to be stored, documents as they are given. RecordRejectedError when it is too big or no JSON."""
    if record.extra:
        return text(session_members(record), record)
    columns = _session_columns(record)
    front, documents, times = columns[:6], columns[6:12], columns[12:]
    found = (*map(_column, front), *map(_carried, documents), *map(_column, times))
    joined = _SESSION_FRAME % found
    _check_size(len(joined), record)
    return joined


def run_text(record: Run) -> bytes:
    """The record to be stored, the document as it is given. RecordRejectedError when it is too big or no JSON."""
    return b"".join(run_pieces(record))


def run_pieces(record: Run) -> Pieces:
    """As `run_text`, with the document as a piece of its own, which is not copied."""
    if record.extra:
        return (text(run_members(record), record),)
    *front, created_at, updated_at = map(_column, _run_columns(record))
    before, behind = _RUN_FRONT % (*front,), _RUN_BACK % (created_at, updated_at)
    document = _carried(record.run_data)
    _check_size(len(before) + len(document) + len(behind), record)
    return before, document, behind


def _carried(document: Document | None) -> bytes:
    if document is None:
        return _NULL
    # the first byte of a bare surrogate, which is no UTF-8
    return codec.unescaped(document) if 0xED in document else document.strip()


def session_members(record: Session) -> Members:
    return _members(record, _SESSION_ORDER, SESSION_DOCUMENTS)


def run_members(record: Run) -> Members:
    return _members(record, RUN_COLUMNS, RUN_DOCUMENTS)


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
    _check_size(len(joined), record)
    return joined


def _check_size(size: int, record: Session | Run) -> None:
    if size > LARGEST:
        raise RecordRejectedError(
            record.session_id, "the record", f"has {size:,} bytes, more than {LARGEST:,}"
        )
