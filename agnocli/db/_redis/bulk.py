"""Whole sessions, many in one answer, with the time at which each record goes by itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat

from agnocli import codec
from agnocli.abc import HELD_BYTES
from agnocli.db._redis import rows
from agnocli.db._redis.keys import RESERVED
from agnocli.db._redis.reading import BYTES, FIRST, MOST, Reader, text_of
from agnocli.db._redis.scripts.reading import FETCH, GATHER
from agnocli.errors import BackendError, BackendUnavailableError
from agnocli.layout import legacy
from agnocli.records import Run, Session, SessionBundle

ANSWER_BYTES, MANY = 2_000_000, 1000
"""How big an answer may grow to be, and how many sessions are asked for at once."""

APART, LONG = 50, 1000
"""Without scripts: sessions that are asked for at once, and runs of one that is then read by itself."""

Living = tuple[bytes, bytes | None, int | None]
"""Key, text, end of life in epoch milliseconds."""


class Bulk(Reader):
    """A reader whose records have their `expires_at`."""

    _exact: bool | None = None

    def bundles(self, session_ids: Iterable[bytes]) -> Iterator[SessionBundle]:
        """Those that are there, in this order. Runs are a tuple up to HELD_BYTES."""
        reserved = tuple(one.encode() for one in RESERVED)
        ids = (one for one in session_ids if not one.startswith(reserved))
        return self._gathered(ids) if self.server.can_script else self._apart(ids)

    # by script: sessions and runs in one answer

    def _gathered(self, ids: Iterator[bytes]) -> Iterator[SessionBundle]:
        left, size = list[bytes](), FIRST
        while left := [*left, *islice(ids, max(0, size - len(left)))]:
            asked = (self.keys.prefix, ANSWER_BYTES, HELD_BYTES, *left[:size])
            looked_at, *found, texts = self.server.read_script(GATHER, *asked)
            del left[:looked_at]
            size = min(MANY, 2 * looked_at + 1)
            some, counts, runs, moments = (codec.decode(text_of(one)) for one in found)
            yield from self._split(some, counts, runs, moments, texts)

    def _split(
        self,
        session_ids: list[str],
        counts: list[int],
        run_ids: list[str],
        moments: list[str],
        texts: list[bytes],
    ) -> Iterator[SessionBundle]:
        records = zip(texts, map(_moment, moments) if moments else repeat(None), strict=False)
        left = iter(run_ids)
        for session_id, count in zip(session_ids, counts, strict=True):
            session, old = self._session(session_id, *next(records))
            if count == -1:
                yield _bundle(session, old, self.stored_runs(session_id), is_held=False)
                continue
            held = (
                self._run(self.keys.run(run_id), text, session_id, ends)
                for run_id, (text, ends) in zip(islice(left, count), records, strict=False)
            )
            yield _bundle(session, old, self.in_order(session_id, held), is_held=True)

    def _session(self, session_id: str, text: bytes, ends: int | None) -> tuple[Session, list[Run]]:
        name = text_of(self.keys.session(session_id))
        session, blob = rows.read_session(text, name, session_id, ends)
        return session, list(legacy.blob_runs(blob, session))

    # key by key: on a cluster, and for a user who may run no script

    def _apart(self, ids: Iterator[bytes]) -> Iterator[SessionBundle]:
        while some := [text_of(one) for one in islice(ids, APART)]:
            orders = self._orders(some)
            runs = self.living(key for order in orders for key in order or ())
            sessions = self.living(self.keys.session(one) for one in some)
            for session_id, order, (_, text, ends) in zip(some, orders, sessions, strict=True):
                held = list(islice(runs, len(order or ())))
                if text is None:
                    continue
                session, old = self._session(session_id, text, ends)
                found = (self._run(key, text, session_id, ends) for key, text, ends in held if text)
                stored = (
                    self.in_order(session_id, found)
                    if order is not None
                    else self.stored_runs(session_id)
                )
                yield _bundle(session, old, stored, is_held=order is not None)

    def _orders(self, ids: Sequence[str]) -> list[list[bytes] | None]:
        """The keys of the runs of each session; None where they are too many or too big to be held."""
        listed = [self.keys.runs_of(one) for one in ids]
        counts = self.server.read(*(("ZCARD", key) for key in listed))
        asked = [
            ("ZRANGE", key, 0, LONG if count <= LONG else 0)
            for key, count in zip(listed, counts, strict=True)
        ]
        found = self.server.read(*asked)
        orders = [[self.keys.run(text_of(one)) for one in order] for order in found]
        keys = [key for order in orders for key in order]
        sizes = iter(self.server.read(*(("STRLEN", key) for key in keys)) if keys else ())
        weights = [sum(islice(sizes, len(order))) for order in orders]
        fits = (
            count <= LONG and weight <= HELD_BYTES
            for count, weight in zip(counts, weights, strict=True)
        )
        return [order if fit else None for order, fit in zip(orders, fits, strict=True)]

    # one session's runs, however many

    def _fetch(self, session_id: str, run_ids: Iterable[bytes]) -> Iterator[Run]:
        keys = (self.keys.run(text_of(run_id)) for run_id in run_ids)
        for key, text, ends in self.living(keys):
            if text is not None:
                yield self._run(key, text, session_id, ends)

    def living(self, keys: Iterable[bytes]) -> Iterator[Living]:
        """Records by key, in answers of about a megabyte."""
        left, keys, size, ask = (
            list[bytes](),
            iter(keys),
            FIRST,
            self._scripted if self.server.can_script else self._asked,
        )
        while left := [*left, *islice(keys, max(0, size - len(left)))]:
            found = ask(left[:size])
            yield from ((key, *one) for key, one in zip(left, found, strict=False))
            del left[: len(found)]
            weight = sum(len(text) for text, _ in found if text is not None)
            size = min(MOST, max(1, BYTES * len(found) // max(weight, 1)), size * 8)

    def _scripted(self, keys: Sequence[bytes]) -> list[tuple[bytes | None, int | None]]:
        ends, texts = self.server.read_script(FETCH, BYTES, *keys)
        return [(text, _moment(one)) for text, one in zip(texts, codec.decode(ends), strict=True)]

    def _asked(self, keys: Sequence[bytes]) -> list[tuple[bytes | None, int | None]]:
        asked = "PEXPIRETIME" if self._is_exact() else "PTTL"
        answers = self.server.read(*(("GET", key) for key in keys), *((asked, key) for key in keys))
        start = 0 if self._exact else time.time_ns() // 10**6
        texts, ends = answers[: len(keys)], answers[len(keys) :]
        return [
            (text, None if at < 0 else start + at) for text, at in zip(texts, ends, strict=True)
        ]

    def _is_exact(self) -> bool:
        """Whether the server tells when a key goes; else only how long that is from now, by our clock."""
        if self._exact is None:
            try:
                self.server.read(("PEXPIRETIME", self.keys.session("")))
                self._exact = True
            except BackendUnavailableError:
                raise
            except BackendError:
                self._exact = False
        return self._exact


def _bundle(
    session: Session, old: list[Run], stored: Iterator[Run], *, is_held: bool
) -> SessionBundle:
    """`old`: what Agno 2 left in the session's record."""
    if old:
        merged = list(legacy.merge(old, stored))
        is_held = sum(len(run.run_data) for run in merged) <= HELD_BYTES
        stored = iter(merged)
    return SessionBundle(session, tuple(stored) if is_held else stored)


def _moment(ends: str) -> int | None:
    return int(ends) if ends else None
