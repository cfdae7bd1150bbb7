"""PyMongo's errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bson.errors import BSONError
from pymongo import errors

from agnocli.errors import (
    AgnoCLIError,
    BackendError,
    BackendReadOnlyError,
    BackendUnavailableError,
    ConfigError,
    LayoutError,
    RecordRejectedError,
    SessionConflictError,
)

UNAUTHORIZED, AUTHENTICATION_FAILED, ATLAS = 13, 18, 8000
DUPLICATE = 11000
TOO_BIG = (10334, 17280, 17419, 17420)
OUT_OF_DISK = 14031
TIME_IS_UP = (50, 262)


@contextmanager
def translated(
    address: str, *, session_id: str | None = None, writing: bool = False
) -> Iterator[None]:
    """`session_id` is what an error is about, where one session is."""
    try:
        yield
    except errors.PyMongoError as error:
        raise translate(error, address, session_id, writing) from error
    except BSONError as error:
        raise LayoutError(
            f"{address}: a stored document cannot be read: {_first_line(error)}",
            hint="find it with mongosh, and repair or remove it",
        ) from error


def translate(
    error: errors.PyMongoError, address: str, session_id: str | None, writing: bool
) -> AgnoCLIError:
    if isinstance(error, errors.InvalidURI | errors.ConfigurationError | errors.InvalidName):
        return ConfigError(
            f"{address} cannot be used: {_first_line(error)}",
            hint="mongodb://USER:PASSWORD@HOST:PORT, options of PyMongo behind a question mark",
        )
    if isinstance(error, errors.DocumentTooLarge):
        return _too_big(error, session_id)
    if isinstance(error, errors.ConnectionFailure):
        return _unreachable(error, address)
    if isinstance(error, errors.OperationFailure):
        return _refused(error, address, session_id, writing)
    return BackendError(f"{address}: {_first_line(error)}", hint=_CHECK)


_CHECK = "`agno backends check` looks at it more closely"


def _unreachable(error: errors.PyMongoError, address: str) -> AgnoCLIError:
    if isinstance(error, errors.ServerSelectionTimeoutError):
        return BackendUnavailableError(
            f"no MongoDB answers at {address}: {_first_line(error)}",
            hint="check that it runs, and host, port, TLS and replica set of the URL",
        )
    return BackendUnavailableError(
        f"the connection to {address} was lost: {_first_line(error)}",
        hint="try again; if it was a write, look first whether it is there",
    )


def _refused(
    error: errors.OperationFailure, address: str, session_id: str | None, writing: bool
) -> AgnoCLIError:
    detail = _write_error(error)
    code = detail.get("code", error.code)
    whose = f" (session {session_id!r})" if session_id is not None else ""
    if code in (AUTHENTICATION_FAILED, ATLAS):
        return BackendUnavailableError(
            f"{address} does not know this user and password",
            hint="check both, percent-encoded, and authSource: the database that the user was made in",
        )
    if code == UNAUTHORIZED:
        return _unauthorized(error, address, writing)
    if code == DUPLICATE:
        return _taken(detail, session_id)
    if code in TOO_BIG:
        return _too_big(error, session_id)
    if code == OUT_OF_DISK:
        return BackendError(
            f"the disk of {address} is full", hint="free some space there and try again"
        )
    if code in TIME_IS_UP or error.has_error_label("TransientTransactionError"):
        return BackendUnavailableError(
            f"{address} gave up{whose}: {_first_line(error)}", hint="try again, with less at once"
        )
    return BackendError(
        f"{address}{whose}: {detail.get('errmsg', _first_line(error))}", hint=_CHECK
    )


def _write_error(error: errors.OperationFailure) -> dict[str, Any]:
    details: Any = error.details or {}
    for key in ("writeErrors", "writeConcernErrors"):
        if details.get(key):
            first: dict[str, Any] = details[key][0]
            return first
    return dict(details)


def _unauthorized(error: errors.OperationFailure, address: str, writing: bool) -> AgnoCLIError:
    if "requires authentication" in str(error):
        return BackendUnavailableError(
            f"{address} wants a user and a password", hint="mongodb://USER:PASSWORD@HOST:PORT"
        )
    if writing:
        return BackendReadOnlyError(
            f"this user may not write at {address}", hint="give it the role readWrite there"
        )
    return BackendUnavailableError(
        f"this user may not read at {address}", hint="give it the role read or readWrite there"
    )


def _taken(detail: dict[str, Any], session_id: str | None) -> AgnoCLIError:
    key = detail.get("keyValue") or {}
    if "run_id" in key:
        return SessionConflictError(
            session_id or "", f"cannot take run {key['run_id']!r}: it is stored already"
        )
    return SessionConflictError(
        str(key.get("session_id", session_id)),
        "was stored by another program at the same moment",
        hint="try again",
    )


def _too_big(error: errors.PyMongoError, session_id: str | None) -> AgnoCLIError:
    return RecordRejectedError(
        session_id or "", "the document", f"is bigger than MongoDB takes: {_first_line(error)}"
    )


def _first_line(error: Exception) -> str:
    text = str(error).partition(", full error:")[0].partition(", Topology Description:")[0]
    return " ".join(text.partition(" (configured timeouts")[0].split())
