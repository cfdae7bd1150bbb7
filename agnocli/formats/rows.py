"""Rows as JSON text and back, to the byte.

    {"run_id": …, every other column …, "extra": {…}, "expires_at": …, "exact": {…}}

JSON columns are the stored text itself. `extra`, `expires_at` and `exact` are there when there is something in them.
SQL NULL is null; a column that JSON on one line would change is null too, and its exact value stands in `exact`: JSON
null, blanks around or tabs and line ends within, NaN, what is not JSON or not UTF-8, text with lone surrogates. So
every row is strict JSON without a raw tab or line end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from agnocli import codec
from agnocli.errors import CodecError, RecordRejectedError
from agnocli.formats.values import from_json, to_json
from agnocli.records import (
    NULL,
    RUN_COLUMNS,
    RUN_DOCUMENTS,
    SESSION_COLUMNS,
    SESSION_DOCUMENTS,
    Document,
    Run,
    Session,
)

_OPTIONAL = ("extra", "expires_at", "exact")


class _Kind(NamedTuple):
    what: str
    columns: tuple[str, ...]
    documents: tuple[str, ...]
    ids: tuple[str, ...]
    others: tuple[str, ...]
    """What else stands in such an object, and is not of the row."""
    keys: tuple[bytes, ...]
    """The columns' names as they begin a member."""
    decoder: msgspec.json.Decoder[Any]


def _kind(what: str, columns: tuple[str, ...], documents: tuple[str, ...], *others: str) -> _Kind:
    keys = tuple(
        b"%b%b: " % (b", " if number else b"{", codec.compact(name))
        for number, name in enumerate(columns)
    )
    ids = tuple(name for name in columns if name in ("session_id", "run_id"))
    fields: list[Any] = [(name, msgspec.Raw if name in documents else Any) for name in columns]
    optional: list[tuple[str, Any, object]] = [(name, Any, None) for name in _OPTIONAL]
    optional += [(name, msgspec.Raw, None) for name in others]
    row = msgspec.defstruct(what, [*fields, *optional], forbid_unknown_fields=True)
    return _Kind(what, columns, documents, ids, others, keys, msgspec.json.Decoder(row))


_SESSION = _kind("session", SESSION_COLUMNS, SESSION_DOCUMENTS, "runs", "sha256", "error")
_RUN = _kind("run", RUN_COLUMNS, RUN_DOCUMENTS)


def session_row(session: Session) -> bytes:
    """All but the closing brace: what belongs to a session goes on with its runs."""
    return _row(session, _SESSION)


def run_row(run: Run) -> bytes:
    return _row(run, _RUN) + b"}"


def _row(record: Session | Run, kind: _Kind) -> bytes:
    parts: list[bytes] = []
    exact: dict[str, object] = {}
    for name, key in zip(kind.columns, kind.keys, strict=True):
        value = getattr(record, name)
        text = _document(value) if name in kind.documents else _plain(value)
        if text is None:
            exact[name] = _readable(value) if name in kind.documents else value
        parts += key, text or b"null"
    if record.extra:
        parts.append(_members(record, "extra", record.extra))
    if record.expires_at is not None:
        parts.append(b', "expires_at": %d' % record.expires_at)
    if exact:
        parts.append(_members(record, "exact", exact))
    return b"".join(parts)


def _document(document: Document | None) -> bytes | None:
    """Its own text, None where that cannot stand in a row."""
    if document is None:
        return b"null"
    text = bytes(document)
    if text == NULL or text.startswith(b" ") or text.endswith(b" "):
        return None
    if b"\n" in text or b"\t" in text or b"\r" in text:
        return None
    return text if codec.is_strict(text) else None


def _plain(value: object) -> bytes | None:
    if value is None:
        return b"null"
    if type(value) is int and -(2**63) <= value < 2**63:
        return b"%d" % value
    try:
        return codec.compact(value) if type(value) is str else None
    except UnicodeEncodeError:
        return None


def _readable(document: bytes) -> str | bytes:
    """Text where it is text: a person may have to mend it."""
    try:
        return document.decode()
    except UnicodeDecodeError:
        return document


def _members(record: Session | Run, name: str, values: Mapping[str, object]) -> bytes:
    try:
        text = _json(to_json(dict(values)))
    except CodecError as error:
        raise RecordRejectedError(record.session_id, name, error.message) from error
    except RecursionError as error:
        raise RecordRejectedError(record.session_id, name, "is nested too deeply") from error
    if not codec.is_strict(text):
        raise RecordRejectedError(record.session_id, name, "is nested too deeply")
    return b', "%b": %b' % (name.encode(), text)


def _json(value: object) -> bytes:
    try:
        return codec.compact(value)
    except ValueError:  # an integer of more digits than the interpreter converts
        return codec.encode(value)


def to_session(text: bytes) -> Session:
    """Of a JSON object, with or without its runs. CodecError."""
    return Session(**_values(text, _SESSION))


def to_run(text: bytes) -> Run:
    return Run(**_values(text, _RUN))


def _values(text: bytes, kind: _Kind) -> dict[str, Any]:
    values = _members_of(text, kind)
    exact, extra = values.pop("exact"), values.pop("extra")
    for name in kind.documents:
        raw = bytes(values[name])
        values[name] = None if raw == b"null" else raw
    for name, value in _restored(exact).items():
        if name not in kind.columns:
            raise CodecError(f"a {kind.what} has no {name!r}")
        if values[name] is None:
            values[name] = _exact(value, document=name in kind.documents)
    if any(not isinstance(values[name], str) for name in kind.ids):
        raise CodecError(f"the id of a {kind.what} is text")
    values["extra"] = _restored(extra)
    return values


def _members_of(text: bytes, kind: _Kind) -> dict[str, Any]:
    """All that are of the row, JSON columns as their text."""
    try:
        found = msgspec.structs.asdict(kind.decoder.decode(text))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        found = _slowly(text, kind)
    for name in kind.others:
        found.pop(name, None)
    return found


def _slowly(text: bytes, kind: _Kind) -> dict[str, Any]:
    """What msgspec refuses: half surrogate pairs, and rows that are not as they should be."""
    members = codec.raw_members(Document(text))
    for name in members.keys() - {*kind.columns, *_OPTIONAL, *kind.others}:
        raise CodecError(f"a {kind.what} has no {name!r}")
    for name in kind.columns:
        if name not in members:
            raise CodecError(f"the {kind.what} has lost its {name!r}")
    kept = (*kind.documents, *kind.others)
    found = {
        name: raw if name in kept else codec.decode(bytes(raw)) for name, raw in members.items()
    }
    return dict.fromkeys(_OPTIONAL) | found


def _restored(values: object) -> dict[str, Any]:
    """Of a member that need not be there."""
    restored = from_json(values)
    if restored is None:
        return {}
    if not isinstance(restored, dict):
        raise CodecError("what was an object is none")
    return restored


def _exact(value: Any, *, document: bool) -> Any:
    if not document:
        return value
    if not isinstance(value, str | bytes):
        raise CodecError("the exact form of a document is its text")
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
