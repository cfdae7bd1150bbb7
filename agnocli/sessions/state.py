"""One key of a session's state, from outside of a conversation. Other keys keep their text."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from agnocli import canonical, codec
from agnocli.abc import Backend
from agnocli.edit import ATTEMPTS, readable
from agnocli.errors import SessionConflictError, StateKeyNotFoundError
from agnocli.records import Document, Session

STATE = "session_state"
EMPTY = Document(b"{}")
_SHOWN = 200
"""Characters of a value that an error repeats."""


def state_of(session: Session) -> Document:
    """All of it as it is stored; an empty object where there is none."""
    with readable(session.session_id, "session_data"):
        raw = codec.raw_members(session.session_data).get(STATE)
    return EMPTY if raw is None or codec.is_null(Document(bytes(raw))) else Document(bytes(raw))


def value_of(session: Session, key: str) -> Document:
    """The JSON text of a key. StateKeyNotFoundError names the nearest."""
    members = _members(session)
    if key not in members:
        raise _missing(session, key, members)
    return Document(bytes(members[key]))


def _members(session: Session) -> dict[str, Any]:
    with readable(session.session_id, STATE):
        return codec.raw_members(state_of(session))


def set_value(
    backend: Backend,
    session_id: str,
    key: str,
    value: Document,
    *,
    expected: Document | None = None,
    new: bool = False,
) -> Session:
    """Set one key. SessionConflictError unless it has the `expected` value now, or with `new` none at all."""

    def change(session: Session, members: dict[str, Any]) -> None:
        _check(session, key, members, expected)
        if new and key in members:
            raise _conflict(session, f"has a {key!r} in its state already")
        members[key] = value

    return _edited(backend, session_id, change)


def unset_value(
    backend: Backend, session_id: str, key: str, *, expected: Document | None = None
) -> Session:
    """Take one key out. StateKeyNotFoundError when it is not there; SessionConflictError likewise."""

    def change(session: Session, members: dict[str, Any]) -> None:
        if key not in members:
            raise _missing(session, key, members)
        _check(session, key, members, expected)
        del members[key]

    return _edited(backend, session_id, change)


def _edited(
    backend: Backend, session_id: str, change: Callable[[Session, dict[str, Any]], None]
) -> Session:
    """Compare-and-set of session_data, again from what is there when another program was quicker."""
    for attempt in range(ATTEMPTS):
        session = backend.get(session_id)
        state = _members(session)
        change(session, state)
        data = {**codec.raw_members(session.session_data), STATE: codec.join(state)}
        try:
            return backend.update(
                session_id,
                {"session_data": codec.join(data)},
                {"session_data": session.session_data},
            )
        except SessionConflictError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _check(session: Session, key: str, members: dict[str, Any], expected: Document | None) -> None:
    if expected is None:
        return
    if key not in members:
        raise _conflict(session, f"has no {key!r} in its state")
    if not canonical.same(found := Document(bytes(members[key])), expected):
        text = found.decode("utf-8", "backslashreplace")
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise _conflict(session, f"has another value in {key!r}: {shown}")


def _conflict(session: Session, reason: str) -> SessionConflictError:
    hint = "nothing was changed; read it again, and decide anew"
    return SessionConflictError(session.session_id, reason, hint=hint)


def _missing(session: Session, key: str, members: dict[str, Any]) -> StateKeyNotFoundError:
    near = get_close_matches(key, members, n=3, cutoff=0.4)
    if near:
        hint = f"did you mean {', '.join(map(repr, near))}?"
    else:
        hint = f"it has {', '.join(map(repr, list(members)[:8]))}" if members else "it is empty"
    return StateKeyNotFoundError(session.session_id, key, hint=hint)
