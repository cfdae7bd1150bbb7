"""What a process ends with. Errors know nothing of this table."""

from __future__ import annotations

from enum import IntEnum

from agnocli import errors


class ExitStatus(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    AMBIGUOUS = 4
    CONFLICT = 5
    CONFIG = 6
    UNAVAILABLE = 7
    MODEL = 8
    PARTIAL = 9
    MISMATCH = 10
    CONFIRMATION = 11
    READ_ONLY = 12
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


_STATUS: dict[type[errors.AgnoCLIError], ExitStatus] = {
    errors.AgnoCLIError: ExitStatus.FAILED,
    errors.UsageError: ExitStatus.USAGE,
    errors.ConfigError: ExitStatus.CONFIG,
    errors.BackendUnavailableError: ExitStatus.UNAVAILABLE,
    errors.BackendReadOnlyError: ExitStatus.READ_ONLY,
    errors.BackendNotSetUpError: ExitStatus.NOT_FOUND,
    errors.SessionNotFoundError: ExitStatus.NOT_FOUND,
    errors.RunNotFoundError: ExitStatus.NOT_FOUND,
    errors.StateKeyNotFoundError: ExitStatus.NOT_FOUND,
    errors.AmbiguousReferenceError: ExitStatus.AMBIGUOUS,
    errors.SessionConflictError: ExitStatus.CONFLICT,
    errors.ExistsError: ExitStatus.CONFLICT,
    errors.JobError: ExitStatus.CONFLICT,
    errors.ConfirmationRequiredError: ExitStatus.CONFIRMATION,
    errors.ModelError: ExitStatus.MODEL,
}


def exit_status(error: errors.AgnoCLIError) -> ExitStatus:
    """The status of the nearest ancestor that has one."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
