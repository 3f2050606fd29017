"""The codec of recordings does what its description says, and refuses what is damaged."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from numcodecs.zstd import Zstd

from atari_zoo.arrays.changes import Changes


def plainly_decoded(content: bytes, shape: tuple[int, ...], codec: Changes, dtype) -> np.ndarray:
    """The codec's docstring, one element after the other."""
    parts = []
    while content:
        (length,) = struct.unpack("<I", content[:4])
        parts.append(Zstd().decode(content[4 : 4 + length]) if length else b"")
        content = content[4 + length :]
    size, itemsize = int(np.prod(shape)), np.dtype(dtype).itemsize
    bits = [parts[0][i // 8] >> (7 - i % 8) & 1 for i in range(size)]
    planes = [iter(part) for part in parts[1:]]
    assert len(planes) == itemsize
    values = [sum(next(p) << 8 * i for i, p in enumerate(planes)) if bit else 0 for bit in bits]
    moments = int(np.prod(shape[: codec.time_axes]))
    rows = np.array(values, f"<u{itemsize}")
    rows = rows.reshape(-1, moments).T if codec.transpose else rows.reshape(moments, -1)
    for moment in range(1, moments) if codec.difference else ():
        rows[moment] = rows[moment] ^ rows[moment - 1]
    return np.ascontiguousarray(rows).view(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("time_axes, transpose", [(1, False), (1, True), (3, False), (3, True)])
@pytest.mark.parametrize("difference", [False, True])
def test_the_codec_is_as_described(dtype, time_axes, transpose, difference):
    random = np.random.default_rng(time_axes)
    array = (
        random.integers(-3, 4, (5, 1, 2, 3, 7)) * random.integers(0, 2, (5, 1, 2, 3, 7))
    ).astype(dtype)
    codec = Changes(time_axes, difference, transpose)
    content = codec.encoded(array)
    for decoded in (
        codec.decoded(content, array.shape, array.dtype),
        plainly_decoded(content, array.shape, codec, dtype),
    ):
        assert decoded.dtype == array.dtype
        np.testing.assert_array_equal(decoded.view(np.uint8), array.view(np.uint8))


@pytest.mark.parametrize("shape", [(1, 1, 5), (1, 1, 1), (70, 1, 65), (2, 1, 2, 210, 160)])
def test_the_codec_takes_any_size(shape):
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    for codec in (Changes(), Changes(3), Changes(transpose=True), Changes(difference=False)):
        got = codec.decoded(codec.encoded(array), shape, array.dtype)
        np.testing.assert_array_equal(got, array)


def test_the_codec_refuses_damage():
    codec, shape = Changes(), (4, 1, 100)
    content = codec.encoded(np.random.default_rng(2).integers(0, 9, shape, np.uint8))
    bomb = b"".join(
        struct.pack("<I", len(part)) + part for part in [Zstd().encode(bytes([255]) * 10**7)] * 2
    )
    damaged = [content[:-1], content + b"x", content[:3], b"", b"\xff" * 40, bomb]
    damaged += [content[:i] + bytes([content[i] ^ 64]) + content[i + 1 :] for i in (0, 4, 5, 9)]
    beyond = b"".join(struct.pack("<I", len(p)) + p for p in map(Zstd().encode, [b"\xff" * 3] * 2))
    with pytest.raises(ValueError, match="a bit is set behind the end"):
        codec.decoded(beyond, (3, 1, 7), np.dtype(np.uint8))
    for bad in damaged:
        with pytest.raises(ValueError, match=r"bytes|a bit is set"):
            codec.decoded(bad, shape, np.dtype(np.uint8))
