"""Chat Completions as JSON: examples for fine-tuning, and logs of requests with their answers.

A line (or an element of one array) is `{"messages": [...]}`; a request with `model` beside it; a log entry with
`request` and `response`, or a batch's `body`. Of a log that tells one conversation again with each request the longest
telling is taken. Where no time is told the file's own counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, BinaryIO

from agnocli import codec
from agnocli.errors import FileFormatError
from agnocli.formats import text
from agnocli.formats.foreign.source import ForeignSource, decoded, documents, epoch
from agnocli.formats.foreign.turns import Conversation, Owner, Spoken, call, made_id, picture
from agnocli.formats.source import STDIO, InputFile

_KNOWN_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def open_source(path: str, owner: Owner) -> OpenAISource:
    return OpenAISource(path, owner)


class OpenAISource(ForeignSource):
    def __init__(self, path: str, owner: Owner) -> None:
        super().__init__(path, owner)
        self._input = InputFile(path)
        self._begun = int(time.time())

    def conversations(self) -> Iterator[Conversation]:
        with self._input.open() as file:
            longer = self._retold(file)
            for line, entry in self._entries(file):
                if _digests(entry)[-1] not in longer:
                    yield self._conversation(entry, line, self._time_of(file))

    def close(self) -> None:
        self._input.close()

    def _entries(self, file: BinaryIO) -> Iterator[tuple[int, _Entry]]:
        file.seek(0)
        for line, document in documents(text.blocks(file), self.address):
            value = decoded(document, self.address, line)
            try:
                yield line, _Entry(value)
            except ValueError as error:
                raise FileFormatError(
                    self.address,
                    line,
                    str(error),
                    hint='each line holds {"messages": [{"role": …, "content": …}, …]}',
                ) from error

    def _retold(self, file: BinaryIO) -> set[bytes]:
        """Beginnings of logged conversations, which other entries tell to their end."""
        found: set[bytes] = set()
        for _, entry in self._entries(file):
            if entry.answer is not None:
                found.update(_digests(entry)[:-1])
        return found

    def _time_of(self, file: BinaryIO) -> int:
        return self._begun if self.address == STDIO else int(os.fstat(file.fileno()).st_mtime)

    def _conversation(self, entry: _Entry, line: int, now: int) -> Conversation:
        created = entry.created if entry.created is not None else now
        messages = [
            _spoken(one, number, self.address, line) for number, one in enumerate(entry.messages)
        ]
        messages[-1].tokens, messages[-1].model = entry.tokens, entry.model
        return Conversation(
            session_id=made_id("openai", _digests(entry)[-1].hex()),
            messages=messages,
            created_at=created,
            model=entry.model,
            provider="OpenAI",
            origin={"from": "openai", **entry.ids},
        )


class _Entry:
    """One line, whichever way it is written. ValueError when it is none of them."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        request = _inner(value, "request", "body") or value
        request = _inner(request, "body") or request
        response = _inner(value, "response") or value
        response = _inner(response, "body") or response
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            raise ValueError("holds no messages")
        for one in messages:
            if not isinstance(one, dict) or one.get("role") not in _KNOWN_ROLES:
                raise ValueError("has a message without a role that Chat Completions knows")
        self.answer = _answer(response)
        self.messages = [*messages, self.answer] if self.answer else messages
        self.model = _text(response.get("model")) or _text(request.get("model"))
        self.created = epoch(response.get("created") or value.get("created_at"))
        self.tokens = _tokens(response.get("usage"))
        ids = {"custom_id": value.get("custom_id"), "response_id": response.get("id")}
        self.ids = {name: one for name, one in ids.items() if isinstance(one, str)}


def _inner(value: Mapping[str, Any], *names: str) -> Mapping[str, Any] | None:
    return next((value[one] for one in names if isinstance(value.get(one), dict)), None)


