"""A change in the making: what must still be so, and what is to be done then.

A server does both in one step. On a cluster the keys of a session lie on several servers: there it is done under a
lock of the session, records before the set that lists them, the session's own record last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from agnocli.db._redis.keys import Keys
from agnocli.db._redis.scripts.writing import COMMIT
from agnocli.db._redis.server import Command, Server, pairs

Step = tuple[str, Any, Any]


class Changes:
    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.steps: list[Step] = []

    # what must be so

    def same(self, key: bytes, text: bytes) -> None:
        self._add("same", key, _sha1(text))

    def absent(self, key: bytes) -> None:
        self._add("absent", key)

    def there(self, key: bytes) -> None:
        self._add("there", key)

    def in_order(self, key: bytes, members: Sequence[bytes]) -> None:
        """The sorted set has these members in this order."""
        self._add("order", key, _sha1(b"\0".join(members)))

    def last(self, key: bytes, count: int, member: bytes, score: float) -> None:
        """The sorted set has so many members, and this one is its last."""
        self._add("last", key, b"%d %s %s" % (count, repr(score).encode(), member))

    def free(self, run_id: str, session_id: str) -> None:
        """No other session has a run of this id."""
        self._add("free", run_id, session_id)

    # what is to be done

    def set(self, key: bytes, text: bytes) -> None:
        self._add("set", key, text)

    def remove(self, key: bytes) -> None:
        self._add("del", key)

    def rank(self, key: bytes, member: str | bytes, score: float) -> None:
        raw = member if isinstance(member, bytes) else member.encode()
        self._add("zadd", key, b"%s %s" % (repr(float(score)).encode(), raw))

    def unrank(self, key: bytes, member: str | bytes) -> None:
        self._add("zrem", key, member)

    def list_in(self, indexes: Iterable[bytes], member: str) -> None:
        for index in indexes:
            self._add("sadd", index, member)

    def unlist_from(self, indexes: Iterable[bytes], member: str) -> None:
        for index in indexes:
            self._add("srem", index, member.encode("utf-8", "surrogateescape"))

    def end(self, key: bytes, at: int | None) -> None:
        """When a key goes by itself, in epoch milliseconds; None for the backend's own rule."""
        self._add("ends", key, b"" if at is None else at)

    def live_like(self, key: bytes, other: bytes) -> None:
        """Give a new key the time to live of another."""
        self._add("like", key, other)

    def unlist_runs(self, indexes: Iterable[bytes], session_id: bytes) -> None:
        for index in indexes:
            self._add("clean", index, session_id)

    def forget_runs(self, session_id: str | bytes) -> None:
        self._add("forget", session_id)

    def renew(self, session_id: str) -> None:
        """Begin the time to live of a session and all of its runs anew, where there is one."""
        self._add("touch", session_id)

    def number(self, run_id: bytes, index: int) -> None:
        """Set the index within a stored run, whose record is in Agno's order."""
        self._add("number", run_id, index)

    def _add(self, step: str, key: Any, value: Any = b"") -> None:
        self.steps.append((step, key, value))

    def flat(self) -> Iterator[Any]:
        for step in self.steps:
            yield from step


