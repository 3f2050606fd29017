"""The codec of the first recordings, a codec of Zarr v3 (https://zarr-specs.readthedocs.io).

New ones have Zarr's own codecs (`recordings.chunks`); this one stays for a version, so that those
there are can be read and gone on with.

Of an array whose first axes are time it stores, in four or more parts, which elements differ from
those a moment before, and what they differ by:

1. elements as unsigned integers; with `difference`, each XOR the one a moment before (before the
   first moment all is 0), so that most are 0; floats are better stored without;
2. with `transpose`, the axis of time last, so that each element's history is in one place;
3. `packbits` (big-endian) of which are not 0;
4. those elements, first all their lowest bytes, then the next ones.

Part 3 and each byte of part 4 stand as a Zstandard frame (RFC 8878) after its length, uint32 in
little-endian order. Emulator screens become a third smaller than with Zstandard on the differences
themselves, in a fifth of the time, as it gets less to search.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs.zstd import Zstd
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.buffer import Buffer, NDBuffer
from zarr.registry import register_codec

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec

NAME = "atari_zoo.changes"
SPAN = 8  # moments that are looked at together; with 8, their bits fill whole bytes


@dataclass(frozen=True)
class Changes(ArrayBytesCodec):
    """The codec, as it stands in an array's `zarr.json`.

    time_axes: how many of the first axes, taken together, are time.
    difference, transpose: see above. level: of Zstandard; readers need not know it.
    """

    time_axes: int = 1
    difference: bool = True
    transpose: bool = False
    level: int = 9  # 15 would save 7 % of the bytes, for three times the time

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: Any) -> Changes:
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> Any:
        return {"name": NAME, "configuration": asdict(self)}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        raise NotImplementedError("how long the result is depends on the content")

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        content = await asyncio.to_thread(self.encoded, chunk_array.as_numpy_array())
        return chunk_spec.prototype.buffer.from_bytes(content)

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        array = await asyncio.to_thread(
            self.decoded,
            chunk_bytes.to_bytes(),
            chunk_spec.shape,
            chunk_spec.dtype.to_native_dtype(),
        )
        return chunk_spec.prototype.nd_buffer.from_numpy_array(array)

    def encoded(self, array: np.ndarray) -> bytes:
        """The bytes that stand for an array of any shape, of numbers or truths."""
        moments = math.prod(array.shape[: self.time_axes])
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        values = little.view(_unsigned(array.dtype)).reshape(moments, -1)
        spans = _differences(values) if self.difference else iter([values])
        if self.transpose:
            spans = iter([np.concatenate(list(spans)).T])
        bits, changed = zip(*(nonzero(span.ravel()) for span in spans), strict=True)
        planes = np.concatenate(changed).view(np.uint8).reshape(-1, array.dtype.itemsize).T
        parts = [np.concatenate(bits), *planes]
        packed = [Zstd(self.level).encode(np.ascontiguousarray(part)) for part in parts]
        return b"".join(struct.pack("<I", len(part)) + part for part in packed)

    def decoded(self, content: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """The array that `encoded` was given. Raises ValueError if these are no such bytes."""
        parts = _parts(content, 1 + dtype.itemsize)
        size, moments = math.prod(shape), math.prod(shape[: self.time_axes])
        places = places_of(inflated(parts[0], -(-size // 8)), size)
        values = np.empty((len(places), dtype.itemsize), np.uint8)
        for plane, part in enumerate(parts[1:]):
            values[:, plane] = inflated(part, len(places))
        flat = np.zeros(size, _unsigned(dtype))
        flat[places] = values.view(flat.dtype)[:, 0]
        rows = flat.reshape(-1, moments).T.copy() if self.transpose else flat.reshape(moments, -1)
        if self.difference:
            for before, row in pairwise(rows):  # faster than accumulate
                row ^= before
        return rows.view(dtype.newbyteorder("<")).reshape(shape).astype(dtype, copy=False)


def _differences(values: np.ndarray) -> Iterator[np.ndarray]:
    """By what each moment differs from the one before: some at a time, as caches are small."""
    for start in range(0, len(values), SPAN):
        span = values[start : start + SPAN].copy()
        if start:
            span[0] ^= values[start - 1]
        span[1:] ^= values[start : start + len(span) - 1]
        yield span


def _unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"<u{dtype.itemsize}")


def _parts(content: bytes, count: int) -> list[bytes]:
    parts: list[bytes] = []
    place = 0
    for _ in range(count):
        if place + 4 > len(content):
            raise ValueError(f"{len(content)} bytes end before part {len(parts)} of {count}")
        (length,) = struct.unpack_from("<I", content, place)
        parts.append(content[place + 4 : place + 4 + length])
        place += 4 + length
    if place != len(content):
        raise ValueError(f"{len(content)} bytes, of which {place} were expected")
    return parts


def inflated(part: bytes, size: int) -> np.ndarray:
    """What a Zstandard frame holds; never more than `size` bytes are made, whatever it claims.

    Raises ValueError if that is not what it holds.
    """
    out = np.empty(size, np.uint8)
    if size == 0:
        return out
    try:
        Zstd().decode(part, out)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"a part is no Zstandard frame of {size} bytes") from error
    return out


def nonzero(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which elements are not 0, as `packbits` has it, and those elements.

    Eight bytes are looked at together, so that what is zero is passed over fast.
    """
    if flat.dtype.itemsize > 1 or flat.size % 8:
        changed = flat != 0
        return np.packbits(changed), flat[changed]
    words = flat.view(np.uint64)
    some = np.flatnonzero(words != 0)
    elements = words[some].view(np.uint8).reshape(-1, 8)
    changed = elements != 0
    bits = np.zeros(len(words), np.uint8)
    bits[some] = np.packbits(changed, axis=1)[:, 0]
    return bits, elements[changed]


def places_of(bits: np.ndarray, size: int) -> np.ndarray:
    """Where the bits of `size` elements are set.

    Raises ValueError if one is set behind the end.
    """
    words = np.zeros(-(-len(bits) // 8) * 8, np.uint8)
    words[: len(bits)] = bits
    some = np.flatnonzero(words.view(np.uint64) != 0)
    set_bits = np.flatnonzero(np.unpackbits(words.reshape(-1, 8)[some]).view(bool))
    places = some[set_bits >> 6] * 64 + (set_bits & 63)
    if len(places) and places[-1] >= size:
        raise ValueError("a bit is set behind the end")
    return places


register_codec(NAME, Changes)