def _answer(response: Mapping[str, Any]) -> dict[str, Any] | None:
    choices = response.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    return {"role": "assistant", **message} if isinstance(message, dict) else None


def _tokens(usage: object) -> dict[str, int]:
    if not isinstance(usage, dict):
        return {}
    names = {
        "prompt_tokens": "input_tokens",
        "completion_tokens": "output_tokens",
        "total_tokens": "total_tokens",
    }
    found = {ours: usage.get(theirs) for theirs, ours in names.items()}
    return {name: number for name, number in found.items() if isinstance(number, int)}


def _digests(entry: _Entry) -> list[bytes]:
    """Of the conversation up to each message and with it."""
    running, found = blake2b(digest_size=16), []
    for one in entry.messages:
        said = [one.get("role"), one.get("content"), one.get("tool_calls"), one.get("tool_call_id")]
        running.update(codec.encode(said) + b"\n")
        found.append(running.digest())
    return found


def _spoken(message: Mapping[str, Any], number: int, address: str, line: int) -> Spoken:
    role, legacy = str(message["role"]), message.get("function_call")
    if isinstance(legacy, dict):
        calls = [
            call(_text(legacy.get("name")) or "function", _arguments(legacy), _legacy_id(number))
        ]
    else:
        calls = [_call(one, number) for one in message.get("tool_calls") or ()]
    content, media = _content(message.get("content"), f"{address}, line {line}")
    call_id = message.get("tool_call_id")
    if role == "function":
        role, call_id = "tool", _legacy_id(number - 1)
    return Spoken(
        # Agno's name for it, whatever the model is told
        role="system" if role == "developer" else role,
        content=content if content is not None or not calls else "",
        reasoning=_text(message.get("reasoning_content")) or _text(message.get("reasoning")),
        tool_calls=calls,
        tool_call_id=_text(call_id) if role == "tool" else None,
        tool_name=_text(message.get("name")) if role == "tool" else None,
        media=media,
    )


def _legacy_id(number: int) -> str:
    """Functions had no ids: the result stands behind its call."""
    return f"call_{number}"


def _call(item: object, number: int) -> dict[str, Any]:
    item = item if isinstance(item, dict) else {}
    function = item.get("function")
    function = function if isinstance(function, dict) else {}
    name = _text(function.get("name")) or "tool"
    return call(name, _arguments(function), _text(item.get("id")) or f"call_{number}")


def _arguments(function: Mapping[str, Any]) -> str:
    given = function.get("arguments", "{}")
    return given if isinstance(given, str) else codec.line(given)


def _content(content: object, place: str) -> tuple[str | None, dict[str, list[dict[str, Any]]]]:
    """Words, and media as Agno keeps them."""
    if content is None or isinstance(content, str):
        return content, {}
    words, media = list[str](), dict[str, list[dict[str, Any]]]()
    for part in content if isinstance(content, list) else [content]:
        kind, item = _part(part)
        if isinstance(item, str):
            words.append(item)
        else:
            media.setdefault(kind, []).append(item)
    return "\n".join(words), media


def _part(part: object) -> tuple[str, str | dict[str, Any]]:
    """The list it belongs to, and what belongs there; text belongs to none."""
    if not isinstance(part, dict):
        return "", part if isinstance(part, str) else codec.line(part)
    for name in ("text", "refusal", "input_text"):
        if isinstance(part.get(name), str):
            return "", part[name]
    image, audio, file = (part.get(name) for name in ("image_url", "input_audio", "file"))
    url = image.get("url") if isinstance(image, dict) else image
    if isinstance(url, str):
        return "images", picture(url)
    if isinstance(audio, dict) and isinstance(audio.get("data"), str):
        return "audio", {"content": audio["data"], "format": audio.get("format")}
    if isinstance(file, dict) and isinstance(file.get("file_data"), str):
        return "files", {**picture(file["file_data"]), "filename": file.get("filename")}
    return "", f"[{part.get('type', 'attachment')}]"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
