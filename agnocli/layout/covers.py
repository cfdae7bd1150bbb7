"""How far a session's summary reaches."""

from __future__ import annotations

import msgspec

from agnocli import codec
from agnocli.records import Session

COVERS = "summary_covers"
"""The key of session_data that says which run a summary reaches to: Agno takes no fourth key in the summary itself."""


class Covered(msgspec.Struct, frozen=True):
    """The last run that a summary tells of."""

    run_id: str
    run_index: int
    created_at: int


def covered(session: Session) -> Covered | None:
    found = codec.members(session.session_data).get(COVERS)
    try:
        return msgspec.convert(found, Covered)
    except msgspec.ValidationError:
        return None
