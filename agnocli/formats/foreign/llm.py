"""The log of Simon Willison's `llm`: an SQLite database, `llm logs path` tells where. It is read, never written.

In older ones a conversation's responses are rows of `responses`; in newer ones a thread's turns point into a tree of
messages. One log may hold both, and a conversation that was gone on with later is told whole by its thread.
"""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agnocli import codec
from agnocli.errors import BackendError, BackendNotSetUpError, CodecError, LayoutError, UsageError
from agnocli.formats.foreign.source import ForeignSource, epoch
from agnocli.formats.foreign.turns import Conversation, Owner, Spoken, call
from agnocli.formats.source import STDIO


def open_source(path: str, owner: Owner) -> LlmSource:
    if path == STDIO:
        raise UsageError("llm's log is a database, not a stream", hint="name its file")
    return LlmSource(path, owner)


class LlmSource(ForeignSource):
    def conversations(self) -> Iterator[Conversation]:
        with closing(_connected(self.address)) as db:
            try:
                log = _Log(db, self.address)
                yield from log.threads()
                yield from log.responses()
            except sqlite3.Error as error:
                raise LayoutError(f"{self.address} cannot be read: {error}") from error

    def close(self) -> None:
        """Nothing is held open between scans."""


def _connected(path: str) -> sqlite3.Connection:
    if not Path(path).is_file():
        raise BackendNotSetUpError(
            f"there is no file {path}", hint="llm logs path tells where it is"
        )
    try:
        db = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        raise BackendError(f"{path} is no SQLite database that can be read: {error}") from error
    return db


