"""A conversation as it reads: who said what, how each turn ended. One turn is held at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from agnocli import codec
from agnocli.cli.render.markdown import AnswerStream, MarkdownStream, PlainStream
from agnocli.cli.render.text import Out, age, bytes_of, fit, iso, neutral, one_line, sgr
from agnocli.errors import CodecError
from agnocli.layout import spoken
from agnocli.layout.derive import session_info
from agnocli.layout.members import Placed, in_reading_order
from agnocli.layout.sizes import Sizes
from agnocli.layout.spoken import (
    as_stored,
    asked,
    author,
    ending,
    facts,
    laid_out,
    lenient,
    steps,
    tokens,
)
from agnocli.messages import Message, ToolCall, view
from agnocli.records import Document, Run, Session

DIM, BOLD, RED, YELLOW = "2", "1", "31", "33"
ROLE_COLORS = {"user": "1;32", "assistant": "1;36", "system": "2", "tool": "33"}
LARGE = 50_000
"""Bytes from which on people ask what a session is so large of."""
FOLD, FOLD_ARGUMENTS = 200, 48
"""Characters that are left of a folded text in a pipe, on a terminal it fills its line; and of a call's arguments."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown beside the words: no `roles` means all. `frame` is what stands before and behind them; `runs` is how
    many there are, where known."""

    roles: tuple[str, ...] = ()
    tools: bool = False
    system: bool = False
    state: bool = False
    summary: bool = True
    metrics: bool = False
    sizes: bool = False
    frame: bool = True
    backend: str | None = None
    runs: int | None = None
    now: float | None = None


EVERYTHING_SAID = Shown()


def write_transcript(
    session: Session,
    runs: Iterable[Run],
    *,
    stream: Out,
    color: bool,
    width: int,
    tty: bool,
    shown: Shown = EVERYTHING_SAID,
) -> int:
    """Print a session for people; returns how many runs. What cannot be decoded is shown as it is stored."""
    page = Page(stream, color, width, tty, shown)
    if shown.frame:
        head(page, session)
    sizes, count = Sizes(), 0
    sizes.of_session(session)
    for placed in in_reading_order(sizes.watched(runs)):
        count += 1
        _run(page.indented(placed.depth), placed, session)
    _tail(page, session)
    if shown.sizes and sizes.total >= LARGE:
        page.line()
        page.line(f"{bytes_of(sizes.total)}: {', '.join(_shares(sizes))}", DIM)
    stream.flush()
    return count


def _shares(sizes: Sizes) -> Iterator[str]:
    """What takes up a hundredth or more, the largest first."""
    for cause, count in sizes.by_cause.most_common():
        if count * 100 >= sizes.total:
            yield f"{cause} {count / sizes.total:.0%}"


class Page:
    """A place to print on, and how."""

    def __init__(self, stream: Out, color: bool, width: int, tty: bool, shown: Shown) -> None:
        self.stream, self.color, self.width, self.tty, self.shown = stream, color, width, tty, shown
        self.now = time.time() if shown.now is None else shown.now

    def indented(self, depth: int) -> Page:
        if depth == 0:
            return self
        bar = self.style("│", DIM) + " "
        width = max(8, self.width - 2 * depth)
        return Page(_Indented(self.stream, bar * depth), self.color, width, self.tty, self.shown)

    def style(self, text: str, codes: str) -> str:
        return sgr(text, codes if self.color else "")

    def line(self, text: str = "", codes: str = "") -> None:
        self.stream.write(self.style(text, codes) + "\n")

    def fold(self, value: str, used: int = 0) -> str:
        """The beginning of a text, on one line."""
        line = one_line(value[: 4 * FOLD + self.width])
        room = max(8, self.width - used) if self.tty else FOLD
        if len(value) > 4 * FOLD + self.width and len(line) <= room:
            line += "…"
        return fit(line, room)

    def body(self, value: str, *, markdown: bool = False) -> None:
        writer: AnswerStream = PlainStream(self.stream)
        if markdown and self.tty:
            writer = MarkdownStream(self.stream, width=self.width, color=self.color)
        writer.feed(value)
        writer.finish()

    def time(self, epoch: object) -> str:
        return f"{iso(epoch)} ({age(epoch, self.now)})" if self.tty and epoch else iso(epoch)


class _Indented:
    """Opens every line with `prefix`."""

    def __init__(self, stream: Out, prefix: str) -> None:
        self._stream, self._prefix, self._at_start = stream, prefix, True

    def write(self, text: str) -> None:
        for number, line in enumerate(text.split("\n")):
            if number:
                self._stream.write((self._prefix.rstrip() if self._at_start else "") + "\n")
                self._at_start = True
            if line:
                self._stream.write((self._prefix if self._at_start else "") + line)
                self._at_start = False

    def flush(self) -> None:
        self._stream.flush()


def head(page: Page, session: Session) -> None:
    """What a conversation is called, and the facts of it."""
    shown = page.shown
    if name := session_info(session, runs=0, status=None).name:
        page.line(one_line(name), BOLD)
    count = "" if shown.runs is None else str(shown.runs)
    for label, value in (*facts(session), ("backend", shown.backend), ("runs", count)):
        if value:
            told = page.time(value) if label in ("created", "updated") else one_line(value)
            page.line(page.style(f"{label:<9}", DIM) + told)


def _tail(page: Page, session: Session) -> None:
    shown = page.shown
    if not shown.frame:
        return
    if shown.summary and not codec.is_null(session.summary):
        said = lenient(session.summary).get("summary")
        text = said if isinstance(said, str) else as_stored(session.summary)
        _section(page, "summary", text, markdown=True)
    if shown.state:
        _section(page, "state", _member(session.session_data, "session_state"))
    if shown.metrics:
        _section(page, "metrics", _member(session.session_data, "session_metrics"))


def _member(document: Document | None, name: str) -> str:
    """A member of a document laid out; the whole of it as it is stored when it cannot be read."""
    try:
        value = codec.members(document).get(name)
    except CodecError:
        return as_stored(document)
    return codec.pretty({} if value is None else value)


def _section(page: Page, title: str, body: str, *, markdown: bool = False) -> None:
    page.line()
    page.line(f"── {title}", BOLD)
    page.body(body, markdown=markdown)


def _run(page: Page, placed: Placed, session: Session) -> None:
    run = placed.run
    page.line()
    try:
        data = codec.decode(run.run_data)
    except CodecError as error:
        _undecodable(page, placed, str(error))
        return
    if not isinstance(data, dict):
        _undecodable(page, placed, "not an object")
        return
    page.line(_title(page, placed, session, data), BOLD)
    said = _messages(page, data)
    _rest(page, run, data, said)


def _undecodable(page: Page, placed: Placed, reason: str) -> None:
    moment = page.time(placed.run.created_at)
    page.line(f"── {placed.number} · {moment} · cannot be read", BOLD)
    page.line(f"{one_line(reason)}; stored is:", RED)
    page.line(page.fold(as_stored(Document(placed.run.run_data[: 4 * FOLD]))), DIM)


def _title(page: Page, placed: Placed, session: Session, data: dict[str, Any]) -> str:
    run = placed.run
    parts = [f"── {placed.number}" if placed.number else "──"]
    if who := author(run, data, session):
        parts.append(one_line(who))
    if run.parent_run_id and not placed.below_parent:
        parts.append(f"member of run {one_line(run.parent_run_id)[:8]}")
    parts.append(page.time(run.created_at))
    parts.extend(filter(None, [one_line(ending(run, data))]))
    return " · ".join(parts)


def _messages(page: Page, data: dict[str, Any]) -> list[str]:
    """Print what was said; returns what the assistant said. What earlier turns said is told there."""
    stored = data.get("messages")
    found = (
        [view(one) for one in stored if isinstance(one, dict)] if isinstance(stored, list) else []
    )
    items = [one for one in found if not one.from_history]
    if repeated := len(found) - len(items):
        what = "1 message" if repeated == 1 else f"{repeated:,} messages"
        page.line(f"({what} of earlier turns, stored once more)", DIM)
    if not any(one.role == "user" for one in items):
        items = [*asked(data), *items]
    results = {str(one.tool_call_id): one for one in items if one.role == "tool"}
    answered: set[str] = set()
    for one in items:
        if one.role == "tool":
            if str(one.tool_call_id) not in answered and _wanted(page, "tool"):
                _call(page, ToolCall(None, one.tool_name or "", ""), one)
        else:
            answered.update(_message(page, one, results))
    inner = list(steps(data.get("step_results")))
    for name, content in inner if _wanted(page, "assistant") else ():
        page.line(f"▸ {one_line(name)}:", DIM)
        page.body(content, markdown=True)
    return [one.content for one in items if one.role == "assistant"] + [one for _, one in inner]


def _wanted(page: Page, role: str) -> bool:
    return not page.shown.roles or role in page.shown.roles


def _message(page: Page, one: Message, results: dict[str, Message]) -> Iterator[str]:
    if _wanted(page, one.role):
        _words(page, one)
    for call in one.tool_calls:
        result = results.get(str(call.id))
        yield str(call.id)
        if _wanted(page, "tool"):
            _call(page, call, result)


def _words(page: Page, one: Message) -> None:
    role = one_line(one.role) or "message"
    if one.role == "system" and not (page.shown.system or "system" in page.shown.roles):
        page.line(f"{role}: {page.fold(one.content, len(role) + 2)}", DIM)
        return
    reasoning = one.reasoning if isinstance(one.reasoning, str) else ""
    if not (one.content or reasoning or one.attachments):
        return
    page.line(f"{role}:", ROLE_COLORS.get(one.role, BOLD))
    for line in neutral(reasoning).rstrip("\n").split("\n") if reasoning else ():
        page.line(f"~ {line}".rstrip(), DIM)
    if one.content:
        page.body(one.content, markdown=one.role == "assistant")
    for attachment in one.attachments:
        page.line(f"[{one_line(attachment)}]", DIM)


def _call(page: Page, call: ToolCall, result: Message | None) -> None:
    name, failed = one_line(str(call.name)) or "tool", result is not None and result.tool_call_error
    mark = page.style("✗" if failed else "⚙", RED if failed else ROLE_COLORS["tool"])
    if page.shown.tools:
        page.line(f"{mark} {name}")
        for label, value in (("arguments", call.arguments), ("result", result and result.content)):
            if value:
                page.line(f"  {label}:", DIM)
                inner = Page(
                    _Indented(page.stream, "    "), page.color, page.width - 4, page.tty, page.shown
                )
                inner.body(laid_out(value))
        return
    arguments = fit(one_line(" ".join(laid_out(call.arguments[:FOLD]).split())), FOLD_ARGUMENTS)
    shown = f"{name}({arguments})" if arguments else name
    if result is not None:
        shown += f" → {result.content[: 4 * FOLD]}"
    page.line(f"{mark} {page.fold(shown, 2)}")


def _rest(page: Page, run: Run, data: dict[str, Any], said: list[str]) -> None:
    """What no message holds: the content of a run without messages, the error, the numbers."""
    content, error = spoken.rest(run, data, said)
    if content and _wanted(page, "assistant"):
        page.line("assistant:", ROLE_COLORS["assistant"])
        page.body(content, markdown=True)
    if error:
        page.line(f"error: {one_line(error)}", RED)
    if page.shown.metrics and (numbers := tokens(data.get("metrics"))):
        page.line(numbers, DIM)
