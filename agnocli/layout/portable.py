"""What a backend cannot hold unchanged, found before it is written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from agnocli import canonical, codec
from agnocli.abc import Capabilities
from agnocli.errors import CodecError, RecordRejectedError
from agnocli.records import (
    RUN_COLUMNS,
    RUN_DOCUMENTS,
    SESSION_COLUMNS,
    SESSION_DOCUMENTS,
    Document,
    Run,
    Session,
    SessionBundle,
    documents_of,
    plain_values,
)

_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBERS = bytes.maketrans(b"E123456789", b"e" + b"0" * 9)
_BEHIND_NUMBERS = {b",", b"]", b"}", b" ", b"\n", b"\r", b"\t", b""}
_INT64 = range(-(2**63), 2**63)
_pack = msgspec.msgpack.Encoder().encode
_UNSIGNED = b"\xcf"
"""Before an integer that may be past a signed 64 bit."""


def reject_unholdable(record: Session | Run, can: Capabilities) -> None:
    """RecordRejectedError, with JSON path and reason, for the first value the backend would refuse or change.

    Documents are decoded only when their bytes show that something may be in them.
    """
    is_run = isinstance(record, Run)
    documents = RUN_DOCUMENTS if is_run else SESSION_DOCUMENTS
    columns = RUN_COLUMNS if is_run else SESSION_COLUMNS
    for name in documents if _are_plain(plain_values(record), can) else columns:
        value = getattr(record, name)
        if name in documents:
            found = _in_document(value, can, name) if value is not None else None
        else:
            found = _in_column(name, value, can)
        if found:
            raise RecordRejectedError(record.session_id, *found)


def reject_odd_numbers(record: Session | Run, can: Capabilities) -> None:
    """As `reject_unholdable`, for a backend that by itself refuses whatever else it cannot hold."""
    for value in documents_of(record):
        if value is not None and _has_odd_number(bytes(value), can):
            reject_unholdable(record, can)


def misfit(bundle: SessionBundle, can: Capabilities) -> tuple[str, str] | None:
    """JSON path and reason of the first value of a session that the backend would refuse or change."""
    try:
        reject_unholdable(bundle.session, can)
    except RecordRejectedError as error:
        return error.json_path, error.reason
    for index, run in enumerate(bundle.runs):
        try:
            reject_unholdable(run, can)
        except RecordRejectedError as error:
            return f"runs[{index}].{error.json_path}", error.reason
    return None


def fits(text: str, can: Capabilities) -> bool:
    """Whether a text column can hold this at all."""
    return not _SURROGATE.search(text) and ("\0" not in text or can.holds_nul_in_ids)


def _are_plain(values: tuple[Any, ...], can: Capabilities) -> bool:
    """Whether it can be seen at a glance that all columns can hold this."""
    try:
        packed = _pack(values)
    except (UnicodeEncodeError, OverflowError, TypeError):
        return False
    if _UNSIGNED in packed:  # or a character of it
        return False
    if can.holds_nul_in_ids and can.max_id_length is None:
        return True
    texts = [one for one in values if type(one) is str]
    return (can.holds_nul_in_ids or "\0" not in "".join(texts)) and (
        can.max_id_length is None or len(max(texts, key=len)) <= can.max_id_length
    )


def _in_column(name: str, value: object, can: Capabilities) -> tuple[str, str] | None:
    if isinstance(value, int):
        return None if value in _INT64 else (name, "is an integer past 64 bit")
    if not isinstance(value, str):
        return None
    if _SURROGATE.search(value):
        return name, "holds a lone surrogate"
    if "\0" in value and not can.holds_nul_in_ids:
        return name, "holds a NUL character"
    if can.max_id_length is not None and len(value) > can.max_id_length:
        return name, f"has {len(value)} characters, more than {can.max_id_length}"
    return None


def _in_document(document: Document, can: Capabilities, path: str) -> tuple[str, str] | None:
    if can.max_document_bytes is not None and len(document) > can.max_document_bytes:
        return path, f"has {len(document):,} bytes, more than {can.max_document_bytes:,}"
    if _is_plain(document, can):
        return None
    try:
        value = codec.decode(document)
    except CodecError as error:
        return None if can.keeps_json_text else (path, f"is {error.message}")
    return next(_misfits(value, can, path), None)


def _is_plain(raw: bytes, can: Capabilities) -> bool:
    """Whether the bytes alone show that nothing is in it that such a backend could not hold."""
    strict = can.keeps_json_text and can.holds_nan and can.holds_surrogates
    return not (
        (not (can.holds_nul and can.holds_nul_in_keys) and b"\\u0000" in raw)
        or (not (can.holds_big_integers and can.holds_nan) and _has_odd_number(raw, can))
        or not (strict or codec.is_wellformed(raw))
        or (can.max_depth is not None and _is_deep(raw, can.max_depth))
    )


def _has_odd_number(raw: bytes, can: Capabilities) -> bool:
    numbers = raw.translate(_NUMBERS, b"+")
    if not can.holds_big_integers and b"0" * 19 in numbers:
        return True
    if can.holds_nan:
        return False
    # hexadecimal ids are full of what begins like an exponent
    large = numbers.split(b"e000")[1:]
    return any(after.lstrip(b"0")[:1] in _BEHIND_NUMBERS for after in large)


def _is_deep(raw: bytes, limit: int) -> bool:
    if codec.openings(raw) <= limit:
        return False
    try:
        level: list[Any] = [[codec.decode(raw)]]
    except CodecError:
        return True
    for _ in range(limit + 1):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for items in inner for one in items if isinstance(one, dict | list)]
    return bool(level)


def _misfits(value: Any, can: Capabilities, path: str) -> Iterator[tuple[str, str]]:
    """In reading order, without recursion: a document may be nested deeper than Python's stack."""
    left: list[tuple[Any, str, int]] = [(value, path, 1)]
    while left:
        value, path, depth = left.pop()
        if isinstance(value, str):
            yield from _in_text(value, can, path)
        elif isinstance(value, float) and not math.isfinite(value) and not can.holds_nan:
            yield path, f"is {value}, which JSON has not"
        elif isinstance(value, int) and not (can.holds_big_integers or _is_number(value)):
            yield path, "is an integer past 64 bit"
        elif isinstance(value, dict | list) and can.max_depth is not None and depth > can.max_depth:
            yield path, f"is nested more than {can.max_depth} levels deep"
        elif isinstance(value, dict):
            for key in value:
                yield from _in_key(key, can, f"{path}.{key!r} (the key)")
            left += [(value[key], f"{path}.{key}", depth + 1) for key in reversed(value)]
        elif isinstance(value, list):
            numbered = enumerate(value)
            left += [(one, f"{path}[{index}]", depth + 1) for index, one in numbered][::-1]


def _is_number(value: int) -> bool:
    """Whether 64 bit hold it, as an integer or as a double."""
    return value in _INT64 or canonical.double_of(value) is not None


def _in_key(key: str, can: Capabilities, path: str) -> Iterator[tuple[str, str]]:
    if can.holds_nul and not can.holds_nul_in_keys and "\0" in key:
        yield path, "holds a NUL character"
    yield from _in_text(key, can, path)


def _in_text(text: str, can: Capabilities, path: str) -> Iterator[tuple[str, str]]:
    if not can.holds_nul and "\0" in text:
        yield path, "holds a NUL character"
    if not can.holds_surrogates and _SURROGATE.search(text):
        yield path, "holds a lone surrogate"
