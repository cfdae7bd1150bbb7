"""Whether JSON texts have one value: key order and the spelling of numbers do not count, values and their order do."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from agnocli.codec import decode, dumps
from agnocli.errors import CodecError
from agnocli.records import Document

_fast = msgspec.json.Decoder()
_sorted = msgspec.json.Encoder(order="sorted")
_REFUSALS = (msgspec.MsgspecError, UnicodeError, ValueError, OverflowError, RecursionError)
_ENDLESS = re.compile(rb"[0-9][eE]\+?[0-9]{3}|[0-9]{309}")


def digest(documents: Iterable[Document | None]) -> str:
    """SHA-256 over values: key order and the spelling of numbers do not count, values and their order do.

    What is not JSON, or nested too deeply to be read, counts byte for byte.
    """
    from hashlib import sha256

    hasher = sha256()
    for document in documents:
        canonical = b"" if document is None else _canonical(document)
        hasher.update(len(canonical).to_bytes(8, "big") + canonical)
    return hasher.hexdigest()


def same(one: Document | None, other: Document | None) -> bool:
    """Whether two documents have one value, as `digest` sees it."""
    if one == other or one is None or other is None:
        return one == other
    return alike(one) == alike(other) or _canonical(one) == _canonical(other)


def alike(document: Document) -> bytes:
    """One text for one value whose numbers are spelled alike, as those of most copies are: found in half the time.

    Of documents that have the same text the values are the same. What is no plain JSON is told byte for byte.
    """
    try:
        text = _sorted.encode(_fast.decode(document))
    except _REFUSALS:
        return b"\0" + document
    # a number past all doubles would be encoded as null
    return b"\0" + document if b"null" in text and _ENDLESS.search(document) else text


def _canonical(document: Document) -> bytes:
    """One text for one value. What the fast door refuses it refuses for every spelling of that value."""
    try:
        return _sorted.encode(_canonical_fast.decode(document))
    except _REFUSALS:
        return _canonical_slow(document)


def _canonical_slow(document: Document) -> bytes:
    try:
        value = _plain(decode(document))
        return b"\1" + dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
    except (CodecError, RecursionError):
        return b"\0" + document


def _plain(value: Any) -> Any:
    """Numbers in one spelling: 1, 1.0 and 1e0 are the same value."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _plain_float(value) if isinstance(value, float) else value


def _finite(digits: str) -> float | int:
    value = float(digits)
    if value.is_integer():
        return _plain_float(value)
    if math.isinf(value):  # would be encoded as null
        raise ValueError(digits)
    return value


_canonical_fast = msgspec.json.Decoder(float_hook=_finite)


def _plain_float(value: float) -> float | int:
    if not value.is_integer():
        return value
    return int(value) if abs(value) < 2**53 else _written_integer(value)


def double_of(value: int) -> float | None:
    """The double that a database of decimals writes out as this integer: 1e+23 comes back with 23 zeros."""
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if _written_integer(found) == value else None


def _written_integer(value: float) -> int:
    """A big float by its digits: a database that knows decimals only writes 1e23 as one and 23 zeros."""
    from decimal import Decimal

    return int(Decimal(repr(value)))
