"""What a stored session's bytes are spent on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.layout.media import KINDS
from agnocli.records import SESSION_DOCUMENTS, Document, Run, Session

TEXT, MEDIA, REPEATED, RESULTS = "text", "media", "repeated history", "tool results"
CALLS, REASONING, EVENTS, STATE = "tool calls", "reasoning", "events", "state"
SYSTEM, MEMBERS, OTHER = "system prompts", "member answers", "other"

_MEDIA = (*KINDS, "response_audio", "audio_output", "image_output", "video_output", "file_output")
_OF_A_RUN = {
    "content": TEXT,
    "additional_input": TEXT,
    "followups": TEXT,
    "events": EVENTS,
    "session_state": STATE,
    "member_responses": MEMBERS,
    "step_results": MEMBERS,
    "references": RESULTS,
    "citations": RESULTS,
    **dict.fromkeys(("reasoning_content", "reasoning_steps", "reasoning_messages"), REASONING),
    **dict.fromkeys(_MEDIA, MEDIA),
}
_OF_A_MESSAGE = {
    "reasoning_content": REASONING,
    "redacted_reasoning_content": REASONING,
    "tool_calls": CALLS,
    "tool_args": CALLS,
    "references": RESULTS,
    "citations": RESULTS,
    **dict.fromkeys(_MEDIA, MEDIA),
}
_SPOKEN_BY = {b'"tool"': RESULTS, b'"system"': SYSTEM, b'"developer"': SYSTEM}
_PICTURES = (b'"image_url"', b'"input_image"', b'"input_audio"', b'"file"')


class Sizes:
    """Bytes by cause, of what has been read so far. They add up to `total`."""

    def __init__(self) -> None:
        self.by_cause: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self.by_cause.total()

    def of_session(self, session: Session) -> None:
        for column in SESSION_DOCUMENTS:
            document = getattr(session, column)
            if not codec.is_null(document):
                cause = STATE if column == "session_data" else OTHER
                self.by_cause[TEXT if column == "summary" else cause] += len(document)

    def watched(self, runs: Iterable[Run]) -> Iterator[Run]:
        """The runs as they are, each measured as it goes by."""
        for run in runs:
            self.by_cause.update(run_sizes(run.run_data))
            yield run


def run_sizes(document: Document) -> Counter[str]:
    """Bytes of one run's data by cause; what stands between the values counts as other."""
    found: Counter[str] = Counter()
    try:
        for name, raw in codec.raw_members(document).items():
            if name == "messages":
                _each(raw, _message, found)
            elif name == "tools":
                _each(raw, _execution, found)
            elif name == "input":
                _object(raw, _OF_A_RUN, TEXT, found)
            elif name in _OF_A_RUN:
                found[_OF_A_RUN[name]] += len(raw)
    except CodecError:
        found.clear()
    found[OTHER] += len(document) - found.total()
    return found


def _each(raw: Any, measure: Any, found: Counter[str]) -> None:
    for item in codec.raw_items(raw):
        if _begins(item, b"{"):
            measure(item, found)


def _begins(raw: Any, mark: bytes) -> bool:
    """What is large is not copied."""
    return bytes(memoryview(raw)[:1]) == mark


def _object(raw: Any, causes: Mapping[str, str], rest: str, found: Counter[str]) -> None:
    """Members by their names, all else of the value for `rest`."""
    before = found.total()
    if _begins(raw, b"{"):
        for name, value in codec.raw_members(raw).items():
            if name in causes:
                found[causes[name]] += len(value)
    found[rest] += len(raw) - (found.total() - before)


def _message(raw: Any, found: Counter[str]) -> None:
    members = codec.raw_members(raw)
    if bytes(members.get("from_history", b"")) == b"true":
        found[REPEATED] += len(raw)
        return
    content = members.pop("content", b"")
    cause = _SPOKEN_BY.get(bytes(members.get("role", b"")), TEXT)
    if _begins(content, b"["):
        _parts(content, cause, found)
    else:
        found[cause] += len(content)
    for name, value in members.items():
        if name in _OF_A_MESSAGE and not _begins(value, b"n"):
            found[_OF_A_MESSAGE[name]] += len(value)


def _parts(content: Any, cause: str, found: Counter[str]) -> None:
    for part in codec.raw_items(content):
        kind = b""
        if _begins(part, b"{"):
            kind = bytes(codec.raw_members(part).get("type", b""))
        found[MEDIA if kind in _PICTURES else cause] += len(part)


def _execution(raw: Any, found: Counter[str]) -> None:
    _object(raw, {"result": RESULTS}, CALLS, found)
