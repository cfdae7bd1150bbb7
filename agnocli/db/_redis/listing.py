"""Listings: what goes over every session record of a prefix.

There is no order on the server, so each look reads every record once; only what a page is sorted by is kept.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

import msgspec

from agnocli import codec
from agnocli.abc import Page, SessionQuery, Sort
from agnocli.db._redis import agno_1, rows
from agnocli.db._redis.keys import RESERVED
from agnocli.db._redis.reading import Reader, raw_id, text_of
from agnocli.db._redis.scripts.reading import PAGE, TIMES
from agnocli.db._redis.server import SCAN_COUNT, pairs
from agnocli.errors import CodecError, LayoutError
from agnocli.layout import filter as listing
from agnocli.layout.derive import session_info
from agnocli.records import RUN_COLUMNS, Document, SessionInfo

PAGE_BYTES = 2_000_000
CHUNK = 200
MOST_LATE = 1000
"""Rows up to which a first page is chosen on the server."""
HEAD = 1024
"""Bytes of a run record that hold what stands before its body."""

_PLACING = ("sort", "reverse", "limit", "skip")
"""What of a query does not choose sessions."""

_IN_FRONT = frozenset(RUN_COLUMNS) - {"run_data", "created_at", "updated_at"}

Place = tuple[int, str]


class Record(NamedTuple):
    session_id: str
    text: bytes
    head: rows.Head


class Listing:
    def __init__(self, reader: Reader) -> None:
        self._reader, self._server, self._keys = reader, reader.server, reader.keys

    # every record

    def session_ids(self, id_prefix: str = "") -> set[str]:
        return {text_of(one) for one in self._raw_ids(id_prefix)}

    def _raw_ids(self, id_prefix: str) -> Iterator[bytes]:
        """As the server names them, perhaps one of them twice."""
        reserved = raw_id(f"{self._keys.prefix}:sessions:{RESERVED[0]}")
        start = len(self._keys.session(""))
        pattern = self._keys.matching("sessions", id_prefix)
        for key in self._server.keys(pattern):
            if not key.startswith(reserved):
                yield key[start:]

    def ids_in_order(self) -> list[bytes]:
        """Each id once. A million of them take a hundred megabytes."""
        found = sorted(self._raw_ids(""))
        return [one for one, _ in groupby(found)]

    def records(self, id_prefix: str = "") -> Iterator[Record]:
        """Each session record once, whatever order."""
        seen: set[str] = set()
        pages = self._apart(id_prefix) if self._server.is_cluster else self._pages(id_prefix)
        for page in pages:
            for record in page:
                if record.session_id not in seen:
                    seen.add(record.session_id)
                    yield record

    def _apart(self, id_prefix: str) -> Iterator[list[Record]]:
        keys = [self._keys.session(one) for one in self.session_ids(id_prefix)]
        for key, text in self._reader.records(keys):
            if text is not None:
                yield [self._record(key, text)]

    def _pages(self, id_prefix: str) -> Iterator[list[Record]]:
        pattern = self._keys.matching("sessions", id_prefix)
        reserved = f"{self._keys.prefix}:sessions:{RESERVED[0]}"
        cursor = b"0"
        while True:
            asked = (cursor, pattern, SCAN_COUNT, reserved, PAGE_BYTES)
            cursor, found, lengths, texts, rest = self._server.read_script(PAGE, *asked)
            yield self._split(_names(found), codec.decode(lengths), texts)
            unread = (raw_id(name) for name in _names(rest))
            for key, text in self._reader.records(unread):
                if text is not None:
                    yield [self._record(key, text)]
            if cursor == b"0":
                return

    def _split(self, found: list[str], lengths: list[int], texts: bytes) -> list[Record]:
        heads = _all_heads(texts, len(found))
        start, records = len(text_of(self._keys.session(""))), []
        place = 0
        for number, (name, length) in enumerate(zip(found, lengths, strict=True)):
            text = texts[place : place + length]
            head = rows.head_of(text) if heads is None else heads[number]
            records.append(Record(name[start:], text, head))
            place += length + 1
        return records

    def _record(self, key: bytes, text: bytes) -> Record:
        return Record(text_of(key[len(self._keys.session("")) :]), text, rows.head_of(text))

    # find

    def find(self, query: SessionQuery) -> Page:
        if _is_plain(query) and not self._server.is_cluster:
            page = self._first_page(query)
            if page is not None:
                return page
        return self._page(query)

    def _first_page(self, query: SessionQuery) -> Page | None:
        """None when a record is not what its end says: damaged, or changed since."""
        places, total = self._latest(query)
        found = list(self._infos([session_id for _, session_id in places]))
        if places != [
            _place(listing.sort_key(one, query.sort), one.session_id) for one, _ in found
        ]:
            return None
        return listing.page(self._with_runs(found, self._chunk(query)), query, total=total)

    def _latest(self, query: SessionQuery) -> tuple[list[Place], int]:
        """The first places and the number of all sessions, by no more of a record than its end."""
        size = query.skip + (query.limit or 0) + 1
        asked = (self._keys.matching("sessions"), 4 * SCAN_COUNT, self._keys.session(RESERVED[0]))
        start, seen, best = len(text_of(self._keys.session(""))), set[str](), list[Place]()
        cursor, floor = b"0", b""
        while True:
            cursor, *found = self._server.read_script(TIMES, cursor, *asked, query.sort, floor)
            names_, late, odd = _names(found[0]), _names(found[1]), _names(found[3])
            heads = zip(late, codec.decode(found[2]), strict=True)
            places = [_place(time, key[start:]) for key, time in heads if key not in seen]
            seen.update(names_)
            for key, text in self._reader.records(raw_id(one) for one in odd if one not in seen):
                if text is not None:
                    record = self._record(key, text)
                    places.append(_place(_time(record.head, query.sort), record.session_id))
                    seen.add(text_of(key))
            best = heapq.nsmallest(size, {*best, *places})
            floor = str(-best[-1][0]).encode() if len(best) == size else b""
            if cursor == b"0":
                return best, len(seen)

    def _page(self, query: SessionQuery) -> Page:
        seen = None if query.after is None else _place(*listing.decode_cursor(query.after))
        wanted = msgspec.structs.replace(query, status=None, after=None)
        is_meant = self._meaning(wanted)
        counted = 0

        def places() -> Iterator[Place]:
            nonlocal counted
            for record in self.records(_prefix(query)):
                if is_meant is None or is_meant(record):
                    counted += 1
                    place = _place(_time(record.head, query.sort), record.session_id)
                    if seen is None or (place < seen if query.reverse else place > seen):
                        yield place

        chosen = _first(places(), query)
        infos = self._infos([session_id for _, session_id in chosen])
        total = counted if query.status is None else None
        return listing.page(self._with_runs(infos, chunk=self._chunk(query)), query, total=total)

    def _chunk(self, query: SessionQuery) -> int:
        return CHUNK if query.limit is None else min(CHUNK, max(query.limit + 1, 20))

    def _meaning(self, query: SessionQuery) -> Callable[[Record], bool] | None:
        """Whether a record is meant, decoding no more of it than that takes; None when all are."""
        if listing.needs_decoding(query):
            return lambda record: listing.matches(self._info(record), query)
        if _means_all(query):
            return None
        return lambda record: listing.matches(_light_info(record), query)

    def _info(self, record: Record) -> SessionInfo:
        try:
            session, _ = self._reader.parse(record.session_id, record.text)
        except LayoutError:  # a damaged record is listed by its id
            return SessionInfo(session_id=record.session_id, created_at=0)
        return session_info(session, runs=0, status=None)

    def _infos(self, session_ids: Sequence[str]) -> Iterator[tuple[SessionInfo, rows.Head]]:
        keys = (self._keys.session(session_id) for session_id in session_ids)
        for key, text in self._reader.records(keys):
            if text is not None:
                record = self._record(key, text)
                yield self._info(record), record.head

    def _with_runs(
        self, infos: Iterable[tuple[SessionInfo, rows.Head]], chunk: int
    ) -> Iterator[SessionInfo]:
        """Rows with their number of runs and last status, of which only the record's beginning is read."""
        infos = iter(infos)
        while some := list(islice(infos, chunk)):
            facts = self._run_facts([info.session_id for info, _ in some])
            for (info, head), fact in zip(some, facts, strict=True):
                runs, status = self._read_facts(info) if head.has_blob or fact is None else fact
                yield msgspec.structs.replace(info, runs=runs, status=status)

    def _run_facts(self, session_ids: Sequence[str]) -> list[tuple[int, str | None] | None]:
        """Number of runs and status of the last; None where that takes reading them."""
        asked = []
        for session_id in session_ids:
            key = self._keys.runs_of(session_id)
            asked += [("ZCARD", key), ("ZRANGE", key, -2, -1, "WITHSCORES")]
        answers = self._server.read(*asked)
        counts, tops = answers[::2], [pairs(answer) for answer in answers[1::2]]
        clear = [top[-1][0] for top in tops if _is_clear(top)]
        heads = [("GETRANGE", self._keys.run(text_of(one)), 0, HEAD - 1) for one in clear]
        found = iter(self._server.read(*heads) if heads else ())
        facts: list[tuple[int, str | None] | None] = []
        for count, top in zip(counts, tops, strict=True):
            if not top:
                facts.append((0, None))
            else:
                head = head_members(next(found)) if _is_clear(top) else None
                facts.append(None if head is None else (count, _status(head)))
        return facts

    def _read_facts(self, info: SessionInfo) -> tuple[int, str | None]:
        """Of what is damaged only the runs that have keys of their own are counted."""
        (count,) = self._server.read(("ZCARD", self._keys.runs_of(info.session_id)))
        try:
            return self._decoded_facts(info.session_id, count)
        except (LayoutError, CodecError):
            return count, None

    def _decoded_facts(self, session_id: str, count: int) -> tuple[int, str | None]:
        session, members = self._reader.parsed(session_id)
        if rows.blob(members) is None:
            last = next(self._reader.runs(session, members, last=1), None)
            return count, last.status if last else None
        count, status = 0, None
        for run in self._reader.runs(session, members):
            count, status = count + 1, run.status
        return count, status

    def check_agno_1(self) -> None:
        """LayoutError where Agno 1 keeps sessions, and nobody else does."""
        if (keys := agno_1.some_keys(self._reader)) and not self.session_ids():
            raise agno_1.error(self._reader, keys)


