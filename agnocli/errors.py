"""Every exception raised on purpose.

    AgnoCLIError
    ├── UsageError                    an argument that cannot be used
    ├── ConfigError                   the configuration, or what it names
    │   └── DriverMissingError        a backend whose driver is not installed
    ├── BackendError
    │   ├── BackendUnavailableError   away, locked or refusing; a retry may help
    │   ├── BackendReadOnlyError
    │   ├── BackendNotSetUpError      nothing has been written there yet
    │   └── LayoutError               not Agno's tables, a version we do not read, or damaged
    ├── SessionError
    │   ├── SessionNotFoundError
    │   ├── AmbiguousReferenceError
    │   ├── SessionConflictError      exists, changed since it was read, or owned by another user
    │   ├── RunNotFoundError
    │   └── StateKeyNotFoundError
    ├── ExistsError                   a file that would be overwritten
    ├── FileFormatError               a session file that is cut off, altered or of another kind
    ├── RecordRejectedError           a backend cannot hold this record unchanged
    ├── JobError                      a transfer that another one is at work on, or whose ledger cannot be used
    ├── UndoneError                   a turn that was taken back and cannot be kept for /redo, or read again
    ├── SearchIndexError              the index in the cache folder cannot be used; the sessions themselves can
    │   └── SearchIndexDamagedError   and is made anew
    ├── CodecError                    bytes that are not a JSON document
    ├── ConfirmationRequiredError     a question with nobody to answer it
    └── ModelError                    the model, or the way to it

A message is one line fit to show a user; `hint` says what to do next. `transient` says whether a retry may help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class AgnoCLIError(Exception):
    """Base of every error below; catch it to catch them all."""

    transient: bool = False
    default_hint: ClassVar[str | None] = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        if self.hint:
            self.add_note(f"hint: {self.hint}")  # for whoever sees a traceback


class UsageError(AgnoCLIError):
    pass


class ConfigError(AgnoCLIError):
    default_hint: ClassVar[str | None] = (
        "`agno config check` looks at the whole file; config.example.toml has every key"
    )


class DriverMissingError(ConfigError):
    default_hint = None


class BackendError(AgnoCLIError):
    default_hint = "`agno backends check` looks at it more closely"


class BackendUnavailableError(BackendError):
    transient = True


class BackendReadOnlyError(BackendError):
    pass


class BackendNotSetUpError(BackendError):
    pass


class LayoutError(BackendError):
    pass


class SessionError(AgnoCLIError):
    pass


class SessionNotFoundError(SessionError):
    def __init__(self, session_id: str, *, hint: str | None = None) -> None:
        super().__init__(f"no session {session_id!r}", hint=hint)
        self.session_id = session_id


class AmbiguousReferenceError(SessionError):
    def __init__(self, reference: str, candidates: Sequence[str]) -> None:
        shown = ", ".join(candidates[:8]) + (", …" if len(candidates) > 8 else "")
        super().__init__(f"{reference!r} means more than one session", hint=f"give one of: {shown}")
        self.candidates = tuple(candidates)


class SessionConflictError(SessionError):
    def __init__(self, session_id: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"session {session_id!r} {reason}", hint=hint)
        self.session_id, self.reason = session_id, reason


class RunNotFoundError(SessionError):
    def __init__(self, session_id: str, run_id: str, *, hint: str | None = None) -> None:
        super().__init__(f"session {session_id!r} has no run {run_id!r}", hint=hint)
        self.session_id, self.run_id = session_id, run_id


class StateKeyNotFoundError(SessionError):
    def __init__(self, session_id: str, key: str, *, hint: str | None = None) -> None:
        super().__init__(f"the state of session {session_id!r} has no key {key!r}", hint=hint)
        self.session_id, self.key = session_id, key


class ExistsError(AgnoCLIError):
    default_hint = "add --force to overwrite it"


class FileFormatError(AgnoCLIError):
    """`line` is the first one that is not as it was written, from 1."""

    def __init__(self, address: str, line: int, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{address}, line {line}: {reason}", hint=hint)
        self.line, self.reason = line, reason


class RecordRejectedError(AgnoCLIError):
    """`json_path` is where in the record, as `run_data.messages[3].content`."""

    def __init__(self, session_id: str, json_path: str, reason: str) -> None:
        super().__init__(f"session {session_id!r} cannot be stored: {json_path} {reason}")
        self.session_id, self.json_path, self.reason = session_id, json_path, reason


class JobError(AgnoCLIError):
    pass


class UndoneError(AgnoCLIError):
    pass


class SearchIndexError(AgnoCLIError):
    default_hint = "it can be removed at any time: a search makes it anew"


class SearchIndexDamagedError(SearchIndexError):
    pass


class CodecError(AgnoCLIError):
    pass


class ConfirmationRequiredError(AgnoCLIError):
    default_hint = "add --yes to go ahead without being asked"


class ModelError(AgnoCLIError):
    """`transient` is set from the answer: overload, rate limits and lost connections."""

    def __init__(self, message: str, *, hint: str | None = None, transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient
