"""Any value a driver gives, as JSON that gives it back exactly.

What JSON has stays what it is. Everything else becomes an object of one member whose name begins with `$`.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from agnocli.errors import CodecError


class _Form(NamedTuple):
    kind: type
    tag: str
    written: Callable[[Any], object]
    read: Callable[[Any], object]


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _parts(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


_FORMS = (
    _Form(bytes, "$bytes", _base64, lambda text: b64decode(text, validate=True)),
    _Form(bytearray, "$bytes", _base64, lambda text: b64decode(text, validate=True)),
    _Form(memoryview, "$bytes", _base64, lambda text: b64decode(text, validate=True)),
    _Form(float, "$float", repr, float),
    _Form(Decimal, "$decimal", str, Decimal),
    _Form(datetime, "$datetime", datetime.isoformat, datetime.fromisoformat),
    _Form(date, "$date", date.isoformat, date.fromisoformat),
    _Form(time, "$time", time.isoformat, time.fromisoformat),
    _Form(timedelta, "$timedelta", _parts, lambda parts: timedelta(*parts)),
    _Form(UUID, "$uuid", str, UUID),
    _Form(
        str,
        "$text",
        lambda text: _base64(text.encode("utf-8", "surrogatepass")),
        lambda text: b64decode(text, validate=True).decode("utf-8", "surrogatepass"),
    ),
    _Form(
        tuple,
        "$tuple",
        lambda items: [to_json(one) for one in items],
        lambda items: tuple(from_json(one) for one in items),
    ),
    _Form(
        dict,
        "$pairs",
        lambda items: [[to_json(key), to_json(value)] for key, value in items.items()],
        lambda pairs: {from_json(key): from_json(value) for key, value in pairs},
    ),
)
_BY_KIND = {form.kind: form for form in _FORMS}
_BY_TAG = {form.tag: form for form in _FORMS}


def to_json(value: object) -> object:
    """CodecError for a type that has no form here."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list):
        return [to_json(one) for one in value]
    if isinstance(value, dict) and all(_is_plain_key(key) for key in value):
        return {key: to_json(one) for key, one in value.items()}
    if isinstance(value, str) and is_text(value):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    form = next((_BY_KIND[kind] for kind in type(value).__mro__ if kind in _BY_KIND), None)
    if form is None:
        raise CodecError(f"holds a {type(value).__name__}, for which a file has no form")
    return {form.tag: form.written(value)}


def from_json(value: object) -> object:
    """CodecError for a tag that is not known, or has no value of its kind."""
    if isinstance(value, list):
        return [from_json(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    tag = next((key for key in value if key.startswith("$")), None)
    if tag is None:
        return {key: from_json(one) for key, one in value.items()}
    if len(value) != 1 or tag not in _BY_TAG:
        raise CodecError(f"no value is written as {tag!r}")
    try:
        return _BY_TAG[tag].read(value[tag])
    except (ValueError, TypeError, ArithmeticError) as error:
        raise CodecError(f"no {tag!r} is written so") from error


def is_text(value: str) -> bool:
    """Whether UTF-8 has all of its characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_plain_key(key: object) -> bool:
    return isinstance(key, str) and is_text(key) and not key.startswith("$")