def _sha1(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


def commit(
    server: Server, changes: Changes, expire: int | None, staged: Sequence[str] = ()
) -> bytes | None:
    """None when all was done; else the key or id of what was not so, and nothing was done."""
    if server.is_cluster:
        return _commit_apart(server, changes, expire)
    milliseconds = "" if expire is None else expire * 1000
    head = (changes.keys.prefix, milliseconds, len(staged), *staged)
    failed: bytes | None = server.script(COMMIT, (), *head, *changes.flat())
    return failed


def _commit_apart(server: Server, changes: Changes, expire: int | None) -> bytes | None:
    for step, key, value in changes.steps:
        if not _holds(server, changes.keys, step, key, value):
            return key if isinstance(key, bytes) else str(key).encode()
    effects = [one for one in changes.steps if one[0] in _EFFECTS]
    sessions = changes.keys.session("")
    effects.sort(key=lambda one: one[0] in ("set", "ends") and one[1].startswith(sessions))
    waiting: list[Command] = []
    for effect in effects:
        if waiting and (effect[0] not in _PLAIN or len(waiting) > 500):
            server.write(*waiting)
            waiting.clear()
        waiting += _commands(server, changes.keys, effect, expire)
    if waiting:
        server.write(*waiting)
    return None


def _holds(server: Server, keys: Keys, step: str, key: Any, value: Any) -> bool:
    if step == "same":
        return bool(_sha1(server.read(("GET", key))[0] or b"") == value)
    if step in ("absent", "there"):
        return bool(server.read(("EXISTS", key))[0]) == (step == "there")
    if step == "order":
        return bool(_sha1(b"\0".join(server.read(("ZRANGE", key, 0, -1))[0])) == value)
    if step == "last":
        count, score, member = value.split(b" ", 2)
        (found,) = server.read(("ZCARD", key))
        top = pairs(server.read(("ZRANGE", key, -1, -1, "WITHSCORES"))[0])
        return found == int(count) and (not top or top[0] == (member, float(score)))
    if step == "free":
        ranked = ("ZSCORE", keys.runs_of(value), key)
        taken, ours = server.read(("EXISTS", keys.run(key)), ranked)
        return not taken or ours is not None
    return True


_PLAIN = frozenset(("set", "del", "zadd", "zrem", "sadd", "srem", "ends"))
"""What is done without a look at what is there."""

_EFFECTS = _PLAIN | {"like", "clean", "forget", "touch", "number"}


def _commands(server: Server, keys: Keys, step: Step, expire: int | None) -> Iterator[Command]:
    what, key, value = step
    if what == "set":
        yield ("SET", key, value, *(("EX", expire) if expire is not None else ("KEEPTTL",)))
    elif what == "zadd":
        yield ("ZADD", key, *value.split(b" ", 1))
    elif what in ("del", "zrem", "sadd", "srem"):
        yield (what.upper(), key, *((value,) if what != "del" else ()))
    elif what == "ends":
        yield _ending(key, value, expire)
    elif what == "like":
        left, own = server.read(("PTTL", value), ("PTTL", key))
        if expire is None and left > 0 and own == -1:
            yield ("PEXPIRE", key, left)
    elif what == "number":
        yield from _renumbered(server, keys, key, value)
    else:
        yield from _for_runs(server, keys, step, expire)


def _ending(key: Any, at: Any, expire: int | None) -> Command:
    if at != b"":
        return ("PEXPIREAT", key, at)
    return ("PERSIST", key) if expire is None else ("EXPIRE", key, expire)


def _for_runs(server: Server, keys: Keys, step: Step, expire: int | None) -> Iterator[Command]:
    what, key, value = step
    session_id = _text(value if what == "clean" else key)
    runs_key = keys.runs_of(session_id)
    run_ids = server.read(("ZRANGE", runs_key, 0, -1))[0]
    if what == "clean":
        for run_id in run_ids:
            yield ("SREM", key, run_id)
    elif what == "forget":
        for run_id in run_ids:
            yield ("DEL", keys.run(_text(run_id)))
        yield ("DEL", runs_key)
    elif expire is not None:
        for one in (keys.session(session_id), runs_key, *(keys.run(_text(one)) for one in run_ids)):
            yield ("EXPIRE", one, expire)


def _renumbered(server: Server, keys: Keys, run_id: bytes, index: int) -> Iterator[Command]:
    key = keys.run(_text(run_id))
    text = server.read(("GET", key))[0]
    before, mark, rest = text.partition(b'"run_index": ')
    _, comma, behind = rest.partition(b",")
    yield ("SET", key, b"%s%s%d%s%s" % (before, mark, index, comma, behind), "KEEPTTL")


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else str(raw)
