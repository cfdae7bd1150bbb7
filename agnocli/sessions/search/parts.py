"""What of a session can be found: its texts, each with where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from unicodedata import is_normalized, normalize

import msgspec

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.layout.derive import session_info
from agnocli.layout.media import Media
from agnocli.layout.members import Placed
from agnocli.layout.readable import seconds
from agnocli.layout.spoken import Called, Said, as_stored, lenient, turn
from agnocli.records import Run, Session, SessionBundle

KINDS = ("content", "tools", "reasoning", "system", "name", "summary", "state")
"""Where a text can stand."""
_INSTRUCTIONS = ("system", "developer")
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


class Part(msgspec.Struct, frozen=True):
    """`run` counts from 1, 0 for what is the session's own; `role` is a message's; `at` is epoch seconds."""

    kind: str
    text: str
    role: str = ""
    run_id: str = ""
    run: int = 0
    at: int = 0


class Unreadable(msgspec.Struct, frozen=True):
    """A run, or all of a session's, that cannot be decoded and so not be searched."""

    run_id: str
    reason: str


def parts(bundle: SessionBundle) -> Iterator[Part | Unreadable]:
    """All texts of a session; instructions that it repeats are told once."""
    session, runs = bundle
    yield from of_session(session)
    told = set[int]()
    try:
        for number, run in enumerate(runs, 1):
            for part in of_run(run, session, number):
                if isinstance(part, Part) and part.kind == "system":
                    if hash(part.text) in told:
                        continue
                    told.add(hash(part.text))
                yield part
    except CodecError as error:  # what Agno 2 left in the session's row
        yield Unreadable("", error.message)


def of_session(session: Session) -> Iterator[Part]:
    at = _moment(session.updated_at, session.created_at)
    info = session_info(session, runs=0, status=None)
    names = "\n".join(dict.fromkeys(filter(None, (info.name, info.title))))
    data = lenient(session.session_data)
    summary = lenient(session.summary).get("summary")
    if not isinstance(summary, str):
        summary = "" if codec.is_null(session.summary) else as_stored(session.summary)
    state = data.get("session_state")
    texts = (
        ("name", names),
        ("summary", readable(summary)),
        ("state", codec.pretty(state) if state else ""),
    )
    yield from (Part(kind, clean(text), at=at) for kind, text in texts if text.strip())


def of_run(run: Run, session: Session, position: int) -> Iterator[Part | Unreadable]:
    """The texts of one run, `position` being its place where it has no index."""
    number = position if run.run_index is None else run.run_index + 1
    found = turn(Placed(run, number, 0), session)
    if found.unreadable:
        yield Unreadable(run.run_id, found.unreadable)
        return
    at = _moment(run.created_at, session.created_at)

    def part(kind: str, role: str, *texts: str | None) -> Iterator[Part]:
        given = [one for one in texts if isinstance(one, str) and one.strip()]
        if text := "\n".join(map(readable, given)):
            yield Part(kind, clean(text), role, run.run_id, number, at)

    for one in found.said:
        if isinstance(one, Said):
            message = one.message
            kind = "system" if message.role in _INSTRUCTIONS else "content"
            yield from part(kind, message.role, message.content, *_words(one.media))
            yield from part("reasoning", message.role, message.reasoning)
        else:
            yield from _of_call(one, part)
    for label, text in found.aside:
        yield from part(
            "reasoning" if label.startswith("reasoning") else "content", "assistant", text
        )
    yield from part("content", "assistant", found.error)


def _of_call(one: Called, part: Callable[..., Iterator[Part]]) -> Iterator[Part]:
    yield from part("tools", "assistant", one.call.name, one.call.arguments)
    if one.result is not None:
        yield from part("tools", one.result.role, one.result.content, *_words(one.media))


def _words(media: Iterable[Media]) -> Iterator[str]:
    for one in media:
        yield from (one.name, one.text)


def readable(text: str) -> str:
    """JSON text with its characters as they are: a tool's arguments and results hold escapes."""
    if text.lstrip()[:1] not in ("{", "[") or "\\u" not in text:
        return text
    return codec.unescaped(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


def clean(text: str) -> str:
    """In NFC, without what no database of text holds."""
    if not is_normalized("NFC", text):
        text = normalize("NFC", text)
    return _NO_TEXT.sub("\ufffd", text)


def _moment(*times: object) -> int:
    return next((int(one) for one in map(seconds, times) if one is not None), 0)
