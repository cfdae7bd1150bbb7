"""Records to Agno's documents and back.

A JSON document is native BSON inside its field: SQL NULL is a field that is not there, JSON null one that is null.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar

import bson
from bson.binary import UUID_SUBTYPE, Binary
from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidDocument
from bson.objectid import ObjectId
from msgspec.structs import replace

from agnocli import canonical, codec
from agnocli.abc import Capabilities
from agnocli.db._mongo import agno_1
from agnocli.errors import CodecError, LayoutError, RecordRejectedError
from agnocli.layout import legacy
from agnocli.layout.portable import reject_unholdable
from agnocli.records import RUN_COLUMNS, SESSION_COLUMNS, SESSION_DOCUMENTS, Document, Run, Session

BLOB = "runs"
"""Where Agno 2 kept the runs of a session."""
UUID_BYTES = 16
"""A server takes shorter ones too."""
MAX_BYTES, MAX_DEPTH = 16 * 1024 * 1024, 100
KINDS = ("agent", "team", "workflow")

CAPABILITIES = Capabilities(
    writes_beside=True,
    needs_setup=False,
    keeps_json_text=False,
    respells_json=True,
    holds_nul_in_keys=False,
    holds_surrogates=False,
    holds_big_integers=False,
    max_document_bytes=MAX_BYTES,
    max_depth=MAX_DEPTH,
    # a snapshot that is read for more than five minutes is taken back by the server
    one_moment=False,
    keeps_deleted=("oplog and journal", "free space in data files", "replicas and backups"),
)
# the size that counts is the BSON's, measured in `_bson`, not the JSON text's
_CHECKED = replace(CAPABILITIES, max_document_bytes=None)

_TIMES = ("created_at", "updated_at")
_SESSION_FIELDS = frozenset((*SESSION_COLUMNS, "_id", BLOB))
_RUN_FIELDS = frozenset((*RUN_COLUMNS, "_id", BLOB))
_RUN_TEXTS = tuple(one for one in RUN_COLUMNS if one not in (*_TIMES, "run_index", "run_data"))
_run_columns = attrgetter(*RUN_COLUMNS)
Record = TypeVar("Record", Session, Run)
Values = Callable[[Document], Any]
"""What a JSON document is as a field of BSON."""


def value_of(document: Document) -> Any:
    """OverflowError for an integer that no number of BSON is."""
    return _with_doubles(codec.decode(document))


def session_fields(session: Session, to_value: Values = value_of) -> dict[str, Any]:
    """In Agno's order; of the owner's ids and data those of the other kinds only when there are some."""
    own = session.session_type if session.session_type in KINDS else "agent"
    fields: dict[str, Any] = {
        "session_id": session.session_id,
        "session_type": session.session_type,
    }
    for kind in sorted(KINDS, key=lambda one: one != own):
        value = getattr(session, f"{kind}_id")
        if kind == own or value is not None:
            fields[f"{kind}_id"] = value
    fields["user_id"] = session.user_id
    owners = (f"{kind}_data" for kind in KINDS)
    for name in (*owners, "session_data", "summary", "metadata"):
        document = getattr(session, name)
        if document is not None:
            fields[name] = to_value(document)
    return fields | {name: getattr(session, name) for name in _TIMES}


def run_fields(run: Run, to_value: Values = value_of) -> dict[str, Any]:
    fields = dict(zip(RUN_COLUMNS, _run_columns(run), strict=True))
    fields["run_data"] = to_value(run.run_data)
    return fields


def _with_doubles(value: Any) -> Any:
    """Integers past 64 bit that are doubles written out, as doubles again."""
    if isinstance(value, dict):
        return {key: _with_doubles(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_doubles(one) for one in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        if (double := canonical.double_of(value)) is None:
            raise OverflowError(value)
        return double
    return value


def session_bson(session: Session) -> bytes:
    """The whole document of a new session. RecordRejectedError for what MongoDB cannot hold."""
    documents = [getattr(session, name) for name in SESSION_DOCUMENTS]
    return _bson(session, SESSION_COLUMNS, documents, session_fields)


def run_bson(run: Run) -> bytes:
    return _bson(run, RUN_COLUMNS, [run.run_data], run_fields)


def _bson(
    record: Record,
    columns: tuple[str, ...],
    documents: Iterable[Document | None],
    fields: Callable[[Record, Values], dict[str, Any]],
) -> bytes:
    """What cannot be held shows in the making, but for depth: only the server minds that."""
    if any(codec.openings(one) > MAX_DEPTH for one in documents if one is not None):
        reject_unholdable(record, _CHECKED)
    extra = checked_extra(record, columns)
    try:
        try:
            document = {"_id": ObjectId(), **fields(record, codec.decode), **extra}
            raw = bson.encode(document)
        except OverflowError:  # of an integer that may be a double written out
            document = {"_id": ObjectId(), **fields(record, value_of), **extra}
            raw = bson.encode(document)
    except (CodecError, InvalidDocument, UnicodeEncodeError, OverflowError) as error:
        reject_unholdable(record, _CHECKED)
        name = next((one for one in record.extra if not _encodable(record.extra[one])), "record")
        raise RecordRejectedError(record.session_id, name, f"is no BSON: {error}") from error
    if len(raw) > MAX_BYTES:
        raise too_big(record, document, len(raw))
    return raw


def run_changes(run: Run, kept: tuple[str, ...]) -> dict[str, Any]:
    """What replaces a stored run, field by field."""
    run_bson(run)  # for its checks
    fields = run_fields(run) | dict(run.extra)
    return {name: value for name, value in fields.items() if name not in kept}


def session_changes(session: Session, names: Mapping[str, Any]) -> dict[str, Any]:
    """The update that makes these columns what they are in `session`."""
    session_bson(session)  # for its checks
    found: dict[str, dict[str, Any]] = {"$set": {}, "$unset": {}}
    for name in names:
        value = getattr(session, name)
        if name in SESSION_DOCUMENTS and value is None:
            found["$unset"][name] = ""
        else:
            found["$set"][name] = value_of(value) if name in SESSION_DOCUMENTS else value
    return {operator: fields for operator, fields in found.items() if fields}


def checked_extra(record: Session | Run, columns: tuple[str, ...]) -> Mapping[str, object]:
    for name in record.extra:
        if name in (*columns, "_id", BLOB) or name.startswith("$") or "\0" in name or not name:
            raise RecordRejectedError(
                record.session_id, name, "is a column whose name MongoDB cannot hold"
            )
    return record.extra


def _encodable(value: object) -> bool:
    try:
        bson.encode({"": value})
    except (InvalidDocument, UnicodeEncodeError, OverflowError):
        return False
    return True


def too_big(
    record: Session | Run, document: Mapping[str, Any], size: int | None
) -> RecordRejectedError:
    """Names the biggest part of a document that MongoDB would refuse."""
    biggest = max(document, key=lambda name: len(bson.encode({"": document[name]})))
    whose = f" of run {record.run_id!r}" if isinstance(record, Run) else ""
    big = f"{size:,} bytes" if size is not None else "too many bytes"
    return RecordRejectedError(
        record.session_id,
        biggest,
        f"makes the document{whose} {big} long; MongoDB takes {MAX_BYTES:,}",
    )


def to_session(document: Mapping[str, Any]) -> Session:
    if agno_1.is_one(document):
        raise LayoutError(
            f"session {str(document.get('session_id'))!r} is of Agno 1",
            hint=legacy.MIGRATE,
        )
    columns: dict[str, Any] = {}
    for name in SESSION_COLUMNS:
        value = document.get(name)
        if name in SESSION_DOCUMENTS:
            columns[name] = to_document(value) if name in document else None
        else:
            columns[name] = _time(value) if name in _TIMES else _text(value)
    if columns["session_type"] is None:
        columns["session_type"] = _kind(columns)
    columns["created_at"] = columns["created_at"] or 0
    return Session(**columns, extra=_extra(document, _SESSION_FIELDS))


def _kind(columns: Mapping[str, Any]) -> str:
    return next((kind for kind in KINDS if columns[f"{kind}_id"]), "agent")


def to_run(document: Mapping[str, Any]) -> Run:
    get = document.get
    texts = {name: _text(get(name)) for name in _RUN_TEXTS}
    for name, default in (("run_id", ""), ("session_id", ""), ("run_type", "agent")):
        texts[name] = default if texts[name] is None else texts[name]
    return Run(
        **texts,  # type: ignore[arg-type]
        run_index=_time(get("run_index")),
        run_data=to_document(get("run_data")),
        created_at=_time(get("created_at")) or 0,
        updated_at=_time(get("updated_at")),
        extra=_extra(document, _RUN_FIELDS),
    )


def _extra(document: Mapping[str, Any], known: frozenset[str]) -> dict[str, object]:
    return {
        name: value if type(value) is bytes else plain(value)
        for name, value in document.items()
        if name not in known
    }


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    found = plain(value)
    return found if found is None or isinstance(found, str) else str(found)


def _time(value: Any) -> int | None:
    """Epoch seconds; a foreign date becomes some, and what is no time at all is none."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, datetime):
        return int(DatetimeMS(value)) // 1000
    if isinstance(value, DatetimeMS):
        return int(value) // 1000
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 2**63 else None


def to_document(value: Any) -> Document:
    try:
        return codec.spelled(value)
    except CodecError:
        return codec.encode(plain(value))


def plain(value: Any) -> Any:
    """What BSON has and JSON has not, as text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Binary) and value.subtype == UUID_SUBTYPE and len(value) == UUID_BYTES:
        return str(value.as_uuid())
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(int(value)) if isinstance(value, DatetimeMS) else str(value)
