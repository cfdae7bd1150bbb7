"""Bytes of a file as blocks of text, and text as pieces between tabs and line ends."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from zlib import _Decompress as _Member

GZIP = b"\x1f\x8b"
BLOCK = 2**18
_WINDOW = 31
"""zlib's word for: in gzip's wrapping, with no name and no time in it."""


def pack(text: bytes) -> bytes:
    """One gzip member. The same text gives the same bytes."""
    return zlib.compress(text, 1, _WINDOW)


def unpack(member: bytes) -> bytes:
    return zlib.decompress(member, _WINDOW)


def unpacker() -> _Member:
    return zlib.decompressobj(_WINDOW)


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """Text from where the file stands, unpacked if it is gzip. EOFError, zlib.error when it is damaged."""
    read = raw_blocks(file)
    first = next(read, b"")
    whole = chain([first], read)
    return _unpacked(whole) if first.startswith(GZIP) else whole


def raw_blocks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(BLOCK), b"")


def _unpacked(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Members one behind another; what can be read of a damaged one comes before the error."""
    member = unpacker()
    begun = False
    for block in packed:
        while block:
            yield from _some(member, block)
            begun = True
            block = member.unconsumed_tail
            if member.eof:
                block, begun = member.unused_data, False
                member = unpacker()
    if begun:
        yield member.flush()
        raise EOFError


def _some(member: _Member, block: bytes) -> Iterator[bytes]:
    saved = member.copy()
    try:
        yield member.decompress(block, BLOCK)
    except zlib.error:
        for place in range(len(block)):
            yield saved.decompress(block[place : place + 1])
        raise


def pieces(text: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Each with the tab or line end behind it; the last one, with nothing behind it, may be empty."""
    held: list[bytes] = []
    for block in text:
        start, tab, line = 0, block.find(b"\t"), block.find(b"\n")
        while (end := min(tab, line) if tab >= 0 <= line else max(tab, line)) >= 0:
            held.append(block[start:end])
            yield b"".join(held), block[end : end + 1]
            held, start = [], end + 1
            if end == tab:
                tab = block.find(b"\t", start)
            else:
                line = block.find(b"\n", start)
        held.append(block[start:])
    yield b"".join(held), b""
