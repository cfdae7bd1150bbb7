"""Conversations as Chat Completions takes them, a line each: `{"messages": [...]}`, fit for fine-tuning.

What the model was asked and answered, and no more: turns that failed, were stopped or replaced, members' parts of a
team's turn and repeated history are left out, as are calls without a result. The last word is the assistant's; a
session in which it never spoke has no line. Reasoning and times have no place in this form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.formats.pages import PlainPage
from agnocli.layout.derive import HIDDEN_STATUSES
from agnocli.layout.media import Media
from agnocli.layout.spoken import plainly
from agnocli.messages import Message, ToolCall, data
from agnocli.records import Run, SessionBundle

_LEFT_OUT = {*HIDDEN_STATUSES, "RUNNING", "PENDING"}
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


def new_page() -> OpenAIPage:
    return OpenAIPage()


class OpenAIPage(PlainPage):
    def session(self, bundle: SessionBundle) -> Iterator[str]:
        """Nothing when there is no answer to learn from. Pieces come turn by turn."""
        begun, waiting, system = False, list[dict[str, Any]](), None
        for run in bundle.runs:
            for message in _turn(run):
                if message["role"] == "system":
                    if message["content"] == system:
                        continue
                    system = message["content"]
                waiting.append(message)
                if _is_answer(message):
                    yield (", " if begun else '{"messages": [') + _list(waiting)
                    begun, waiting = True, []
        if begun:
            yield "]}\n"


def _is_answer(message: dict[str, Any]) -> bool:
    return message["role"] == "assistant" and "tool_calls" not in message


def _list(messages: Iterable[dict[str, Any]]) -> str:
    return ", ".join(map(codec.line, messages))


def _whole(text: str) -> str:
    """Without halves of surrogate pairs, which strict readers refuse."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _turn(run: Run) -> Iterator[dict[str, Any]]:
    if run.parent_run_id is not None or run.status in _LEFT_OUT:
        return
    try:
        said = list(plainly(run, data(run)))
    except CodecError:
        return
    answered = {message.tool_call_id for message, _ in said if message.role == "tool"}
    asked = set[str | None]()
    for message, media in said:
        calls = [one for one in message.tool_calls if one.id in answered]
        asked.update(one.id for one in calls)
        if message.role == "tool":
            if message.tool_call_id in asked:
                yield _result(message)
        elif calls:
            yield {**_message(message, ()), "tool_calls": [*map(_call, calls)]}
        elif message.content or media:
            yield _message(message, media)


def _message(message: Message, media: tuple[Media, ...]) -> dict[str, Any]:
    """Content as parts only where there is a picture."""
    role, pictures = _ROLES.get(message.role, "assistant"), list(_pictures(media))
    if role != "user" or not pictures:
        return {"role": role, "content": _whole(message.content)}
    words = [{"type": "text", "text": _whole(message.content)}] if message.content else []
    return {"role": role, "content": [*words, *pictures]}


def _pictures(media: tuple[Media, ...]) -> Iterator[dict[str, Any]]:
    for one in media:
        url = one.web_url if one.kind == "image" else ""
        if (picture := one.picture()) is not None:
            url = f"data:{picture[0]};base64,{one.data}"
        if url:
            yield {"type": "image_url", "image_url": {"url": url}}


def _result(message: Message) -> dict[str, Any]:
    return {
        "role": "tool",
        "tool_call_id": message.tool_call_id,
        "content": _whole(message.content),
    }


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": _whole(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}
