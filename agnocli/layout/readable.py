"""Stored text and times as people may read them, wherever they are shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime

BIDI = "\u202a-\u202e\u2066-\u2069"
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f{BIDI}\ud800-\udfff]")
_LINE_ENDS = re.compile("[\n\t\r\v\f\x85\u2028\u2029]+")


def neutral(text: str, *, keep: str = "\n\t") -> str:
    """`text` with every character that could steer a terminal replaced by one that shows it.

    CR LF becomes LF; C0 and DEL become their control pictures, C1 and bidi overrides their escapes.
    """
    if "\r\n" in text:
        text = text.replace("\r\n", "\n")
    return _UNSAFE.sub(lambda found: _stand_in(found[0], keep), text)


def _stand_in(character: str, keep: str) -> str:
    code = ord(character)
    if character in keep:
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if code < 0xA0:
        return f"\\x{code:02x}"
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Neutral text on a single line."""
    return neutral(_LINE_ENDS.sub(" ", text).strip())


def seconds(epoch: object) -> float | None:
    """Epoch seconds of what is stored as a time: also milli-, micro- and nanoseconds, digits and ISO text."""
    if isinstance(epoch, str):
        return _from_text(epoch.strip())
    if isinstance(epoch, bool) or not isinstance(epoch, int | float) or epoch != epoch:
        return None
    for limit, unit in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)):
        if abs(epoch) >= limit:
            return epoch / unit if abs(epoch) < 1e20 else None
    return float(epoch)


def _from_text(text: str) -> float | None:
    try:
        return seconds(float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def iso(epoch: object) -> str:
    """ISO 8601 in UTC; what is no time comes back as text, None as ""."""
    moment = seconds(epoch)
    if moment is None:
        return "" if epoch is None else one_line(str(epoch))
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(epoch)


def bytes_of(count: int) -> str:
    """Bytes as people say them: `812 B`, `1.4 kB`, `41.2 MB`."""
    if count < 1000:
        return f"{count} B"
    for unit in ("kB", "MB"):
        count_in, count = count / 1000, count // 1000
        if count_in < 999.95:
            return f"{count_in:,.1f} {unit}"
    return f"{count / 1000:,.1f} GB"
