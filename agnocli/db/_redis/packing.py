"""Commands to bytes, in chunks of about a megabyte or of one large text.

The driver makes chunks of 6,000 bytes and hands each to the system by itself. That is thousands of calls for a batch,
and after each of them a thread that reads ahead has its turn first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

CHUNK, LARGE = 1_000_000, 16_000
Pieces = tuple[bytes, ...]
"""An argument in pieces, which are one after the other."""


class Packer:
    """As the driver's `command_packer`; takes arguments in pieces as well."""

    def pack(self, *arguments: Any) -> list[bytes]:
        # a command may be of two words, as CONFIG GET
        words = whole(_raw(arguments[0])).split()
        count = b"*%d\r\n" % (len(words) + len(arguments) - 1)
        return list(_sent([count], [*words, *map(_raw, arguments[1:])]))


def whole(argument: bytes | Pieces) -> bytes:
    return argument if isinstance(argument, bytes) else b"".join(argument)


def _raw(argument: Any) -> bytes | Pieces:
    if isinstance(argument, bytes | tuple):
        return argument
    return argument.encode() if isinstance(argument, str) else str(argument).encode()


def _sent(sent: list[bytes], arguments: list[bytes | Pieces]) -> Iterator[bytes]:
    size = 0
    for argument in arguments:
        pieces = argument if isinstance(argument, tuple) else (argument,)
        sent.append(b"$%d\r\n" % sum(map(len, pieces)))
        for piece in pieces:
            if len(piece) > LARGE:  # goes as it is, not copied
                yield b"".join(sent)
                yield piece
                sent, size = [], 0
            else:
                sent.append(piece)
                size += len(piece)
        sent.append(b"\r\n")
        if size > CHUNK:
            yield b"".join(sent)
            sent, size = [], 0
    yield b"".join(sent)
