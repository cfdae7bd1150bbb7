"""Compare-and-set edits of one document of a session: two programs editing different parts lose nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agnocli import codec
from agnocli.abc import Backend
from agnocli.errors import CodecError, LayoutError, SessionConflictError
from agnocli.records import Session

ATTEMPTS = 20


@contextmanager
def readable(session_id: str, column: str) -> Iterator[None]:
    """A document that cannot be read, as an error that says whose it is."""
    try:
        yield
    except CodecError as error:
        raise LayoutError(
            f"{column} of session {session_id!r} cannot be read: {error.message}",
            hint="it is left as it is; agno sessions inspect --raw shows it",
        ) from error


def edit_members(
    backend: Backend,
    session_id: str,
    column: str,
    change: Callable[[dict[str, Any]], Mapping[str, object]],
    *,
    known: Session | None = None,
) -> Session:
    """Set top-level members of a JSON column; `change` gets the present ones and gives the new (None removes).

    `known` is the row as it was read last: tried first, and read again if it is not like that any more.
    Done again from the start when another program was quicker. SessionNotFoundError; SessionConflictError when
    it was quicker twenty times.
    """
    for attempt in range(ATTEMPTS):
        session = known if known is not None and not attempt else backend.get(session_id)
        document = getattr(session, column)
        with readable(session_id, column):
            changed = codec.patch(document, change(codec.members(document)))
        try:
            return backend.update(session_id, {column: changed}, {column: document})
        except SessionConflictError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")
