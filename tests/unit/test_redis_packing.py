"""Commands as they go to a Redis server, beside those of the driver."""

from __future__ import annotations

from typing import Any

import pytest
from redis._parsers import Encoder
from redis.connection import PythonRespSerializer

from agnocli.db._redis.packing import CHUNK, LARGE, Packer, Pieces, whole

SIZES = (0, 1, LARGE, LARGE + 1, CHUNK + 1)
SHAPES = [(), *((one,) for one in SIZES), *((one, two, 5) for one in SIZES for two in SIZES)]
ENCODER: Any = Encoder
DRIVER: Any = PythonRespSerializer(6000, ENCODER("utf-8", "strict", decode_responses=False).encode)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_argument_in_pieces_is_sent_as_the_driver_sends_it_whole(shape: tuple[int, ...]) -> None:
    pieces: Pieces = tuple(bytes([65 + place]) * size for place, size in enumerate(shape))
    given = ("CONFIG SET", b"before", pieces, "ü", pieces, 17, b"")
    wholly = [whole(one) if isinstance(one, tuple) else one for one in given]
    expected = b"".join(DRIVER.pack(*wholly))
    assert b"".join(Packer().pack(*given)) == b"".join(Packer().pack(*wholly)) == expected


def test_what_is_large_is_not_copied_and_what_is_small_goes_together() -> None:
    large, small = b"x" * (LARGE + 1), b"y" * LARGE
    packed = Packer().pack("MSETNX", *[b"key", (b"{", large, b"}")] * 100)
    assert sum(one is large for one in packed) == 100
    number = 2 * CHUNK // LARGE
    packed = Packer().pack("MSETNX", large * 200, *[b"key", (b"{", small, b"}")] * number)
    assert len(packed) == 4
    assert max(map(len, packed[2:])) < CHUNK + 2 * LARGE
