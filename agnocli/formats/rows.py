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

from agnocli import codec
from agnocli.errors import CodecError, RecordRejectedError
from agnocli.formats.values import from_json, to_json
from agnocli.records import (
    NULL,
    RUN_COLUMNS,
    SESSION_COLUMNS,
    SESSION_DOCUMENTS,
    Document,
    Run,
    Session,
)

_INT64 = range(-(2**63), 2**63)
_BLANKS = b" \t\n\r"


class _Kind(NamedTuple):
    what: str
    columns: tuple[str, ...]
    documents: frozenset[str]
    keys: tuple[bytes, ...]
    """The columns' names as they begin a member."""
    ids: tuple[str, ...]
    members: frozenset[str]
    """All that may be in an object of this kind."""


def _kind(what: str, columns: tuple[str, ...], documents: tuple[str, ...], *others: str) -> _Kind:
    keys = tuple(
        b"%b%b: " % (b", " if number else b"{", codec.quoted(name))
        for number, name in enumerate(columns)
    )
    ids = tuple(name for name in columns if name in ("session_id", "run_id"))
    members = frozenset((*columns, "extra", "expires_at", "exact", *others))
    return _Kind(what, columns, frozenset(documents), keys, ids, members)


_SESSION = _kind("session", SESSION_COLUMNS, SESSION_DOCUMENTS, "runs", "sha256", "error")
_RUN = _kind("run", RUN_COLUMNS, ("run_data",))


def session_row(session: Session) -> bytes:
    """All but the closing brace: what belongs to a session goes on with its runs."""
    return _row(session, _SESSION)


def run_row(run: Run) -> bytes:
    return _row(run, _RUN) + b"}"


def _row(record: Session | Run, kind: _Kind) -> bytes:
    parts, exact = [], {}
    for name, key in zip(kind.columns, kind.keys, strict=True):
        value = getattr(record, name)
        text = _document(value) if name in kind.documents else _plain(value)
        if text is None:
            exact[name] = value
        parts += key, text or b"null"
    if record.extra:
        parts.append(_members(record, "extra", record.extra))
    if record.expires_at is not None:
        parts.append(b', "expires_at": %d' % record.expires_at)
    if exact:
        parts.append(
            _members(record, "exact", {name: _readable(one) for name, one in exact.items()})
        )
    return b"".join(parts)


def _document(document: Document | None) -> bytes | None:
    """Its own text, None where that cannot stand in a row."""
    if document is None:
        return b"null"
    if document == NULL or not document or document[0] in _BLANKS or document[-1] in _BLANKS:
        return None
    if b"\n" in document or b"\t" in document or b"\r" in document:
        return None
    return document if codec.is_strict(document) else None


def _plain(value: object) -> bytes | None:
    if value is None:
        return b"null"
    if type(value) is int and value in _INT64:
        return b"%d" % value
    try:
        return codec.quoted(value) if type(value) is str else None
    except UnicodeEncodeError:
        return None


def _readable(value: object) -> object:
    """Text where bytes are text: a person may have to mend it."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def _members(record: Session | Run, name: str, values: Mapping[str, object]) -> bytes:
    try:
        return b', "%b": %b' % (name.encode(), codec.encode(to_json(dict(values))))
    except CodecError as error:
        raise RecordRejectedError(record.session_id, name, error.message) from error


def to_session(text: bytes) -> Session:
    """Of a JSON object, with or without its runs. CodecError."""
    return Session(**_values(text, _SESSION))


def to_run(text: bytes) -> Run:
    return Run(**_values(text, _RUN))


def _values(text: bytes, kind: _Kind) -> dict[str, Any]:
    members = codec.raw_members(Document(text))
    if unknown := members.keys() - kind.members:
        raise CodecError(f"a {kind.what} has no {min(unknown)!r}")
    exact = _decoded(members, "exact")
    values: dict[str, Any] = {"extra": _decoded(members, "extra")}
    for name in kind.columns:
        if name not in members:
            raise CodecError(f"the {kind.what} has lost its {name!r}")
        raw = bytes(members[name])
        if raw == b"null":
            values[name] = _exact(exact.get(name), document=name in kind.documents)
        else:
            values[name] = raw if name in kind.documents else codec.decode(raw)
    if "expires_at" in members:
        values["expires_at"] = codec.decode(members["expires_at"])
    if any(not isinstance(values[name], str) for name in kind.ids):
        raise CodecError(f"the id of a {kind.what} is text")
    return values


def _decoded(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    if name not in members:
        return {}
    value = from_json(codec.decode(members[name]))
    if not isinstance(value, dict):
        raise CodecError(f"{name!r} is no object")
    return value


def _exact(value: Any, *, document: bool) -> Any:
    return value.encode() if document and isinstance(value, str) else value
