"""The names under which Agno 3 keeps sessions and runs. Table names are no part of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import attrgetter

import msgspec

from agnocli.errors import RecordRejectedError, SessionNotFoundError
from agnocli.records import Run, Session
from agnocli.run import RunStatus

RESERVED = ("index:",)
"""Ids that begin so would take the names of Agno's index sets, and Agno never lists them."""

_RESERVED_RUNS = (*RESERVED, "by_session:")
_GLOB = re.compile(r"([\\*?\[\]^-])")
_RUN_FIELDS = ("session_id", "user_id", "agent_id", "team_id", "workflow_id", "run_type", "status")
_sort = attrgetter(*_RUN_FIELDS)
_SESSION_FIELDS = ("user_id", "agent_id", "team_id", "workflow_id", "session_type")


class Keys(msgspec.Struct, frozen=True):
    prefix: str

    def session(self, session_id: str) -> bytes:
        """SessionNotFoundError for an id that no key can hold."""
        try:
            return self._name("sessions", session_id)
        except UnicodeEncodeError as error:
            raise SessionNotFoundError(session_id) from error

    def run(self, run_id: str) -> bytes:
        return self._name("runs", run_id)

    def runs_of(self, session_id: str) -> bytes:
        return self._name("runs:by_session", session_id)

    def stage(self, token: str) -> str:
        """What a batch is called while it is on its way; nothing of Agno's begins so."""
        return f"{self.prefix}:agnocli:{token}"

    def notes(self, job: str) -> str:
        return self.stage(f"ledger:{job}")

    def matching(self, table: str, id_prefix: str = "") -> str:
        """A pattern for keys of a table, which a glob character in the prefix does not change."""
        return _GLOB.sub(r"\\\1", f"{self.prefix}:{table}:{id_prefix}") + "*"

    def anything(self, name: str) -> bytes:
        """A key that is no table's, as Agno 1's were."""
        return f"{self.prefix}:{name}".encode("utf-8", "surrogateescape")

    def anything_matching(self) -> str:
        return _GLOB.sub(r"\\\1", f"{self.prefix}:") + "*"

    def session_indexes(self, session: Session) -> Iterator[bytes]:
        """The sets a session is listed in: Agno lists it under the id of its own type only."""
        own = f"{session.session_type}_id"
        for field in ("session_type", "user_id", own):
            if (value := getattr(session, field, None)) is not None:
                yield self._name(f"sessions:index:{field}", value)

    def session_traces(self, session: Session) -> Iterator[bytes]:
        """Every set that may list a session."""
        for field in _SESSION_FIELDS:
            if (value := getattr(session, field)) is not None:
                yield self._name(f"sessions:index:{field}", value)

    def run_indexes(self, run: Run) -> Iterator[bytes]:
        for field in _RUN_FIELDS:
            if (value := getattr(run, field)) is not None:
                yield self._name(f"runs:index:{field}", value)

    def run_sort(self, run: Run) -> tuple[str | None, ...]:
        """The same for runs that the same sets list."""
        return _sort(run)

    def run_traces(self, run: Run) -> Iterator[bytes]:
        """Every set that may list a run: Agno leaves it in those of the statuses it had before."""
        yield from self.run_indexes(run)
        for status in RunStatus:
            if status.value != run.status:
                yield self._name("runs:index:status", status.value)

    def _name(self, table: str, value: str) -> bytes:
        return f"{self.prefix}:{table}:{value}".encode("utf-8", "surrogateescape")


class Staged(Keys, frozen=True):
    """What a session of a batch is called while it is on its way."""

    place: str

    def session(self, session_id: str) -> bytes:
        return f"{self.place}:session".encode()

    def run(self, run_id: str) -> bytes:
        return f"{self.place}:run:{run_id}".encode("utf-8", "surrogateescape")

    def runs_of(self, session_id: str) -> bytes:
        return f"{self.place}:order".encode()


def can_be_key(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def check_id(record: Session | Run) -> None:
    """RecordRejectedError for an id that is taken for something else."""
    reserved: tuple[str, ...]
    if isinstance(record, Run):
        name, given, reserved = "run_id", record.run_id, _RESERVED_RUNS
    else:
        name, given, reserved = "session_id", record.session_id, RESERVED
    if given.startswith(reserved):
        start = next(one for one in reserved if given.startswith(one))
        raise RecordRejectedError(
            record.session_id, name, f"begins with {start!r}, which is Agno's own on Redis"
        )
