"""ChatGPT's export: `conversations.json`, or the archive it came in.

A conversation is a tree, as questions are edited and answers asked for again; the branch that was last looked at is
taken, and how many messages stand on others is told in the metadata. Pictures and files are not in the export: a line
in their place names them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from agnocli import codec
from agnocli.errors import CodecError, FileFormatError
from agnocli.formats import text
from agnocli.formats.foreign.source import ForeignSource, decoded, documents, epoch
from agnocli.formats.foreign.turns import Conversation, Owner, Spoken, call
from agnocli.formats.source import InputFile

_ARCHIVE = b"PK\x03\x04"
_HIDDEN = "is_visually_hidden_from_conversation"


def open_source(path: str, owner: Owner) -> ChatGPTSource:
    return ChatGPTSource(path, owner)


class ChatGPTSource(ForeignSource):
    def __init__(self, path: str, owner: Owner) -> None:
        super().__init__(path, owner)
        self._input = InputFile(path)

    def conversations(self) -> Iterator[Conversation]:
        with self._input.open() as file:
            for part in _files(file, self.address):
                with part as found:
                    read = documents(text.blocks(found), self.address)
                    for number, (line, document) in enumerate(read, 1):
                        value = decoded(document, self.address, line)
                        yield _conversation(value, f"conversation {number}", self.address, line)

    def close(self) -> None:
        self._input.close()


def _files(file: BinaryIO, address: str) -> Iterator[Any]:
    file.seek(0)
    packed = file.read(len(_ARCHIVE)) == _ARCHIVE
    file.seek(0)
    if not packed:
        yield _kept_open(file)
        return
    with zipfile.ZipFile(file) as archive:
        names = [one for one in archive.namelist() if _is_conversations(one)]
        if not names:
            raise FileFormatError(address, 1, "the archive holds no conversations.json")
        for name in sorted(names):
            yield archive.open(name)


def _is_conversations(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.startswith("conversations") and last.endswith(".json")


@contextmanager
def _kept_open(file: BinaryIO) -> Iterator[BinaryIO]:
    yield file


def _conversation(value: Mapping[str, Any], which: str, address: str, line: int) -> Conversation:
    name = _text(value.get("title"))
    which = f"{which} ({name!r})" if name else which
    mapping = value.get("mapping")
    session_id = _text(value.get("conversation_id")) or _text(value.get("id"))
    if not isinstance(mapping, dict) or session_id is None:
        missing = "mapping" if session_id is not None else "id"
        raise FileFormatError(
            address,
            line,
            f"{which} has no {missing}",
            hint="give conversations.json of ChatGPT's export, or the archive it came in",
        )
    nodes = _branch(mapping, value.get("current_node"), which, address, line)
    messages = list(_messages(nodes))
    created = epoch(value.get("create_time")) or _first(messages) or 0
    others = sum(1 for one in mapping.values() if _is_message(one)) - sum(map(_is_message, nodes))
    return Conversation(
        session_id=session_id,
        messages=messages,
        created_at=created,
        updated_at=epoch(value.get("update_time")) or created,
        name=name,
        model=_text(value.get("default_model_slug")) or _last_model(messages),
        provider="OpenAI",
        origin={"from": "chatgpt", "messages_on_other_branches": others},
    )


def _first(messages: Iterable[Spoken]) -> int | None:
    return next((one.created_at for one in messages if one.created_at is not None), None)


def _last_model(messages: list[Spoken]) -> str | None:
    return next((one.model for one in reversed(messages) if one.model), None)


def _is_message(node: object) -> bool:
    message = node.get("message") if isinstance(node, dict) else None
    return isinstance(message, dict) and message.get("author", {}).get("role") in (
        "user",
        "assistant",
    )


def _branch(
    mapping: Mapping[str, Any], current: object, which: str, address: str, line: int
) -> list[Mapping[str, Any]]:
    """Nodes from the root to the one last looked at; to the newest leaf where that is not told."""
    place = current if current in mapping else _newest_leaf(mapping)
    found: list[Mapping[str, Any]] = []
    while isinstance(place, str) and isinstance(node := mapping.get(place), dict):
        if len(found) > len(mapping):
            raise FileFormatError(address, line, f"{which} goes round in a circle")
        found.append(node)
        place = node.get("parent")
    return found[::-1]


def _newest_leaf(mapping: Mapping[str, Any]) -> str | None:
    leaves = [
        key for key, node in mapping.items() if isinstance(node, dict) and not node.get("children")
    ]
    return max(leaves, key=lambda one: (_time(mapping[one]) or 0, one), default=None)


def _time(node: Mapping[str, Any]) -> int | None:
    message = node.get("message")
    return epoch(message.get("create_time")) if isinstance(message, dict) else None


def _messages(nodes: Iterable[Mapping[str, Any]]) -> Iterator[Spoken]:
    """Thoughts go along with the answer they led to."""
    reasoning, waiting = list[str](), list[str]()
    for node in nodes:
        message = node.get("message")
        if not isinstance(message, dict):
            continue
        content = message.get("content")
        content = content if isinstance(content, dict) else {}
        if content.get("content_type") == "thoughts":
            reasoning += _thoughts(content)
            continue
        one = _spoken(message, content, _time(node), waiting)
        if one is None:
            continue
        if one.role == "assistant" and reasoning:
            one.reasoning, reasoning = "\n\n".join(reasoning), []
        yield one


def _spoken(
    message: Mapping[str, Any], content: Mapping[str, Any], moment: int | None, waiting: list[str]
) -> Spoken | None:
    """None for what was never shown. `waiting` holds the ids of calls that have no result yet."""
    author, metadata = _object(message.get("author")), _object(message.get("metadata"))
    role, kind = _text(author.get("role")) or "", content.get("content_type")
    words = "\n".join(filter(None, [*_words(content), *_attached(metadata)]))
    if kind == "reasoning_recap" or not words:
        return None
    if kind == "user_editable_context":
        role = "system"
    elif metadata.get(_HIDDEN) or role not in ("system", "user", "assistant", "tool"):
        return None
    model = _text(metadata.get("model_slug"))
    recipient = _text(message.get("recipient")) or "all"
    if role == "assistant" and recipient != "all":
        call_id = _text(message.get("id")) or f"call_{len(waiting)}"
        waiting.append(call_id)
        made = call(recipient, _arguments(words), call_id)
        return Spoken(role=role, content="", tool_calls=[made], created_at=moment, model=model)
    if role == "tool":
        call_id = waiting.pop() if waiting else ""
        name = _text(author.get("name"))
        return Spoken(
            role=role,
            content=words,
            tool_call_id=call_id or _text(message.get("id")),
            tool_name=name,
            failed=kind == "system_error",
            created_at=moment,
        )
    return Spoken(role=role, content=words, created_at=moment, model=model)


def _arguments(words: str) -> str:
    """What a tool was given, as JSON."""
    try:
        return words if isinstance(codec.decode(words), dict) else codec.line({"input": words})
    except CodecError:
        return codec.line({"input": words})


def _thoughts(content: Mapping[str, Any]) -> Iterator[str]:
    for one in content.get("thoughts") or ():
        if isinstance(one, dict):
            parts = (_text(one.get("summary")), _text(one.get("content")))
            yield "\n".join(filter(None, parts))


def _words(content: Mapping[str, Any]) -> Iterator[str]:
    parts = content.get("parts")
    for part in parts if isinstance(parts, list) else ():
        yield part if isinstance(part, str) else _placeholder(part)
    names = ("text", "result", "user_profile", "user_instructions", "model_set_context")
    for name in names if not isinstance(parts, list) else ():
        if isinstance(found := content.get(name), str):
            yield found


def _placeholder(part: object) -> str:
    if not isinstance(part, dict):
        return ""
    if isinstance(said := part.get("text"), str):
        return said
    kind = str(part.get("content_type") or "attachment").removesuffix("_asset_pointer")
    pointer = _text(part.get("asset_pointer")) or ""
    return f"[{kind} {pointer.rpartition('/')[2]}]".replace(" ]", "]")


def _attached(metadata: Mapping[str, Any]) -> Iterator[str]:
    attachments = metadata.get("attachments")
    for one in attachments if isinstance(attachments, list) else ():
        if isinstance(one, dict):
            facts = (_text(one.get("mime_type") or one.get("mimeType")), one.get("size"))
            told = ", ".join(
                str(fact) if not isinstance(fact, int) else f"{fact:,} bytes"
                for fact in facts
                if fact
            )
            name = _text(one.get("name")) or "file"
            yield f"[attached: {name}{f' ({told})' if told else ''}]"


def _object(value: object) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
