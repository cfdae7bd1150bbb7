"""What a user means by SESSION: an exact id, an exact name, the beginning of an id, or `@last`."""

from __future__ import annotations

from difflib import get_close_matches

import msgspec

from agnocli.abc import Backend, SessionQuery
from agnocli.errors import AmbiguousReferenceError, LayoutError, SessionNotFoundError, UsageError

SHORTEST_PREFIX = 4
_PAGE = 100
_NEARBY = 500
"""Sessions among which the nearest are looked for when nothing fits."""


def resolve(backend: Backend, reference: str) -> str:
    """The id of the one session meant. SessionNotFoundError names the nearest; AmbiguousReferenceError all that fit."""
    if not reference.strip():
        raise UsageError("the session is empty", hint="an unset variable in a script?")
    if reference == "@last":
        return latest(backend)
    try:
        return backend.get(reference).session_id
    except SessionNotFoundError:
        pass
    return _one(reference, _named(backend, reference)) or _by_prefix(backend, reference)


def latest(backend: Backend, *, user_id: str | None = None) -> str:
    """The session that changed last, of one user's if asked."""
    page = backend.find(SessionQuery(limit=1, user_id=user_id))
    if not page.items:
        whose = f"user {user_id!r} has none here" if user_id else "nothing is stored here"
        raise SessionNotFoundError("@last", hint=f"{whose} yet; start with: agno chat")
    return page.items[0].session_id


def _named(backend: Backend, name: str) -> list[str]:
    """Ids of sessions of exactly this name; the listing ignores case, so its pages hold others too."""
    glob = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
    query, found = SessionQuery(name=glob, limit=_PAGE), list[str]()
    while len(found) < 2:
        page = backend.find(query)
        found += (info.session_id for info in page.items if info.name == name)
        if page.next is None:
            break
        query = msgspec.structs.replace(query, after=page.next)
    return found


def _by_prefix(backend: Backend, reference: str) -> str:
    if len(reference) >= SHORTEST_PREFIX:
        page = backend.find(SessionQuery(id_prefix=reference, limit=10))
        if found := _one(reference, [info.session_id for info in page.items]):
            return found
    raise SessionNotFoundError(reference, hint=_nearest(backend, reference))


def _one(reference: str, found: list[str]) -> str | None:
    if len(found) > 1:
        raise AmbiguousReferenceError(reference, found)
    return found[0] if found else None


def _nearest(backend: Backend, reference: str) -> str:
    known: dict[str, None] = {}
    try:
        page = backend.find(SessionQuery(limit=_NEARBY))
    except LayoutError as error:  # nothing there can be listed, but a new session may be begun
        return error.message
    for info in page.items:
        known |= dict.fromkeys(filter(None, (info.name, info.session_id)))
    near = get_close_matches(reference, known, n=3, cutoff=0.4)
    if near:
        return f"did you mean {', '.join(map(repr, near))}?"
    return "agno sessions list shows what there is"
