"""Sessions of Agno 1, each a JSON text at PREFIX:SESSION_ID: told apart and named, never read."""

from __future__ import annotations

from collections.abc import Iterable

from agnocli import codec
from agnocli.db._redis.reading import Reader, raw_id, text_of
from agnocli.errors import CodecError, LayoutError
from agnocli.layout import legacy
from agnocli.records import Document

LOOK = 4000
"""Keys a server looks at; what lies behind them is not found."""
MOST = 100
"""Records that are looked into."""

HINT = (
    "no release of Agno migrates these where they are: copy them into a SqliteStorage with agno 1,"
    " then run agno 2's v1_to_v2 migration on that file (not that of agno 3, which loses all runs)"
)


def some_keys(reader: Reader) -> list[str]:
    """Keys that hold such a session. One bounded look; Agno 1 knew no cluster."""
    if reader.server.is_cluster:
        return []
    start = reader.keys.anything("")
    asked = ("SCAN", 0, "MATCH", reader.keys.anything_matching(), "COUNT", LOOK)
    _, found = reader.server.read(asked)[0]
    likely = sorted(found, key=lambda key: (key.count(b":"), key))[:MOST]
    return [text_of(key) for key in _of_agno_1(reader, likely, len(start))]


def _of_agno_1(reader: Reader, keys: Iterable[bytes], start: int) -> list[bytes]:
    records = reader.records(keys)
    return [key for key, text in records if text is not None and _is_one(text, key[start:])]


def _is_one(text: bytes, session_id: bytes) -> bool:
    try:
        members = codec.raw_members(Document(text))
        return legacy.is_agno_1(members) and codec.decode(members["session_id"]) == text_of(
            session_id
        )
    except CodecError:
        return False


def check(reader: Reader, session_id: str) -> None:
    """LayoutError when Agno 1 keeps a session of this id."""
    reader.keys.session(session_id)  # SessionNotFoundError for an id that no key can hold
    key = reader.keys.anything(session_id)
    start = len(key) - len(raw_id(session_id))
    if not reader.server.is_cluster and _of_agno_1(reader, [key], start):
        raise LayoutError(f"session {session_id!r} is of Agno 1", hint=HINT)


def error(reader: Reader, keys: list[str]) -> LayoutError:
    more = ", …" if len(keys) > 1 else ""
    return legacy.agno_1(reader.server.address, [f"keys {keys[0]!r}{more}"], hint=HINT)


def note(keys: list[str]) -> str:
    more = ", …" if len(keys) > 1 else ""
    return f"keys {keys[0]!r}{more} hold sessions of Agno 1, which are not read; {HINT}"