class _Log:
    def __init__(self, db: sqlite3.Connection, address: str) -> None:
        self._db, self._address = db, address
        self._columns = {
            table: {row["name"] for row in db.execute(f"PRAGMA table_info({table})")}
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if not {"responses", "turns"} & self._columns.keys():
            raise LayoutError(
                f"{address} is no log of llm: it has neither responses nor turns",
                hint="llm logs path tells where it is",
            )

    def _rows(self, table: str, where: str, *bound: object, order: str = "rowid") -> list[Any]:
        """None where this version of the log has no such table."""
        if table not in self._columns:
            return []
        sql = f'SELECT * FROM "{table}" WHERE {where} ORDER BY {order}'
        return self._db.execute(sql, bound).fetchall()

    def _ids(self, sql: str) -> Iterator[Any]:
        """One row at a time, whatever else is read in between."""
        yield from self._db.cursor().execute(sql)

    # older logs

    def responses(self) -> Iterator[Conversation]:
        if "responses" not in self._columns:
            return
        later = "SELECT id FROM threads" if "threads" in self._columns else "SELECT NULL WHERE 0"
        sql = f"""
            SELECT DISTINCT coalesce(conversation_id, id) AS id FROM responses
            WHERE coalesce(conversation_id, id) NOT IN ({later}) ORDER BY 1"""
        for (session_id,) in self._ids(sql):
            where = "coalesce(conversation_id, id) = ?"
            rows = self._rows("responses", where, session_id, order="id")
            named = self._rows("conversations", "id = ?", session_id)
            messages = [one for row in rows for one in self._response(row)]
            times = [epoch(row["datetime_utc"]) or 0 for row in rows]
            yield Conversation(
                session_id=session_id,
                messages=messages,
                created_at=times[0],
                updated_at=times[-1],
                name=named[0]["name"] if named else None,
                model=rows[-1]["model"],
                origin={"from": "llm"},
            )

    def _response(self, row: Any) -> Iterator[Spoken]:
        moment, response_id = epoch(row["datetime_utc"]), row["id"]
        system = [*self._fragments("system_fragments", response_id), row["system"]]
        if words := "\n".join(filter(None, system)):
            yield Spoken(role="system", content=words, created_at=moment)
        for one in self._rows("tool_results", "response_id = ?", response_id):
            yield Spoken(
                role="tool",
                content=one["output"] or "",
                tool_call_id=one["tool_call_id"],
                tool_name=one["name"],
                failed=bool(_value(one, "exception")),
                created_at=moment,
            )
        words = "\n".join(
            filter(None, [*self._fragments("prompt_fragments", response_id), row["prompt"]])
        )
        media = self._attachments("prompt_attachments", "response_id", response_id)
        if words or media:
            yield _with_media(Spoken(role="user", content=words, created_at=moment), media)
        calls = [
            call(one["name"], one["arguments"] or "{}", one["tool_call_id"] or f"call_{one['id']}")
            for one in self._rows("tool_calls", "response_id = ?", response_id)
        ]
        yield Spoken(
            role="assistant",
            content=row["response"] or "",
            reasoning=_value(row, "reasoning"),
            tool_calls=calls,
            created_at=moment,
            model=row["model"],
            tokens=_tokens(row),
        )

    def _fragments(self, table: str, response_id: str) -> Iterator[str]:
        for one in self._rows(table, "response_id = ?", response_id, order='"order"'):
            for fragment in self._rows("fragments", "id = ?", one["fragment_id"]):
                yield fragment["content"]

    def _attachments(self, table: str, column: str, owner: object) -> list[Any]:
        links = self._rows(table, f"{column} = ?", owner, order='"order"')
        return [
            found
            for link in links
            for found in self._rows("attachments", "id = ?", link["attachment_id"])
        ]

    # newer logs

    def threads(self) -> Iterator[Conversation]:
        if "threads" not in self._columns:
            return
        for (thread_id,) in self._ids("SELECT id FROM threads ORDER BY id"):
            (thread,) = self._rows("threads", "id = ?", thread_id)
            turns = self._rows("turns", "thread_id = ?", thread_id, order="id")
            passed = set[str]()
            messages = [one for turn in turns for one in self._turn(turn, passed)]
            times = [epoch(turn["datetime_utc"]) for turn in turns]
            begun = epoch(thread["datetime_utc"])
            yield Conversation(
                session_id=thread_id,
                messages=messages,
                created_at=(times[0] if times else None) or begun or 0,
                updated_at=times[-1] if times else begun,
                name=thread["name"],
                model=turns[-1]["model"] if turns else None,
                origin={"from": "llm"},
            )

    def _turn(self, turn: Any, passed: set[str]) -> Iterator[Spoken]:
        """What a turn added: the messages up to its last one that no earlier turn had."""
        chain, place = list[Any](), turn["tip_message_hash"]
        while place is not None and place not in passed:
            passed.add(place)
            found = self._rows("messages", "hash = ?", place)
            if not found:
                raise LayoutError(
                    f"{self._address}: conversation {turn['thread_id']} has lost a message"
                )
            chain.append(found[0])
            place = found[0]["parent_hash"]
        moment = epoch(turn["datetime_utc"])
        messages = [one for row in reversed(chain) for one in self._message(row, moment)]
        if messages and messages[-1].role == "assistant":
            messages[-1].model, messages[-1].tokens = turn["model"], _tokens(turn)
        yield from messages

    def _message(self, row: Any, moment: int | None) -> Iterator[Spoken]:
        """One, but each result of a tool by itself."""
        words, reasoning = list[str](), list[str]()
        calls, media = list[dict[str, Any]](), list[Any]()
        for part in self._rows("parts", "message_hash = ?", row["hash"], order="position"):
            payload = _payload(part)
            if part["type"] == "tool_result":
                yield _result(payload, moment)
            elif part["type"] == "tool_call":
                arguments = codec.line(payload.get("arguments") or {})
                call_id = payload.get("tool_call_id") or f"call_{part['id']}"
                calls.append(call(str(payload.get("name")), arguments, call_id))
            elif part["type"] == "attachment":
                media += self._attachments("part_attachments", "part_id", part["id"])
            else:
                said = reasoning if part["type"] == "reasoning" else words
                said.append(self._text(part, payload))
        content = "\n".join(filter(None, words))
        if content or calls or media or row["role"] == "assistant":
            one = Spoken(
                role=row["role"],
                content=content,
                reasoning="\n".join(filter(None, reasoning)) or None,
                tool_calls=calls,
                created_at=moment,
            )
            yield _with_media(one, media)

    def _text(self, part: Any, payload: dict[str, Any]) -> str:
        """Its own, or of the fragments and words it is put together from."""
        if part["text"] is not None:
            return str(part["text"])
        said = list[str]()
        for piece in payload.get("text_ref") or ():
            if isinstance(piece.get("literal"), str):
                said.append(piece["literal"])
            else:
                found = self._rows("fragments", "id = ?", piece.get("fragment"))
                said += [one["content"] for one in found]
        return "".join(said)


def _payload(part: Any) -> dict[str, Any]:
    if not part["payload"]:
        return {}
    try:
        value = codec.decode(part["payload"])
    except CodecError as error:
        raise LayoutError(f"part {part['id']} of llm's log is damaged: {error.message}") from error
    return value if isinstance(value, dict) else {}


def _result(payload: dict[str, Any], moment: int | None) -> Spoken:
    return Spoken(
        role="tool",
        content=str(payload.get("output") or ""),
        tool_call_id=payload.get("tool_call_id"),
        tool_name=payload.get("name"),
        failed=bool(payload.get("exception")),
        created_at=moment,
    )


def _value(row: Any, name: str) -> Any:
    """None where this version of the log has no such column."""
    return row[name] if name in row.keys() else None  # noqa: SIM118 - a Row is no mapping


def _tokens(row: Any) -> dict[str, int]:
    given, made = row["input_tokens"], row["output_tokens"]
    if given is None and made is None:
        return {}
    given, made = given or 0, made or 0
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}


def _with_media(one: Spoken, attachments: list[Any]) -> Spoken:
    """A file that only its path tells of is named, as it may be another one by now."""
    media, words = dict[str, list[dict[str, Any]]](), [one.content or ""]
    for row in attachments:
        mime = row["type"] or ""
        kind = {"image": "images", "audio": "audio", "video": "videos"}.get(mime.partition("/")[0])
        item: dict[str, Any] = {"mime_type": mime} if mime else {}
        if row["content"] is not None:
            item["content"] = b64encode(bytes(row["content"])).decode("ascii")
        elif row["url"]:
            item["url"] = row["url"]
        else:
            words.append(f"[attached: {row['path'] or 'file'}]")
            continue
        media.setdefault(kind or "files", []).append(item)
    one.media, one.content = media, "\n".join(filter(None, words))
    return one
