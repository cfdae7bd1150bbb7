"""What is found at a place, for `backends check`: one look at every key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agnocli import codec
from agnocli.abc import BackendReport
from agnocli.db._redis import agno_1, rows
from agnocli.db._redis.reading import Reader, raw_id, text_of
from agnocli.db._redis.scripts.reading import CENSUS
from agnocli.db._redis.server import SCAN_COUNT
from agnocli.errors import CodecError, LayoutError
from agnocli.layout import names

PAGE = 500
OURS = "agnocli"
"""What is on its way, and locks."""


class _Found(NamedTuple):
    """A session by its key, and how many runs the server lists for it; None where its record must be read."""

    key: bytes
    runs: int | None


class Census:
    """Counts. A key that the server moves meanwhile may be counted twice among `others`, a session never."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._server, self._keys = reader, reader.server, reader.keys
        self.sessions = self.runs = self.old = 0
        self.others: Counter[str] = Counter()
        self._seen = set[bytes]()
        self._stamps = set[bytes]()

    def taken(self) -> Census:
        pages = self._apart() if self._server.is_cluster else self._pages()
        for page in pages:
            new = {one.key: one.runs for one in page if one.key not in self._seen}
            self._seen |= new.keys()
            self.sessions += len(new)
            self.runs += sum(count for count in new.values() if count is not None)
            self._read([key for key, count in new.items() if count is None])
        return self

    def _read(self, keys: list[bytes]) -> None:
        """Sessions that may hold runs of Agno 2."""
        start, listed = len(self._keys.session("")), []
        for key, text in self._reader.records(keys):
            session_id = text_of(key[start:])
            if text is None or not rows.head_of(text).has_blob:
                listed.append(("ZCARD", self._keys.runs_of(session_id)))
                continue
            self.old += 1
            try:
                session, members = self._reader.parse(session_id, text)
                self.runs += sum(1 for _ in self._reader.runs(session, members))
            except (LayoutError, CodecError):  # what can be counted of a damaged one
                listed.append(("ZCARD", self._keys.runs_of(session_id)))
        self.runs += sum(self._server.read(*listed)) if listed else 0

    def _pages(self) -> Iterator[list[_Found]]:
        cursor = b"0"
        asked = (self._keys.anything_matching(), 4 * SCAN_COUNT, names.VERSIONS, self._keys.prefix)
        while True:
            cursor, *answer = self._server.read_script(CENSUS, cursor, *asked)
            keys, counts, odd, stamps, others = (codec.decode(text_of(one)) for one in answer)
            self._stamps.update(map(raw_id, stamps))
            self.others.update(others if isinstance(others, dict) else {})
            unclear = set(odd)
            yield [
                _Found(raw_id(key), None if number in unclear else count)
                for number, (key, count) in enumerate(zip(keys, counts, strict=True), 1)
            ]
            if cursor == b"0":
                return

    def _apart(self) -> Iterator[list[_Found]]:
        """On a cluster, where every record must be asked for by itself."""
        start, page = len(self._keys.anything("")), list[_Found]()
        for key in self._server.keys(self._keys.anything_matching()):
            kind, colon, name = key[start:].partition(b":")
            if not colon or name.startswith(b"index:"):
                continue
            if kind == b"sessions":
                page.append(_Found(key, None))
                if len(page) == PAGE:
                    yield page
                    page = []
            elif kind == names.VERSIONS.encode():
                self._stamps.add(key)
            elif kind not in (b"runs", OURS.encode()):
                self.others[text_of(kind)] += 1
        yield page

    def versions(self) -> dict[str, str]:
        start = len(f"{self._keys.prefix}:{names.VERSIONS}:".encode())
        found = self._reader.records(sorted(self._stamps))
        return {text_of(key[start:]): text_of(value) for key, value in found if value is not None}


def report(reader: Reader, address: str) -> BackendReport:
    census = Census(reader).taken()
    versions, old_keys = census.versions(), agno_1.some_keys(reader)
    if old_keys and not census.sessions:
        raise agno_1.error(reader, old_keys)
    return BackendReport(
        address=address,
        layout=_layout(census),
        sessions=census.sessions,
        runs=census.runs,
        versions=versions,
        notes=tuple(_notes(census, versions, old_keys)),
        others=dict(sorted(census.others.items())),
    )


def _layout(census: Census) -> str:
    if not census.sessions:
        return "empty"
    return "v3" if not census.old else "v2" if census.old == census.sessions else "mixed"


def _notes(census: Census, versions: Mapping[str, str], agno_1_keys: list[str]) -> Iterator[str]:
    if agno_1_keys:
        yield agno_1.note(agno_1_keys)
    if census.old:
        yield f"runs of Agno 2 are inside {census.old} session records; they are read from there"
    if census.sessions and names.SESSIONS not in versions:
        yield f"no version stamp for {names.SESSIONS!r}, as Agno leaves it until it migrates"