def head_members(text: bytes) -> rows.Members | None:
    """The members in front of a run's body, from the beginning of its record; None when not all are there."""
    front, mark, _ = text.partition(b', "run_data": ')
    if not mark:
        return None
    try:
        members = codec.raw_members(Document(front + b"}"))
    except CodecError:
        return None
    found = {name: bytes(raw) for name, raw in members.items()}
    return found if found.keys() >= _IN_FRONT else None


def _status(head: rows.Members) -> str | None:
    return rows.run(head | {"run_data": b"null"}, "", "").status


def _is_clear(top: Sequence[tuple[bytes, float]]) -> bool:
    """Whether the last run shares its place with no other."""
    return bool(top) and (len(top) == 1 or top[0][1] != top[1][1])


def _names(found: bytes) -> list[str]:
    names_: list[str] = codec.decode(text_of(found))
    return names_


def _all_heads(texts: bytes, count: int) -> list[rows.Head] | None:
    try:
        found = rows.heads.decode(b"[" + texts + b"]")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if len(found) == count else None


def _light_info(record: Record) -> SessionInfo:
    head = record.head
    return SessionInfo(
        session_id=record.session_id,
        type="agent" if head.session_type is None else head.session_type,
        agent_id=head.agent_id,
        team_id=head.team_id,
        workflow_id=head.workflow_id,
        user_id=head.user_id,
        created_at=head.created_at or 0,
        updated_at=head.updated_at,
    )


def _means_all(query: SessionQuery) -> bool:
    return query == SessionQuery(**{name: getattr(query, name) for name in _PLACING})


def _is_plain(query: SessionQuery) -> bool:
    """Whether it asks for the newest of all sessions, and not for too many."""
    number = -1 if query.limit is None or query.limit < 1 else query.limit
    return (
        _means_all(query)
        and not query.reverse
        and query.skip >= 0 < number
        and query.skip + number <= MOST_LATE
    )


def _prefix(query: SessionQuery) -> str:
    """What ids begin with, as far as keys can hold it."""
    wanted = query.id_prefix or ""
    return wanted if wanted.isascii() else ""


def _time(head: rows.Head, sort: Sort) -> int:
    if sort is Sort.UPDATED and head.updated_at is not None:
        return head.updated_at
    return head.created_at or 0


def _place(time: int, session_id: str) -> Place:
    return -time, session_id


def _first(places: Iterable[Place], query: SessionQuery) -> list[Place]:
    """Those a page can be made of, in its order."""
    if query.limit is None or query.status is not None:
        return sorted(places, reverse=query.reverse)
    choose = heapq.nlargest if query.reverse else heapq.nsmallest
    return choose(max(query.skip, 0) + max(query.limit, 0) + 1, places)
