"""Tags of sessions: a list of words in a session's metadata, where every Agno program sees them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from agnocli import codec
from agnocli.abc import Backend
from agnocli.edit import edit_members, readable
from agnocli.errors import SessionConflictError
from agnocli.records import Session

TAGS = "tags"


def tags_of(session: Session) -> tuple[str, ...]:
    with readable(session.session_id, "metadata"):
        return tuple(map(str, _list(session, codec.members(session.metadata))))


def retag(
    backend: Backend, session_id: str, *, add: Collection[str] = (), remove: Collection[str] = ()
) -> tuple[str, ...]:
    """Put tags on and take tags off; returns those it has then. What is so already is not written again."""
    session = backend.get(session_id)
    before = tags_of(session)
    if _changed([*before], add, remove) == [*before]:
        return before

    def change(metadata: dict[str, Any]) -> Mapping[str, object]:
        return {TAGS: _changed(_list(session, metadata), add, remove) or None}

    return tags_of(edit_members(backend, session_id, "metadata", change, known=session))


def _list(session: Session, metadata: Mapping[str, Any]) -> list[Any]:
    found = metadata.get(TAGS)
    if found is None:
        return []
    if not isinstance(found, list):
        raise SessionConflictError(
            session.session_id,
            f"has {TAGS!r} in its metadata that are no list",
            hint="another program uses that name for something of its own",
        )
    return found


def _changed(tags: list[Any], add: Collection[str], remove: Collection[str]) -> list[Any]:
    kept = [one for one in tags if str(one) not in remove]
    there = {str(one) for one in kept}
    return kept + [one for one in dict.fromkeys(add) if one not in there]
