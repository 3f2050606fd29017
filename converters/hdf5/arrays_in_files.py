"""Arrays of an HDF5 file: whole, or in chunks that may be compressed (sections IV.A.2, III.A.1).

Data in other files, and filters that only a plug-in knows, are refused.
"""

from __future__ import annotations

import math
import zlib
from itertools import product
from typing import NamedTuple

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.hdf5.cursors import DAMAGED, IN_ITSELF, Cursor
from atari_zoo.converters.hdf5.objects import SHARED, Hdf5File, Message
from atari_zoo.converters.hdf5.types import data_shape, data_type

SPACE, TYPE, EXTERNAL, LAYOUT, FILTERS = 0x0001, 0x0003, 0x0007, 0x0008, 0x000B
DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3
CHUNKS = 100_000


class ArrayLayout(NamedTuple):
    """Where the numbers are. kind: 0 in the header itself, 1 in a row, 2 in chunks."""

    kind: int
    inside: bytes = b""
    address: int | None = None
    size: int = 0
    chunk: tuple[int, ...] = ()


def is_data_set(messages: list[Message]) -> bool:
    """Whether an object holds an array."""
    return any(message.kind == LAYOUT for message in messages)


def data_set(file: Hdf5File, messages: list[Message]) -> np.ndarray:
    """Its numbers, in the machine's order.

    Raises ConversionError if they are no numbers, or its shape does not account for its bytes.
    """
    parts = {message.kind: message for message in messages}
    if EXTERNAL in parts:
        raise ConversionError("its numbers are in another file: refused")
    if not {SPACE, TYPE, LAYOUT} <= parts.keys() or parts[TYPE].flags & SHARED:
        raise ConversionError("data of a type that has a name of its own, or none: refused")
    kind, shape = data_type(parts[TYPE].body), data_shape(parts[SPACE].body)
    if kind.numbers is None:
        raise ConversionError("texts where numbers were expected")
    size = math.prod(shape) * kind.size
    layout = _layout(parts[LAYOUT].body)
    if layout.kind < 2 and size > max(layout.size, len(layout.inside)):
        raise ConversionError(f"the shape {shape} is not what its {layout.size} bytes hold")
    file.spend(size, f"an array {shape}")
    if layout.kind == 2:
        filters = _filters(parts[FILTERS].body) if FILTERS in parts else []
        return _from_chunks(file, layout, filters, kind.numbers, shape)
    raw = layout.inside
    if layout.kind == 1 and size:
        if layout.address is None:
            raise ConversionError("an array whose numbers were never written")
        raw = file.cursor.at(layout.address).take(size)
    return _native(np.frombuffer(raw, kind.numbers, math.prod(shape)).reshape(shape))


def _layout(body: Cursor) -> ArrayLayout:
    version = body.number(1)
    if version in (1, 2):
        rank, kind = body.number(1), body.number(1)
        body.take(5)
        address = body.offset() if kind else None
        sizes = tuple(body.number(4) for _ in range(rank))
        if kind == 2:
            return ArrayLayout(2, address=address, chunk=sizes)
        if kind == 1:  # whose sizes are the shape's; how many bytes there are is not told
            return ArrayLayout(1, address=address, size=1 << 62)
        return ArrayLayout(0, body.take(body.number(4)))
    if version not in (3, 4):
        raise ConversionError(DAMAGED)
    kind = body.number(1)
    if kind == 0:
        return ArrayLayout(0, body.take(body.number(2)))
    if kind == 1:
        return ArrayLayout(1, address=body.offset(), size=body.length())
    if kind != 2 or version == 4:
        raise ConversionError(
            "an array in chunks of HDF5's newest kind, or a virtual one; write it without "
            "libver='latest'"
        )
    rank = body.number(1)
    return ArrayLayout(2, address=body.offset(), chunk=tuple(body.number(4) for _ in range(rank)))


