"""New ids for a session and its runs, wherever they stand; what was said and every other value stays as it is."""

from __future__ import annotations

from collections.abc import Container
from typing import Any
from uuid import UUID, uuid5

from msgspec.structs import replace

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.records import Document, Run

_RUN = {
    "run_id",
    "parent_run_id",
    "child_run_id",
    "member_run_id",
    "step_run_id",
    "current_run_id",
}
_EARLIER_RUN = {"regenerated_from", "forked_from_run_id"}
_SESSION = {"session_id", "current_session_id"}
_IDS = _RUN | _EARLIER_RUN | _SESSION
_HOLDERS = {
    "events",
    "member_responses",
    "tools",
    "requirements",
    "step_results",
    "step_executor_runs",
    "step_requirements",
    "error_requirements",
    "workflow_agent_run",
    "session_state",
}
"""Members of a run that may hold ids further down."""
_SAID = {"messages", "content", "input", "metadata", "tool_args", "result", "session_state"}
"""What people, models and tools wrote, at any depth: an id in there is theirs."""
_DEEPEST = 60
"""Levels that are looked through: members of members of teams, each with tools and events."""


class Renaming:
    """From one session to another; an id's new one depends on nothing but itself and the new session."""

    def __init__(self, old_session: str, new_session: str, copied: Container[str]) -> None:
        self._old, self._new, self._copied = old_session, new_session, copied
        self._space = UUID(new_session)

    def run_id(self, old: str) -> str:
        return str(uuid5(self._space, old.encode("utf-8", "backslashreplace").decode()))

    def run(self, run: Run, index: int) -> Run:
        """The row of a copied run. Its data keeps its text but for the ids; what is no object stays as it is."""
        return replace(
            run,
            run_id=self.run_id(run.run_id),
            session_id=self._new,
            parent_run_id=self.run_id(run.parent_run_id) if run.parent_run_id else None,
            run_index=index,
            run_data=self._document(run.run_data),
            expires_at=None,
        )

    def _document(self, document: Document) -> Document:
        try:
            members = codec.raw_members(document)
        except CodecError:
            return document
        for key, raw in members.items():
            if key in _IDS:
                members[key] = codec.encode(self._id(key, codec.decode(bytes(raw))))
            elif key in _HOLDERS:
                members[key] = self._inside(key, raw)
        if codec.is_null(members.get("forked_from_session_id")):
            # as Agno: where the run was had, however often it was copied
            members["forked_from_session_id"] = codec.encode(self._old)
        return codec.join(members)

    def _inside(self, key: str, raw: Any) -> Any:
        try:
            value = codec.decode(bytes(raw))
        except CodecError:
            return raw
        changed = self._state(value) if key == "session_state" else self._value(value, 0)
        return raw if changed == value else codec.encode(changed)

    def _state(self, value: Any) -> Any:
        """Of a state only what Agno puts there."""
        if not isinstance(value, dict):
            return value
        agnos = ("current_run_id", "current_session_id")
        return {key: self._id(key, one) if key in agnos else one for key, one in value.items()}

    def _value(self, value: Any, depth: int) -> Any:
        if depth > _DEEPEST:
            return value
        if isinstance(value, list):
            return [self._value(one, depth + 1) for one in value]
        if not isinstance(value, dict):
            return value
        return {
            key: one if key in _SAID else self._value(self._id(key, one), depth + 1)
            for key, one in value.items()
        }

    def _id(self, key: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if key in _RUN or (key in _EARLIER_RUN and value in self._copied):
            return self.run_id(value)
        return self._new if key in _SESSION and value == self._old else value
