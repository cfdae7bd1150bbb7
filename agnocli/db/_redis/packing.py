"""Commands to bytes, in pieces of about a megabyte or of one large text.

The driver makes pieces of 6,000 bytes and hands each to the system by itself. That is thousands of calls for a batch,
and after each of them a thread that reads ahead has its turn first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

PIECE, LARGE = 1_000_000, 16_000


class Packer:
    """As the driver's `command_packer`."""

    def pack(self, *arguments: Any) -> list[bytes]:
        # a command may be of two words, as CONFIG GET
        words = _raw(arguments[0]).split()
        count = b"*%d\r\n" % (len(words) + len(arguments) - 1)
        return list(_pieces([count], [*words, *map(_raw, arguments[1:])]))


def _raw(argument: Any) -> bytes:
    if isinstance(argument, bytes):
        return argument
    return argument.encode() if isinstance(argument, str) else str(argument).encode()


def _pieces(piece: list[bytes], arguments: list[bytes]) -> Iterator[bytes]:
    size = 0
    for argument in arguments:
        piece.append(b"$%d\r\n" % len(argument))
        if len(argument) > LARGE:  # goes as it is, not copied
            yield b"".join(piece)
            yield argument
            piece, size = [b"\r\n"], 0
            continue
        piece += (argument, b"\r\n")
        size += len(argument)
        if size > PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)
