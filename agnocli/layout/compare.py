"""Whether two copies of a session are the same: over values, or to the byte."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from operator import attrgetter
from typing import Any

import msgspec

from agnocli import canonical
from agnocli.abc import Capabilities
from agnocli.layout.weight import session_bytes
from agnocli.records import (
    NULL,
    RUN_COLUMNS,
    RUN_DOCUMENTS,
    SESSION_COLUMNS,
    SESSION_DOCUMENTS,
    Document,
    Run,
    Session,
    SessionBundle,
    Values,
    documents_of,
    plain_values,
)

_run_values: Values = attrgetter(*RUN_COLUMNS)
_session_values: Values = attrgetter(*SESSION_COLUMNS)
_COLUMNS: dict[type, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Run: (RUN_COLUMNS, RUN_DOCUMENTS),
    Session: (SESSION_COLUMNS, SESSION_DOCUMENTS),
}
"""Names of the columns, and which of them are documents."""


Spelling = Callable[[Session | Run], bytes]
"""A record as one text: `to_the_byte`, `by_value` or `alike`."""

LARGE = 64_000
"""Bytes of runs whose texts are not copied to be hashed in one call."""

_pack = msgspec.msgpack.Encoder(enc_hook=repr)


def to_the_byte(record: Session | Run) -> bytes:
    return _packed(record)


def by_value(record: Session | Run) -> bytes:
    """What has the same values has the same text, and takes ten times as long as to the byte."""
    extra = sorted((name, repr(value)) for name, value in record.extra.items())
    text = repr((plain_values(record), extra)).encode("utf-8", "surrogatepass")
    return text + canonical.digest(documents_of(record)).encode("ascii")


def alike(record: Session | Run) -> bytes:
    """What has the same text has the same values, and so has, mostly, what an engine spells anew. In half the time."""
    texts = [None if one is None else canonical.alike(one) for one in documents_of(record)]
    return _packed((plain_values(record), texts, record.extra, record.expires_at))


def _packed(value: Any) -> bytes:
    try:
        return _pack.encode(value)
    except UnicodeEncodeError:  # half a character in a column
        return repr(value).encode("utf-8", "surrogatepass")


class BundleDigest:
    """Digest of a session and its runs in order, taken while the runs stream past `watch`: half a SHA-256."""

    def __init__(self, session: Session, spelling: Spelling = by_value) -> None:
        from hashlib import sha256  # which processors know by themselves

        self._spelling = spelling
        self._hash = sha256(spelling(session))

    def watch(self, runs: Iterable[Run]) -> Iterator[Run]:
        for run in runs:
            self._hash.update(self._spelling(run))
            yield run

    def drain(self, runs: Iterable[Run]) -> str:
        if isinstance(runs, tuple) and sum([len(run.run_data) for run in runs]) < LARGE:
            self._hash.update(b"".join(map(self._spelling, runs)))
        else:
            deque(self.watch(runs), maxlen=0)
        return self.hexdigest()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()[:32]


def as_told(session: Session, can: Capabilities) -> Session:
    """A session as a place with these capabilities tells it again; the same object when that changes nothing."""
    return session if can.keeps_null_kind else without_nulls(session)


def without_nulls(session: Session) -> Session:
    """As it is read back where JSON null is no other thing than nothing."""
    found = {name: None for name in SESSION_DOCUMENTS if getattr(session, name) == NULL}
    return msgspec.structs.replace(session, **found) if found else session


class Comparison:
    """Of a session with its copy at a place that has these capabilities.

    `difference` is None, or where they first differ. `respelled` holds what the place keeps in another form of the
    same value: `json_text`, `null_kind`, `expiry`. Runs are read in step, each once.
    """

    def __init__(self, one: SessionBundle, copy: SessionBundle, can: Capabilities) -> None:
        self._can = can
        self.respelled: set[str] = set()
        self.runs, self.bytes = 0, session_bytes(one.session)
        self.difference = self._session(one.session, copy.session) or self._all_runs(one, copy)

    def _all_runs(self, one: SessionBundle, copy: SessionBundle) -> str | None:
        for index, (run, other) in enumerate(zip_longest(one.runs, copy.runs)):
            if run is None or other is None:
                return f"runs[{index}] is in {'the copy' if run is None else 'the source'} only"
            if found := self._record(run, other, _run_values):
                return f"runs[{index}].{found} (run {run.run_id!r})"
            self.runs += 1
            self.bytes += len(run.run_data)
        return None

    def _session(self, one: Session, copy: Session) -> str | None:
        return self._record(one, copy, _session_values)

    def _record(
        self, one: Session | Run, copy: Session | Run, values: Callable[[Any], tuple[Any, ...]]
    ) -> str | None:
        mine, other = values(one), values(copy)
        if mine != other and (found := self._differing(type(one), mine, other)):
            return found
        if one.extra != copy.extra and (found := _differing(one.extra, copy.extra)):
            return found
        return self._expiry(one.expires_at, copy.expires_at)

    def _differing(
        self, kind: type[Session | Run], one: tuple[Any, ...], copy: tuple[Any, ...]
    ) -> str | None:
        """The first column whose value is not the same."""
        names, documents = _COLUMNS[kind]
        for name, mine, other in zip(names, one, copy, strict=True):
            if mine != other and not (name in documents and self._same(mine, other)):
                return name
        return None

    def _same(self, one: Document | None, other: Document | None) -> bool:
        if not self._can.keeps_null_kind and {one, other} == {None, NULL}:
            self.respelled.add("null_kind")
            return True
        if one is None or other is None or not canonical.same(one, other):
            return False
        self.respelled.add("json_text")
        return True

    def _expiry(self, one: int | None, other: int | None) -> str | None:
        if one == other or (one is None and self._can.keeps_expiry):
            return None  # the place may give its own time to what came without one
        if self._can.keeps_expiry:
            return "expires_at"
        self.respelled.add("expiry")
        return None


def _differing(one: Any, other: Any) -> str | None:
    """The first extra column that differs; one that is NULL is none."""
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            return str(name)
    return None
