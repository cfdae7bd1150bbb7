"""Session summaries: when one is due, what it is made of, how it is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from agnocli import codec
from agnocli.abc import Backend, ChatModel, ChatRequest, ModelFinished
from agnocli.agent.history import counts
from agnocli.agent.sessions import counted
from agnocli.edit import ATTEMPTS
from agnocli.errors import CodecError, ModelError, SessionConflictError
from agnocli.layout.covers import COVERS, Covered, covered
from agnocli.messages import messages
from agnocli.records import Run, Session

AT_ONCE = 100
"""Turns that one turn takes into the summary at most: an old session is caught up with by and by."""

CHUNK_CHARACTERS = 24_000
"""Of a conversation in one request: some 6,000 tokens, which small models take too."""

_FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "session_summary",
        "schema": {
            "type": "object",
            "properties": {
                "summary": {"type": "string"},
                "topics": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["summary", "topics"],
            "additionalProperties": False,
        },
    },
}
_TASK = """\
You keep the summary of a conversation between a user and an assistant. You are given the summary so far, if there \
is one, and what was said since. Write the summary of all of it: names, facts, decisions, wishes and open questions \
that matter for going on, nothing that was not said. Be concise, and write in the language of the conversation.
Answer with one JSON object: {"summary": "…", "topics": ["…", …]}"""
_FENCE = re.compile(r"^```\w*\n(.*?)\n?```\s*$", re.DOTALL)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)

Complete = Callable[[ChatModel, ChatRequest], tuple[str, ModelFinished | None]]
"""Asks a model once, and gives what it said and how it ended. ModelError."""


class Summary(msgspec.Struct, frozen=True):
    """`metrics` are of the requests it took, as Agno stores a run's."""

    text: str
    topics: tuple[str, ...]
    covered: Covered
    metrics: dict[str, Any]


class SessionSummary(msgspec.Struct, frozen=True):
    """As it is stored; `updated_at` is local time without a zone, in ISO form."""

    summary: str
    topics: tuple[str, ...] = ()
    updated_at: str | None = None


def of(session: Session) -> SessionSummary | None:
    """None where none is stored, or nothing of that shape."""
    try:
        found = msgspec.convert(codec.members(session.summary), SessionSummary)
    except msgspec.ValidationError:
        return None
    return found if found.summary else None


def stored(session: Session | None) -> str | None:
    """The text of a session's summary."""
    found = of(session) if session else None
    return found.summary if found else None


def is_due(session: Session, newest_index: int, every: int) -> bool:
    """Whether there may be so many turns that the summary does not cover; told without reading one."""
    reached = covered(session)
    since = newest_index - (reached.run_index if reached else -1)
    return since >= every or since < 0


def uncovered(backend: Backend, session: Session) -> Iterator[Run]:
    """Turns that the summary says nothing of, oldest first. Reads no more than it takes to find where they begin."""
    reached = covered(session)
    if reached is None or stored(session) is None:
        yield from filter(counts, backend.runs(session.session_id))
        return
    window = 16
    while True:
        runs = list(backend.runs(session.session_id, last=window))
        places = [place for place, run in enumerate(runs) if run.run_id == reached.run_id]
        if places:
            yield from filter(counts, runs[places[0] + 1 :])
            return
        if len(runs) < window or runs[0].created_at < reached.created_at:  # that run was deleted
            later = (run for run in runs if run.created_at >= reached.created_at)
            yield from filter(counts, later)
            return
        window *= 2


def make(
    previous: str | None,
    turns: Iterable[Run],
    model: ChatModel,
    complete: Complete,
) -> Summary | None:
    """The summary of `previous` and these turns, a chunk at a time; None of no turns. ModelError."""
    summary: Summary | None = None
    text, spent = previous, dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), 0)
    for chunk, last in _chunks(turns):
        said, finished = complete(model, _request(text, chunk))
        text, topics = _read(said, finished)
        for name in spent:
            spent[name] += getattr(finished, name, 0)
        reached = Covered(last.run_id, last.run_index or 0, last.created_at)
        used = {**spent, "id": model.id, "provider": model.provider}
        metrics = {**spent, "details": {"session_summary_model": [used]}}
        summary = Summary(text, topics, reached, metrics)
    return summary


