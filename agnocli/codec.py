"""The only JSON in the package.

Two doors lead in: msgspec, and for what it refuses (NaN, lone surrogates, 1e400, 5,000 digits) the standard
library. One leads out: the text Agno itself writes (ASCII escapes, a blank after comma and colon).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from agnocli.errors import CodecError
from agnocli.records import Document

_fast = msgspec.json.Decoder()
_check = msgspec.json.Decoder(msgspec.Raw).decode
_compact = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_tolerant_decoder = json.JSONDecoder(parse_int=lambda digits: _integer(digits))

_PART = 4000
"""Digits that are converted at once; the interpreter refuses more than 4,300 by default."""
_LONG = 10**_PART
STRICT_DEPTH = 128
"""Levels of objects and arrays that every parser can be trusted with."""
_BLANKS = " \t\n\r"
_NO_STRUCTURE = bytes(byte for byte in range(256) if byte not in b'"[]{}')
_NO_OPENING = bytes(byte for byte in range(256) if byte not in b"[{")
_AS_BRACES = bytes.maketrans(b"[]", b"{}")
_SURROGATE = re.compile(rb"\\(?:u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)"
)


def decode(document: bytes | str) -> Any:
    """The value of a JSON text. Of a repeated key the last one counts. Raises CodecError."""
    try:
        return _fast.decode(document)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _tolerant(document)


def _tolerant(document: bytes | str) -> Any:
    try:
        text = document if isinstance(document, str) else document.decode("utf-8", "surrogatepass")
        return _tolerant_decoder.decode(text)
    except RecursionError as error:
        raise CodecError("JSON nested too deeply to be read") from error
    except ValueError as error:
        raise CodecError(f"not JSON: {error}") from error


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # past sys.get_int_max_str_digits(), which guards against slow conversions
        return _long_integer(digits)


def _long_integer(digits: str) -> int:
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
    value = 0
    for start in range(0, len(digits), _PART):
        part = digits[start : start + _PART]
        value = value * 10 ** len(part) + int(part)
    return sign * value


def encode(value: object) -> Document:
    """`value` as Agno writes it. Raises CodecError, naming the path, for what JSON cannot hold."""
    try:
        return Document(dumps(value, default=_as_agno).encode("ascii"))
    except RecursionError as error:
        raise CodecError("not storable as JSON: nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise CodecError(f"not storable as JSON: {_misfit(value) or error}") from error


def dumps(value: object, **options: Any) -> str:
    try:
        return json.dumps(value, **options)
    except (
        ValueError
    ):  # an integer past sys.get_int_max_str_digits(), or a circle, which recurses below
        return _dumps_long_integers(value, **options)


def _dumps_long_integers(value: object, **options: Any) -> str:
    """`json.dumps` with a string in the place of every long integer, changed back in the text."""
    digits: list[str] = []
    from uuid import uuid4

    mark = f"integer-{uuid4().hex}-"

    def stand_in(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: stand_in(one) for key, one in item.items()}
        if isinstance(item, list | tuple):
            return [stand_in(one) for one in item]
        if isinstance(item, int) and abs(item) >= _LONG:
            digits.append(_digits(item))
            return f"{mark}{len(digits) - 1}"
        return item

    text = json.dumps(stand_in(value), **options)
    return re.sub(f'"{mark}([0-9]+)"', lambda found: digits[int(found[1])], text)


def _digits(value: int) -> str:
    parts, rest = [], abs(value)
    while rest >= _LONG:
        rest, part = divmod(rest, _LONG)
        parts.append(f"{part:0{_PART}}")
    return ("-" if value < 0 else "") + str(rest) + "".join(reversed(parts))


def _as_agno(value: object) -> str:
    if (text := _as_text(value)) is None:
        raise TypeError(type(value).__name__)
    return text


def _as_text(value: object) -> str | None:
    """What Agno stores as text."""
    from uuid import UUID

    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else None


def _misfit(value: object, path: str = "$") -> str | None:
    """Where and what the first value is that JSON has no form for."""
    if value is None or isinstance(value, str | int | float | bool):
        return None
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str | int | float | bool | None):
                return f"{path} has a key of type {type(key).__name__}"
            if found := _misfit(item, f"{path}.{key}"):
                return found
        return None
    if isinstance(value, list | tuple):
        misfits = (_misfit(item, f"{path}[{index}]") for index, item in enumerate(value))
        return next(filter(None, misfits), None)
    return None if _as_text(value) else f"{path} is of type {type(value).__name__}"


def patch(document: Document | None, changes: Mapping[str, object]) -> Document:
    """The object `document` with some top-level members set, or removed where None.

    The other members keep their text to the byte. An absent or null document is an empty object.
    """
    members = raw_members(document)
    for key, value in changes.items():
        if value is None:
            members.pop(key, None)
        else:
            members[key] = encode(value)
    return join(members)


def join(members: Mapping[str, Any]) -> Document:
    """An object from the JSON texts of its members, as `raw_members` gives them."""
    inner = b", ".join(encode(key) + b": " + bytes(raw) for key, raw in members.items())
    return Document(b"{" + inner + b"}")


def unescaped(document: bytes) -> Document:
    """JSON text with its characters as they are: UTF-8 instead of escapes, but where JSON or UTF-8 needs them."""
    if b"\xed" in document:  # the first byte of a bare surrogate, and of much Korean
        text = document.decode("utf-8", "surrogatepass")
        document = text.encode("utf-8", "backslashreplace")
    if b"\\u" not in document:
        return Document(bytes(document))
    return Document(_ESCAPE.sub(_character, document))


def _character(escape: re.Match[bytes]) -> bytes:
    spelled: bytes = escape[0]
    if spelled[1:2] != b"u":
        return spelled
    character = json.loads(b'"' + spelled + b'"')
    if character < " " or character in '"\\' or "\ud800" <= character <= "\udfff":
        return spelled
    return str(character).encode()


def compact(value: object) -> bytes:
    """What JSON has, without blanks and with its characters as they are. UnicodeEncodeError for a lone surrogate."""
    return _compact(value)


def spelled(value: object) -> Document:
    """As `encode`, several times as fast, where need be with characters as they are."""
    try:
        text = _compact(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return encode(value)
    if b"null" in text:  # which may stand for NaN
        return encode(value)
    return Document(msgspec.json.format(text, indent=0))


def is_strict(document: bytes) -> bool:
    """Whether every parser reads it: JSON by RFC 8259, in UTF-8, at most STRICT_DEPTH levels deep."""
    try:
        if not document.isascii():
            document.decode()
        if openings(document) > STRICT_DEPTH and _is_deep(document):
            return False
        return _is_json(document) or _is_json(_SURROGATE.sub(_whole_character, document))
    except UnicodeDecodeError:
        return False


def openings(document: bytes) -> int:
    """How many objects and arrays it has at most, and levels of them."""
    return len(document.translate(None, _NO_OPENING))


def _is_json(document: bytes) -> bool:
    try:
        return _check(document) is not None
    except (msgspec.MsgspecError, RecursionError):
        return False


def _whole_character(escape: re.Match[bytes]) -> bytes:
    """msgspec refuses half a surrogate pair, which the grammar allows."""
    return rb"\u0041" if len(escape[0]) > 2 else escape[0]


def _is_deep(document: bytes) -> bool:
    """Whether JSON text has more than STRICT_DEPTH levels, without recursion."""
    bare = document.replace(rb"\\", b"").replace(rb"\"", b"").translate(_AS_BRACES, _NO_STRUCTURE)
    braces = re.sub(rb'"[^"]*"', b"", bare)
    for _ in range(STRICT_DEPTH):
        braces = braces.replace(b"{}", b"")
    return bool(braces)


def raw_members(document: Document | None) -> dict[str, Any]:
    """The members of an object, each as its JSON text. Raises CodecError for what is no object."""
    if is_null(document):
        return {}
    assert document is not None
    try:
        return _members.decode(document)
    except (msgspec.MsgspecError, RecursionError):
        if not isinstance(decode(document), dict):
            raise CodecError("a JSON object was expected") from None
        return dict(_split(document.decode("utf-8", "surrogatepass")))


def raw_items(document: bytes) -> list[Any]:
    """The items of an array, each as its JSON text, of equal value at least; none for what is no array."""
    try:
        return _items.decode(document)
    except (msgspec.MsgspecError, RecursionError):
        return [encode(one) for one in v] if isinstance(v := decode(document), list) else []


def _split(text: str) -> Iterator[tuple[str, bytes]]:
    """Key and text of each member of a JSON object that is known to decode."""
    place = _behind(_BLANKS, text, text.index("{") + 1)
    while text[place] != "}":
        key, end = _tolerant_decoder.raw_decode(text, place)
        start = _behind(_BLANKS + ":", text, end)
        _, end = _tolerant_decoder.raw_decode(text, start)
        yield key, text[start:end].encode("utf-8", "surrogatepass")
        place = _behind(_BLANKS + ",", text, end)


def _behind(marks: str, text: str, place: int) -> int:
    while text[place] in marks:
        place += 1
    return place


def is_null(document: Document | None) -> bool:
    """Whether a column holds nothing: SQL NULL and JSON null mean the same to Agno."""
    return document is None or document == b"null"


def members(document: Document | None) -> dict[str, Any]:
    """A column that should hold an object, as a dict; empty for NULL, and for what is not an object."""
    if is_null(document):
        return {}
    assert document is not None
    value = decode(document)
    return value if isinstance(value, dict) else {}


def is_wellformed(document: bytes) -> bool:
    """Whether this is JSON by the book, of whole characters: no NaN, no half of a surrogate pair."""
    try:
        return (document.isascii() or bool(document.decode())) and _is_json(document)
    except UnicodeDecodeError:
        return False


def pretty(value: object) -> str:
    """For people and `-o json`: two blanks a level, characters as they are, lone surrogates escaped."""
    text = dumps(value, indent=2, ensure_ascii=False, default=_as_agno)
    try:
        text.encode()
    except UnicodeEncodeError:
        return dumps(value, indent=2, default=_as_agno)
    return text


def line(value: object) -> str:
    """One value on one line, for `-o jsonl`; escaped to ASCII, so no reader splits it."""
    return encode(value).decode("ascii")
