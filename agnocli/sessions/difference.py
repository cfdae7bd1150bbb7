"""What two conversations have otherwise: their turns by what was said, and the fields of their rows.

Ids and times of runs and messages do not count: a fork has others than its parent, and the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from hashlib import blake2b
from itertools import islice, takewhile, zip_longest
from typing import Any

import msgspec

from agnocli import codec
from agnocli.abc import Backend
from agnocli.errors import CodecError
from agnocli.layout.members import Placed, in_reading_order
from agnocli.layout.spoken import Called, Said, Turn, as_stored, laid_out, lenient, title_of, turn
from agnocli.records import SESSION_COLUMNS, SESSION_DOCUMENTS, Document, Session
from agnocli.sessions.fork import FORKED_FROM

MISSING = object()
"""In the place of a value that one side does not have."""

_PIECE = 1_000_000

Words = tuple[str, str]
"""Who says something, and what."""


class Stored:
    """A session where it is kept. Its turns are read anew each time."""

    def __init__(self, backend: Backend, session_id: str) -> None:
        self._backend = backend
        self.session = backend.get(session_id)
        self.address = backend.address

    def runs(self) -> Iterator[Placed]:
        return in_reading_order(self._backend.runs(self.session.session_id))

    def turn(self, placed: Placed | None) -> Turn | None:
        return None if placed is None else turn(placed, self.session)

    def about(self) -> dict[str, object]:
        title = title_of(self.session)
        return {"session_id": self.session.session_id, "title": title, "backend": self.address}


class Field(msgspec.Struct, frozen=True):
    """A value that differs, and where it is; MISSING on the side that has none."""

    name: str
    left: Any
    right: Any


class Change(msgspec.Struct, frozen=True):
    """A turn that one side lacks, or that stands in another's place."""

    left: Turn | None
    right: Turn | None

    @property
    def kind(self) -> str:
        if self.left is None:
            return "added"
        return "removed" if self.right is None else "changed"

    def as_json(self) -> dict[str, object]:
        before, after = (words(one) if one else [] for one in (self.left, self.right))
        return {
            "change": self.kind,
            "left": _place(self.left),
            "right": _place(self.right),
            "messages": list(_changed(before, after)),
        }


class Difference:
    """`common` turns are the same on both sides; `first` are the numbers of the first that are not, if any."""

    def __init__(self, left: Stored, right: Stored) -> None:
        self.left, self.right = left, right
        self.fields = list(fields(left.session, right.session))
        ours, theirs = _digests(left), _digests(right)
        self._steps = _steps(ours, theirs)
        self.common = sum(end - begin for kind, begin, end, *_ in self._steps if kind == "equal")
        self.counts = len(ours), len(theirs)

    @property
    def same(self) -> bool:
        """Whether the same was said; the rows may differ."""
        return self.common == self.counts[0] == self.counts[1]

    def head(self) -> dict[str, object]:
        names = ("left", "right")
        return {
            "same": self.same and not self.fields,
            "left": self.left.about() | {"runs": self.counts[0]},
            "right": self.right.about() | {"runs": self.counts[1]},
            "common_runs": self.common,
            "forked_at": self.forked_at(),
            "fields": [
                {"field": one.name}
                | {name: getattr(one, name) for name in names if getattr(one, name) is not MISSING}
                for one in self.fields
            ],
        }

    def forked_at(self) -> int | None:
        """The turn at which the right one was copied from the left one, None where it was not."""
        metadata = lenient(self.right.session.metadata)
        source = metadata.get(FORKED_FROM)
        if not isinstance(source, dict) or source.get("session_id") != self.left.session.session_id:
            return None
        run = source.get("run")
        return run if isinstance(run, int) else None

    def changes(self) -> Iterator[Change]:
        """In order; one turn of each side is held at a time."""
        ours, theirs = self.left.runs(), self.right.runs()
        for kind, begin, end, there, there_end in self._steps:
            pairs = zip_longest(islice(ours, end - begin), islice(theirs, there_end - there))
            for left, right in pairs:
                if kind != "equal":
                    yield Change(self.left.turn(left), self.right.turn(right))


def difference(left: Stored, right: Stored) -> Difference:
    return Difference(left, right)


def _digests(stored: Stored) -> list[bytes]:
    return [_digest(turn(placed, stored.session)) for placed in stored.runs()]


