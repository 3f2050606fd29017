"""Attributes of an HDF5 object: texts and numbers; texts of any length stand in a global heap.

Sections IV.A.2 (attribute) and III.E (global heap).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.hdf5.cursors import DAMAGED, Cursor
from atari_zoo.converters.hdf5.objects import HEAPED, SHARED, Hdf5File, Message
from atari_zoo.converters.hdf5.types import Hdf5Type, data_shape, data_type

ATTRIBUTE = 0x000C
MOST = 100_000  # texts in one


def object_attributes(file: Hdf5File, messages: list[Message]) -> dict[str, Any]:
    """By name: a text, a list of texts, or an array; those of other types are left out.

    Raises ConversionError if they are damaged.
    """
    found = {}
    for message in messages:
        if message.kind == ATTRIBUTE:
            name, value = _attribute(file, message.body)
            if value is not None:
                found[name] = value
    return found


def _attribute(file: Hdf5File, body: Cursor) -> tuple[str, Any]:
    version, flags = body.number(1), body.number(1)
    sizes = [body.number(2) for _ in range(3)]
    if version not in (1, 2, 3):
        raise ConversionError(DAMAGED)
    body.take(1 if version == 3 else 0)
    step = 8 if version == 1 else 1
    parts = []
    for size in sizes:
        parts.append(body.take(size))
        body.take(-size % step)
    name = parts[0].partition(b"\0")[0].decode("utf-8", "replace")
    if version > 1 and flags & (SHARED | 1):
        return name, None
    kind, shape = (Cursor(part, 0, body.offsets, body.lengths) for part in parts[1:])
    try:
        return name, _value(file, body, data_type(kind), data_shape(shape))
    except ConversionError as error:
        raise ConversionError(f"attribute {name[:60]!a}: {error}") from error


def _value(file: Hdf5File, body: Cursor, kind: Hdf5Type, shape: tuple[int, ...]) -> Any:
    count = math.prod(shape)
    if count > MOST or count * kind.size > body.left:
        raise ConversionError(DAMAGED)
    if kind.numbers is not None:
        return np.frombuffer(body.take(count * kind.size), kind.numbers).reshape(shape)
    texts = [_text(file, body, kind) for _ in range(count)]
    return texts if shape else texts[0]


def _text(file: Hdf5File, body: Cursor, kind: Hdf5Type) -> str:
    if not kind.elsewhere:
        raw = body.take(kind.size).partition(b"\0")[0]
    else:
        size, address, number = body.number(4), body.offset(), body.number(4)
        raw = _from_heap(file, address, number, size) if size and address is not None else b""
    file.spend(len(raw), "a text")
    return raw.decode("utf-8", "replace")


def _from_heap(file: Hdf5File, address: int, number: int, most: int) -> bytes:
    if address not in file.heaps:
        file.heaps[address] = dict(_heap(file, address))
    if number not in file.heaps[address]:
        raise ConversionError(DAMAGED)
    place, size = file.heaps[address][number]
    return file.cursor.at(place).take(min(size, most))


def _heap(file: Hdf5File, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Of each text its number, and its place and size. Heaps that overlap have too many."""
    here = file.cursor.at(address)
    here.expect(b"GCOL")
    here.take(4)
    end = address + here.length()
    while here.place + HEAPED <= end:
        file.heaped -= 1
        if file.heaped < 0:
            raise ConversionError(DAMAGED)
        index = here.number(2)
        here.take(6)
        size = here.length()
        if index == 0:  # the space that is left
            break
        yield index, (here.place, size)
        here = here.at(here.place + size + -size % 8)
