"""A row for each message, for spreadsheets and data frames.

UTF-8 without a mark in front, lines end in CR LF (RFC 4180), times are ISO 8601 in UTC. Messages of earlier turns that
a run repeats are left out; a run that cannot be read is one row, as it is stored.

A spreadsheet runs a cell that begins with = + - @ as a formula, whoever wrote it. So such text, and such behind a tab
or a line end, gets a ' in front, as OWASP advises: take `jsonl` where every character counts.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.formats.pages import PlainPage
from agnocli.layout.media import Media
from agnocli.layout.readable import iso, neutral
from agnocli.layout.spoken import as_stored, plainly, title_of
from agnocli.messages import Message, data
from agnocli.records import Run, Session, SessionBundle

COLUMNS = (
    "session_id",
    "session_name",
    "user_id",
    "run_id",
    "parent_run_id",
    "run_index",
    "run_status",
    "agent_id",
    "team_id",
    "message_index",
    "role",
    "created_at",
    "content",
    "reasoning",
    "tool_name",
    "tool_call_id",
    "tool_calls",
    "attachments",
    "input_tokens",
    "output_tokens",
)
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")


def new_page() -> CsvPage:
    return CsvPage()


class CsvPage(PlainPage):
    def head(self) -> Iterator[str]:
        yield _line(COLUMNS)

    def session(self, bundle: SessionBundle) -> Iterator[str]:
        """A session without messages is a row as well."""
        session, rows = bundle.session, 0
        for run in bundle.runs:
            for number, message in enumerate(_messages(run)):
                rows += 1
                yield _row(
                    _of_session(session) | _of_run(run) | {"message_index": number} | message
                )
        if not rows:
            yield _row(_of_session(session))


def _messages(run: Run) -> Iterator[dict[str, Any]]:
    try:
        found = list(plainly(run, data(run)))
    except CodecError:
        yield {"role": "unreadable", "content": as_stored(run.run_data)}
        return
    for message, media in found:
        yield _of_message(message, media, run)


def _of_session(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "session_name": title_of(session),
        "user_id": session.user_id,
    }


def _of_run(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "parent_run_id": run.parent_run_id,
        "run_index": run.run_index,
        "run_status": run.status,
        "agent_id": run.agent_id,
        "team_id": run.team_id,
    }


def _of_message(message: Message, media: tuple[Media, ...], run: Run) -> dict[str, Any]:
    calls = [
        {"id": one.id, "name": one.name, "arguments": one.arguments} for one in message.tool_calls
    ]
    return {
        "role": message.role,
        "created_at": iso(message.created_at or run.created_at),
        "content": message.content,
        "reasoning": message.reasoning,
        "tool_name": message.tool_name or ", ".join(one.name for one in message.tool_calls),
        "tool_call_id": message.tool_call_id,
        "tool_calls": codec.line(calls) if calls else None,
        "attachments": ", ".join(filter(None, (one.name or one.url or one.kind for one in media))),
        "input_tokens": message.usage.input_tokens or None,
        "output_tokens": message.usage.output_tokens or None,
    }


def _row(values: dict[str, Any]) -> str:
    return _line([_cell(values.get(name)) for name in COLUMNS])


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = neutral(value)
    return f"'{text}" if _FORMULA.match(text) else text


def _line(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
