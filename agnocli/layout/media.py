"""What came along with a message: pictures, sound, files."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import msgspec

KINDS = {"images": "image", "audio": "audio", "videos": "video", "files": "file"}
_DATA_URL = re.compile(r"data:([^;,]*)[^,]*;base64,", re.IGNORECASE)
_PICTURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)
_WEB = re.compile(r"https?://", re.IGNORECASE)


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """`data` is base64 as it is stored, `text` a text file's words or what was said in a recording."""

    kind: str
    name: str = ""
    mime: str = ""
    data: str = ""
    url: str = ""
    text: str = ""

    @property
    def web_url(self) -> str:
        """Where it is, if that is on the web."""
        return self.url if _WEB.match(self.url) else ""

    def content(self) -> bytes:
        """Empty when it is not base64."""
        try:
            return b64decode(self.data, validate=True)
        except ValueError:
            return b""

    def picture(self) -> tuple[str, bytes] | None:
        """MIME type by content, and content, if it is a PNG, JPEG, GIF or WebP."""
        if self.kind != "image" or not self.data:
            return None
        content = self.content()
        found = (mime for pattern, mime in _PICTURES if pattern.match(content))
        return next(((mime, content) for mime in found), None)


def media(holder: Mapping[str, Any]) -> Iterator[Media]:
    """Of a message, a run or an input, by Agno's lists; and of the parts of a message's content."""
    for key, kind in KINDS.items():
        stored = holder.get(key)
        for one in stored if isinstance(stored, list) else ():
            if isinstance(one, dict):
                yield _of_agno(kind, one)
    for key in ("response_audio", "audio_output"):
        if isinstance(one := holder.get(key), dict):
            yield _of_agno("audio", one)
    content = holder.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and (found := _of_part(part)) is not None:
            yield found


def _of_agno(kind: str, item: Mapping[str, Any]) -> Media:
    url, content = _text(item.get("url")), _text(item.get("content"))
    mime = _text(item.get("mime_type"))
    names = ("filename", "name", "filepath", "alt_text")
    name = next(filter(None, map(_text, map(item.get, names))), "")
    if inline := _DATA_URL.match(url):
        mime, content, url = mime or inline[1], url[inline.end() :], ""
    if kind == "file" and mime.startswith("text/"):
        return Media(kind=kind, name=name, mime=mime, url=url, text=content)
    said = _text(item.get("transcript"))
    return Media(kind=kind, name=name, mime=mime, url=url, data=content, text=said)


def is_picture(part: Mapping[str, Any]) -> bool:
    """Whether a part of a message's content is a picture."""
    return _of_part(part) is not None


def as_stored(picture: Media) -> dict[str, Any]:
    """As Agno keeps a picture that came with a message."""
    held = {"mime_type": picture.mime, "format": picture.mime.rpartition("/")[2]}
    named = {"alt_text": picture.name} if picture.name else {}
    return {"id": str(uuid4()), **held, **named, "content": picture.data}


def _of_part(part: Mapping[str, Any]) -> Media | None:
    """Chat Completions' form of a picture."""
    held = part.get("image_url")
    url = held.get("url") if isinstance(held, dict) else held
    if part.get("type") not in ("image_url", "input_image") or not isinstance(url, str):
        return None
    return _of_agno("image", {"url": url})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
