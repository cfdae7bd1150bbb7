"""What a file is, by how it begins."""

from __future__ import annotations

import re

from agnocli.errors import FileFormatError
from agnocli.formats.json import JSON
from agnocli.formats.jsonl import JSONL
from agnocli.formats.shape import FORMAT, HEAD, VERSION, Shape

BOM = b"\xef\xbb\xbf"
_OURS = re.compile(
    rb'\s*\{\s*"format"\s*:\s*"%b"\s*,\s*"version"\s*:\s*(\d+)\s*(,\s*"kind"\s*:\s*"quarantine")?'
    % FORMAT.encode()
)
_FOREIGN = (
    (rb"SQLite format 3\0", "is an SQLite database; name it as sqlite:///PATH"),
    (rb"\s*\{\s*\"messages\"\s*:", "is an export for OpenAI, which holds too little to come back"),
    (rb"\s*\[\s*\{\s*\"(title|mapping)\"\s*:", "is an export of ChatGPT"),
    (rb"\s*[{\[]", "is JSON of another kind"),
    (rb"\s*$", "is empty"),
    (rb"", "is no session file of agnocli"),
)


def shape_of(beginning: bytes, address: str, *, edited: bool = False) -> Shape | None:
    """How an untouched file lies; None where people may have changed it. FileFormatError for anything else."""
    text = beginning.removeprefix(BOM)
    found = _OURS.match(text)
    if found is None:
        raise _foreign(beginning, address)
    _check_version(int(found[1]), address)
    if edited or found[2]:
        return None
    for shape in (JSON, JSONL):
        if beginning.startswith(shape.header + b"\n") or beginning == shape.header:
            return shape
    if len(beginning) < len(JSON.header) and JSON.header.startswith(beginning):
        return JSON
    raise FileFormatError(
        address, 1, _how_edited(beginning), hint="read it all the same with --edited"
    )


def _check_version(version: int, address: str) -> None:
    if version > VERSION:
        raise FileFormatError(
            address,
            1,
            f"was written by a newer agnocli (format version {version})",
            hint="update agnocli to read it",
        )
    if version != VERSION:
        raise FileFormatError(address, 1, f"there is no format version {version}")


def _how_edited(beginning: bytes) -> str:
    if beginning.startswith(BOM):
        return "an editor put a byte order mark in front"
    if b"\r\n" in beginning:
        return "an editor changed the line ends to CRLF"
    return "was laid out anew since it was written, so that its checksums prove nothing"


def _foreign(beginning: bytes, address: str) -> FileFormatError:
    if beginning and HEAD.startswith(beginning):
        return FileFormatError(address, 1, "the file is cut off here")
    text = beginning.removeprefix(BOM)
    reason = next(reason for pattern, reason in _FOREIGN if re.match(pattern, text))
    return FileFormatError(
        address,
        1,
        reason,
        hint="session files are what agno migrate and agno sessions export write",
    )
