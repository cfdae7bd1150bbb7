"""What the driver and the server say, in our words."""

from __future__ import annotations

from redis import exceptions as driver

from agnocli.errors import (
    AgnoCLIError,
    BackendError,
    BackendReadOnlyError,
    BackendUnavailableError,
)

FAILURES = (driver.RedisError, OSError)

_SERVER_SAYS = (
    # (word the answer begins with, what it means, what to do)
    ("LOADING", "is still loading its data", "try again in a moment"),
    ("BUSY", "is busy with a script", "try again in a moment"),
    ("MASTERDOWN", "is a replica without its master", "name the master, or wait for it"),
    ("CLUSTERDOWN", "is a cluster that is down", "see CLUSTER INFO; every slot needs a master"),
    ("NOREPLICAS", "has too few replicas to accept a write", "try again when they are back"),
    ("TRYAGAIN", "is a cluster that is moving slots", "try again in a moment"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "has a certificate that is not trusted here",
        "name who signed it: add ?ssl_ca_certs=FILE to the URL",
    ),
    ("max number of clients", "takes no more connections", "close some, or raise maxclients"),
)


def translate(error: Exception, address: str) -> AgnoCLIError:
    said = _one_line(error)
    if isinstance(error, driver.NoPermissionError) or "NOPERM" in said:
        return BackendReadOnlyError(
            f"the user at {address} may not do this: {said}",
            hint="give it the rights with ACL SETUSER, or name another user in the URL",
        )
    if isinstance(error, driver.AuthenticationError) or _begins(said, "NOAUTH", "WRONGPASS"):
        return BackendUnavailableError(
            f"{address} does not accept the user or password",
            hint="check password (and username) of the backend",
        )
    if isinstance(error, driver.ReadOnlyError) or _begins(said, "READONLY"):
        return BackendReadOnlyError(
            f"{address} is a replica, which cannot be written", hint="name the master instead"
        )
    if isinstance(error, driver.OutOfMemoryError) or _begins(said, "OOM"):
        return BackendError(
            f"{address} is out of memory (maxmemory)",
            hint="delete something or raise maxmemory, and try again; what was stored before is safe",
        )
    if _begins(said, "MISCONF"):
        return BackendError(
            f"{address} takes no writes because it cannot save to its disk",
            hint="free some space for the server; its log says why",
        )
    return _unavailable(error, said, address)


def _unavailable(error: Exception, said: str, address: str) -> AgnoCLIError:
    for word, means, advice in _SERVER_SAYS:
        if word in said:
            return BackendUnavailableError(f"{address} {means}", hint=advice)
    if "DB index is out of range" in said:
        return BackendUnavailableError(
            f"{address}: there is no database of this number",
            hint="0 is always there; a server has 16 unless it is told otherwise",
        )
    if isinstance(error, driver.TimeoutError | TimeoutError):
        return BackendUnavailableError(
            f"{address} did not answer in time", hint="try again; see whether the server is busy"
        )
    if isinstance(error, driver.ConnectionError | driver.ClusterError | OSError):
        return BackendUnavailableError(
            f"{address} cannot be reached: {said}",
            hint="check host and port, and that the server runs",
        )
    return BackendError(f"{address}: {said}", hint="`agno backends check` looks at it more closely")


def can_try_again(error: BaseException) -> bool:
    """Whether it was the connection that failed, not what was asked."""
    told = (driver.AuthenticationError, driver.BusyLoadingError)
    return isinstance(error, driver.ConnectionError | OSError) and not isinstance(error, told)


def _begins(said: str, *words: str) -> bool:
    return any(word in said for word in words)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