def _filters(body: Cursor) -> list[tuple[int, list[int]]]:
    """What was done to each chunk when it was written: the filter's number and its settings."""
    version, count = body.number(1), body.number(1)
    body.take(6 if version == 1 else 0)
    found = []
    for _ in range(count):
        number = body.number(2)
        length = body.number(2) if version == 1 or number >= 256 else 0
        body.take(2)
        values = body.number(2)
        body.take(length + (-length % 8 if version == 1 else 0))
        settings = [body.number(4) for _ in range(values)]
        body.take(4 if version == 1 and values % 2 else 0)
        if number not in (DEFLATE, SHUFFLE, CHECKSUM):
            raise ConversionError(
                f"an array with HDF5's filter {number}; write it without, or gzip"
            )
        found.append((number, settings))
    return found


def _from_chunks(
    file: Hdf5File,
    layout: ArrayLayout,
    filters: list[tuple[int, list[int]]],
    dtype: np.dtype,  # type: ignore[type-arg]
    shape: tuple[int, ...],
) -> np.ndarray:
    chunk = layout.chunk[:-1]  # the last is the size of a number
    if len(chunk) != len(shape) or 0 in chunk or layout.address is None:
        raise ConversionError("an array whose chunks are damaged, or were never written")
    counts = [-(-size // part) for size, part in zip(shape, chunk, strict=True)]
    size = math.prod(chunk) * dtype.itemsize
    if math.prod(counts) > CHUNKS or size > 2 * max(math.prod(shape) * dtype.itemsize, 1 << 20):
        raise ConversionError(f"an array {shape} in chunks of {chunk}: damaged")
    file.spend(size * math.prod(counts), "an array's chunks")
    found = {place: (at, length, mask) for place, at, length, mask in _chunks(file, layout)}
    made = np.empty(shape, dtype)
    for index in product(*(range(count) for count in counts)):
        place = tuple(i * part for i, part in zip(index, chunk, strict=True))
        if place not in found:
            raise ConversionError(f"the array's chunk at {place} is missing")
        at, length, mask = found[place]
        raw = _unfiltered(file.cursor.at(at).take(length), filters, mask, size)
        block = np.frombuffer(raw, dtype).reshape(chunk)
        within = tuple(slice(p, min(p + c, n)) for p, c, n in zip(place, chunk, shape, strict=True))
        made[within] = block[tuple(slice(0, s.stop - s.start) for s in within)]
    return _native(made)


def _chunks(file: Hdf5File, layout: ArrayLayout) -> list[tuple[tuple[int, ...], int, int, int]]:
    """Of each chunk its place in the array, its address, its bytes, and the filters left out."""
    found: list[tuple[tuple[int, ...], int, int, int]] = []
    queue, seen = [layout.address], set[int]()
    while queue:
        address = queue.pop()
        if address is None:
            raise ConversionError(DAMAGED)
        if address in seen:
            raise ConversionError(IN_ITSELF)
        if max(len(seen), len(queue) + len(found)) > CHUNKS:
            raise ConversionError("an array in more chunks than its shape has: damaged")
        seen.add(address)
        here = file.cursor.at(address)
        here.expect(b"TREE\x01")
        level, count = here.number(1), here.number(2)
        here.take(2 * here.offsets)
        for _ in range(count):
            length, mask = here.number(4), here.number(4)
            place = tuple(here.number(8) for _ in layout.chunk)[:-1]
            child = here.offset()
            if level:
                queue.append(child)
            elif child is not None:
                found.append((place, child, length, mask))
    return found


def _unfiltered(raw: bytes, filters: list[tuple[int, list[int]]], mask: int, size: int) -> bytes:
    for position, (number, settings) in reversed(list(enumerate(filters))):
        if mask >> position & 1:
            continue
        if number == CHECKSUM:
            raw = raw[:-4]
        elif number == DEFLATE:
            inflater = zlib.decompressobj()
            try:
                raw = inflater.decompress(raw, size + 4)
            except zlib.error as error:
                raise ConversionError(DAMAGED) from error
        else:
            width = settings[0] if settings else 0
            if not 0 < width <= 64 or len(raw) % width:
                raise ConversionError(DAMAGED)
            raw = np.frombuffer(raw, np.uint8).reshape(width, -1).T.tobytes()
    if len(raw) != size:
        raise ConversionError(f"a chunk of {len(raw)} bytes, where {size} were expected")
    return raw


def _native(array: np.ndarray) -> np.ndarray:
    return np.array(array, array.dtype.newbyteorder("="), order="C")
