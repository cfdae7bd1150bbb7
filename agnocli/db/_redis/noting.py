"""Notes of a job that several machines do together: a list of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from agnocli.db._redis.server import Server


def notes(server: Server, key: str) -> Iterator[bytes]:
    """One by one: each may have some megabytes."""
    for place in count():
        (text,) = server.read(("LINDEX", key, place))
        if text is None:
            return
        yield text