def _digest(one: Turn) -> bytes:
    hasher = blake2b(digest_size=16)
    for who, what in words(one):
        for part in (who, what):
            encoded = part.encode("utf-8", "surrogatepass")
            hasher.update(len(encoded).to_bytes(8, "big") + encoded)
    return hasher.digest()


def _steps(ours: Sequence[bytes], theirs: Sequence[bytes]) -> list[tuple[str, int, int, int, int]]:
    """As of difflib. Beginning and end that both have are passed over first: it takes what is said often for noise."""
    begin = _alike(zip(ours, theirs, strict=False))
    end = _alike(zip(reversed(ours[begin:]), reversed(theirs[begin:]), strict=False))
    last, last_there = len(ours) - end, len(theirs) - end
    rest = SequenceMatcher(None, ours[begin:last], theirs[begin:last_there]).get_opcodes()
    moved = [(kind, a + begin, b + begin, c + begin, d + begin) for kind, a, b, c, d in rest]
    tail = ("equal", last, len(ours), last_there, len(theirs))
    return [("equal", 0, begin, 0, begin), *moved, tail]


def _alike(pairs: Iterable[tuple[bytes, bytes]]) -> int:
    """How many are, from the beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def words(one: Turn) -> list[Words]:
    """All that a turn says, in order."""
    return list(_words(one))


def _words(one: Turn) -> Iterator[Words]:
    if one.author:
        yield "by", one.author
    if one.unreadable:
        yield "cannot be read", as_stored(one.run.run_data)
    for entry in one.said:
        yield from _said(entry) if isinstance(entry, Said) else _called(entry)
    yield from one.aside
    if one.error:
        yield "error", one.error
    if one.ending:
        yield "ended", one.ending


def _said(entry: Said) -> Iterator[Words]:
    message = entry.message
    if isinstance(message.reasoning, str) and message.reasoning:
        yield f"{message.role} thinks", message.reasoning
    if message.content:
        yield message.role, message.content
    yield from _media(entry)


def _called(entry: Called) -> Iterator[Words]:
    yield f"calls {entry.call.name}", laid_out(entry.call.arguments)
    if entry.result is not None:
        failed = " (failed)" if entry.result.tool_call_error else ""
        yield f"{entry.call.name} gives{failed}", entry.result.content
    yield from _media(entry)


def _media(entry: Said | Called) -> Iterator[Words]:
    for one in entry.media:
        mark = _mark(one.data) if one.data else ""
        yield one.kind, " ".join(filter(None, (one.name, one.mime, one.url, one.text, mark)))


def _mark(data: str) -> str:
    """Tells one picture from another; in pieces, for it may be large."""
    hasher = blake2b(digest_size=4)
    for start in range(0, len(data), _PIECE):
        hasher.update(data[start : start + _PIECE].encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()


def _place(one: Turn | None) -> dict[str, object] | None:
    return None if one is None else {"number": one.number or None, "run_id": one.run.run_id}


def _changed(before: list[Words], after: list[Words]) -> Iterator[dict[str, str]]:
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            for sign, side in (("-", before[a:b]), ("+", after[c:d])):
                yield from ({"change": sign, "role": who, "content": what} for who, what in side)


def fields(left: Session, right: Session) -> Iterator[Field]:
    """What differs in two rows beside their ids, down to the value within a document."""
    for name in SESSION_COLUMNS[1:]:
        one, other = getattr(left, name), getattr(right, name)
        if name in SESSION_DOCUMENTS:
            yield from _differing(name, _value(one), _value(other))
        elif one != other:
            yield Field(name, one, other)
    for name in sorted({*left.extra, *right.extra}):
        if (one := left.extra.get(name)) != (other := right.extra.get(name)):
            yield Field(name, str(one), str(other))


def _value(document: Document | None) -> Any:
    if codec.is_null(document):
        return None
    assert document is not None
    try:
        return codec.decode(document)
    except CodecError:
        return as_stored(document)


def _differing(name: str, left: Any, right: Any) -> Iterator[Field]:
    left, right = ({} if one is None else one for one in (left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        for key in dict.fromkeys([*left, *right]):
            one, other = left.get(key, MISSING), right.get(key, MISSING)
            if MISSING in (one, other):
                yield Field(f"{name}.{key}", one, other)
            else:
                yield from _differing(f"{name}.{key}", one, other)
    elif codec.line(left) != codec.line(right):
        yield Field(name, left, right)
