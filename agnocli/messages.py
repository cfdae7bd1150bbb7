"""Read-only views into `run_data`: what was said in a turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from agnocli import codec
from agnocli.records import Run


class ToolCall(msgspec.Struct, frozen=True):
    """What an assistant asked for; `arguments` is the JSON text the model wrote."""

    id: str | None
    name: str
    arguments: str


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the provider counted them; 0 where it did not say."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `created_at` is epoch seconds; `content` is the text of all its text parts."""

    role: str
    content: str = ""
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    tool_call_error: bool = False
    from_history: bool = False
    created_at: int | None = None
    usage: Usage = Usage()
    attachments: tuple[str, ...] = ()
    """What came along: `image`, `file notes.pdf`."""


def messages(run: Run) -> Iterator[Message]:
    """The messages of a turn in order; entries that are not objects are left out."""
    return map(view, stored(run))


def stored(run: Run) -> Iterator[dict[str, Any]]:
    """The same as they are stored."""
    return (one for one in _items(data(run).get("messages")) if isinstance(one, dict))


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def data(run: Run) -> dict[str, Any]:
    """`run_data` as a dict; empty when it holds something else. Raises CodecError."""
    return codec.members(run.run_data)


def view(item: dict[str, Any]) -> Message:
    return Message(
        role=str(item.get("role", "")),
        content=text(item.get("content")),
        reasoning=item.get("reasoning_content"),
        tool_calls=tuple(
            _tool_call(one) for one in _items(item.get("tool_calls")) if isinstance(one, dict)
        ),
        tool_call_id=item.get("tool_call_id"),
        tool_name=item.get("tool_name"),
        tool_call_error=bool(item.get("tool_call_error")),
        from_history=bool(item.get("from_history")),
        created_at=item.get("created_at"),
        usage=usage(item.get("metrics")),
        attachments=tuple(attachments(item)),
    )


_MEDIA = {"images": "image", "audio": "audio", "videos": "video", "files": "file"}


def attachments(item: dict[str, Any]) -> Iterator[str]:
    """One word for each of a message's or an input's media, with its file name where it has one."""
    for key, kind in _MEDIA.items():
        for one in _items(item.get(key)):
            if isinstance(one, dict):
                names = map(one.get, ("filename", "name", "alt_text", "url"))
                name = next(filter(None, names), None)
                yield f"{kind} {name}" if isinstance(name, str) else kind


def text(content: object) -> str:
    """The words of a message's content, which may be text, a list of parts, an object or nothing."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, (_part(part) for part in content)))
    return codec.line(content)


def _part(part: object) -> str:
    if isinstance(part, dict):
        kind = part.get("type", "object")
        return part["text"] if isinstance(part.get("text"), str) else f"[{kind}]"
    return text(part)


def _tool_call(item: dict[str, Any]) -> ToolCall:
    function = item.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    return ToolCall(
        id=item.get("id"),
        name=str(function.get("name", "")),
        arguments=arguments if isinstance(arguments, str) else codec.line(arguments),
    )


def usage(metrics: object) -> Usage:
    if not isinstance(metrics, dict):
        return Usage()
    fields = {name: metrics.get(name) for name in Usage.__struct_fields__}
    return Usage(**{name: value for name, value in fields.items() if isinstance(value, int)})
