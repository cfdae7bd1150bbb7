"""PyMySQL's errors as ours."""

from __future__ import annotations

import pymysql

from agnocli.errors import (
    AgnoCLIError,
    BackendError,
    BackendReadOnlyError,
    BackendUnavailableError,
)

_REFUSED_USER = {1045, 1130, 1698, 1862, 4151}
_FORBIDDEN = {1044, 1142, 1143, 1227, 1290, 1370, 1792, 1836}
_AWAY = {0, 1040, 1053, 1203, 1927, 2002, 2003, 2005, 2006, 2012, 2013, 2014, 2055, 4031}
_FULL = {3, 1021, 1114, 1041, 1037}
UNDONE = {1213}
_LATE = {1205, 1317, 1969, 3024, *UNDONE}
DUPLICATE = {1062}
UNFIT = {1048, 1118, 1153, 1264, 1366, 1406, 3140, 3141, 3143, 3157, 4025}


def _code(error: BaseException | None) -> int | None:
    code = error.args[0] if isinstance(error, pymysql.Error) and error.args else None
    return code if isinstance(code, int) else None


def has_code(codes: set[int], error: BaseException | None) -> bool:
    return _code(error) in codes


def translate(error: Exception, address: str) -> AgnoCLIError:
    if not isinstance(error, pymysql.Error):
        return BackendError(f"{address} cannot hold this value: {error}")
    code, reason = _code(error), _reason(error)
    if code in _REFUSED_USER:
        return BackendUnavailableError(
            f"{address} refuses this user: {reason}", hint="check user and password of its db_url"
        )
    if code in _FORBIDDEN:
        return BackendReadOnlyError(
            f"{address}: {reason}",
            hint="this user may not do that: GRANT it, or use another user or server",
        )
    if code in _FULL:
        return BackendError(
            f"{address}: {reason}", hint="free some space there; what was stored before is safe"
        )
    if code in _LATE:
        return BackendUnavailableError(
            f"{address} gave up: {reason}", hint="nothing of it was stored; try again"
        )
    if code in _AWAY:
        return BackendUnavailableError(
            f"{address} cannot be reached: {reason}",
            hint="is the server running there? check host and port of its db_url",
        )
    return BackendError(
        f"{address}: {reason}", hint="`agno backends check` looks at it more closely"
    )


def _reason(error: pymysql.Error) -> str:
    text = str(error.args[1]) if len(error.args) > 1 else ""
    return " ".join(text.split()) or "the connection was closed"
