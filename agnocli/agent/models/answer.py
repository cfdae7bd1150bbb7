"""What a server sends, whole or in chunks, as model events."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from agnocli import codec
from agnocli.abc import ModelEvent, ModelFinished, ReasoningDelta, TextDelta
from agnocli.messages import text


class MalformedError(Exception):
    """Not what Chat Completions look like. The message says what is wrong."""


class ReportedError(Exception):
    """The server sent an error object where an answer was due."""

    def __init__(self, body: object) -> None:
        super().__init__(codec.line(body))
        self.body = body


class Answer:
    """Puts one answer together. `started` once anything of it has come."""

    def __init__(self) -> None:
        self.started = False
        self._reason: str | None = None
        self._usage: Mapping[str, Any] = {}
        self._calls: list[dict[str, Any]] = []
        self._places: dict[object, int] = {}

    def whole(self, completion: object) -> Iterator[ModelEvent]:
        yield from self._take(completion, "message")

    def chunk(self, chunk: object) -> Iterator[ModelEvent]:
        yield from self._take(chunk, "delta")

    def finished(self) -> ModelFinished:
        if not self.started:
            raise MalformedError("an empty stream")
        read = _number(self._usage, "prompt_tokens")
        written = _number(self._usage, "completion_tokens")
        return ModelFinished(
            reason=self._reason,
            input_tokens=read,
            output_tokens=written,
            total_tokens=_number(self._usage, "total_tokens") or read + written,
            tool_calls=tuple(_complete(call) for call in self._calls),
        )

    def _take(self, data: object, part: str) -> Iterator[ModelEvent]:
        data = _object(data, "an answer that is no JSON object")
        if error := data.get("error"):
            raise ReportedError(error)
        if isinstance(usage := data.get("usage"), dict):
            self._usage = usage
        choices = data.get("choices")
        if not isinstance(choices, list) and (part == "message" or choices is not None):
            raise MalformedError("an answer without choices")
        self.started = True
        for choice in (choices or ())[:1]:
            choice = _object(choice, "a choice that is no JSON object")
            yield from self._said(_object(choice.get(part) or {}, f"a {part} that is no object"))
            if reason := choice.get("finish_reason"):
                self._reason = str(reason)

    def _said(self, message: Mapping[str, Any]) -> Iterator[ModelEvent]:
        reasoning, content = _split(message.get("content"))
        reasoning = _text(message, "reasoning_content", "reasoning") or reasoning
        if reasoning:
            yield ReasoningDelta(reasoning)
        if content := content + _text(message, "refusal"):
            yield TextDelta(content)
        for fragment in message.get("tool_calls") or ():
            self._merge(_object(fragment, "a tool call that is no JSON object"))

    def _merge(self, fragment: Mapping[str, Any]) -> None:
        """A fragment belongs to the call of its index, but a new id always starts a new call."""
        place = self._places.get(fragment.get("index"), len(self._calls) - 1)
        call_id, index = fragment.get("id"), fragment.get("index")
        known = self._calls[place] if place >= 0 else None
        starts = known is None or bool(call_id and known["id"] and call_id != known["id"])
        if starts or (index is not None and index not in self._places):
            known = {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
            self._calls.append(known)
            self._places[index] = len(self._calls) - 1
        assert known is not None
        _extend(known, fragment)


def _extend(call: dict[str, Any], fragment: Mapping[str, Any]) -> None:
    function = _object(fragment.get("function") or {}, "a tool call without a function")
    arguments = function.get("arguments")
    if arguments is not None and not isinstance(arguments, str):
        arguments = codec.line(arguments)
    target = call["function"]
    target["name"] = target["name"] or str(function.get("name") or "")
    target["arguments"] += arguments or ""
    call["id"] = call["id"] or fragment.get("id")
    # some providers want their own members back with the call, as Google its thought signature
    known = ("index", "id", "function", "type")
    call.update({name: value for name, value in fragment.items() if name not in known})


def _complete(call: dict[str, Any]) -> dict[str, Any]:
    return {**call, "id": str(call["id"] or f"call_{uuid.uuid4().hex}")}


def _object(value: object, otherwise: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError(otherwise)
    return value


def _number(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0


def _text(message: Mapping[str, Any], *names: str) -> str:
    values = (message.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), "")


def _split(content: object) -> tuple[str, str]:
    """Reasoning and text; a content may be text or a list of parts, some of them `thinking`."""
    if not isinstance(content, list):
        return "", text(content)
    parts = [one if isinstance(one, dict) else {"type": "text", "text": one} for one in content]
    thought = [text(one.get("thinking")) for one in parts if one.get("type") == "thinking"]
    spoken = [text([one]) for one in parts if one.get("type") != "thinking"]
    return "".join(thought), "".join(spoken)