def refreshed(
    backend: Backend, session: Session, model: ChatModel, complete: Complete, *, anew: bool = False
) -> Summary | None:
    """A summary that covers all turns; None when the stored one does already. `anew` forgets that one."""
    if anew:
        turns = filter(counts, backend.runs(session.session_id))
        return make(None, turns, model, complete)
    return make(stored(session), uncovered(backend, session), model, complete)


def keep(backend: Backend, before: Session, summary: Summary) -> bool:
    """Store it; False when another program stored one meanwhile, which then stays."""
    document = {
        "summary": summary.text,
        "topics": list(summary.topics),
        "updated_at": datetime.now().isoformat(),  # noqa: DTZ005 - as Agno's
    }
    for attempt in range(ATTEMPTS):
        session = backend.get(before.session_id)
        if session.summary != before.summary:
            return False
        covers = {COVERS: msgspec.structs.asdict(summary.covered)}
        spent = counted(codec.members(session.session_data), summary.metrics)
        changes = {
            "summary": codec.encode(document),
            "session_data": codec.patch(session.session_data, {**covers, **spent}),
            "updated_at": session.updated_at,  # nothing was said
        }
        try:
            backend.update(
                session.session_id, changes, {name: getattr(session, name) for name in changes}
            )
        except SessionConflictError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return True
    raise AssertionError("unreachable")


def _request(previous: str | None, conversation: str) -> ChatRequest:
    before = f"<summary_so_far>\n{previous}\n</summary_so_far>\n\n" if previous else ""
    words = f"{before}<conversation>\n{conversation}\n</conversation>"
    return ChatRequest(
        messages=[{"role": "system", "content": _TASK}, {"role": "user", "content": words}],
        stream=False,
        options={"response_format": _FORM},
    )


def _chunks(turns: Iterable[Run]) -> Iterator[tuple[str, Run]]:
    """The conversation in pieces that fit a request, each with the last turn in it; a long turn in several."""
    parts: list[str] = []
    length, last = 0, None
    for run in turns:
        text = _transcript(run)
        if parts and length + len(text) > CHUNK_CHARACTERS:
            assert last is not None
            yield "\n".join(parts), last
            parts, length = [], 0
        while len(text) > CHUNK_CHARACTERS:
            yield text[:CHUNK_CHARACTERS], run
            text = text[CHUNK_CHARACTERS:]
        parts.append(text)
        length, last = length + len(text), run
    if last is not None:
        yield "\n".join(parts), last


def _transcript(run: Run) -> str:
    try:
        said = [one for one in messages(run) if not one.from_history and one.content]
    except CodecError:
        return ""
    names = {"user": "User", "assistant": "Assistant"}
    return "\n".join(f"{names[one.role]}: {one.content}" for one in said if one.role in names)


def _read(said: str, finished: ModelFinished | None) -> tuple[str, tuple[str, ...]]:
    """Text and topics of an answer; of one that is no JSON, all of it. ModelError for one of no use."""
    if finished is None or finished.reason == "length":
        raise ModelError("the summary was cut off", hint="try again, or with another model")
    text = _THOUGHT.sub("", said).strip()
    if fenced := _FENCE.match(text):
        text = fenced[1].strip()
    found = _object(text)
    summary = found.get("summary") if found is not None else text
    if not isinstance(summary, str) or not summary.strip():
        raise ModelError("the model gave no summary", hint="try again, or with another model")
    topics = (found or {}).get("topics")
    named = topics if isinstance(topics, Sequence) and not isinstance(topics, str) else ()
    return summary.strip(), tuple(one for one in named if isinstance(one, str))


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object in an answer, which may have words around it."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0:
        return None
    try:
        value = codec.decode(text[start : end + 1])
    except CodecError:
        return None
    return value if isinstance(value, dict) else None
