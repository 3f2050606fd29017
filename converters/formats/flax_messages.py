"""flax's MessagePack: dicts of arrays, and settings beside them.

From flax/serialization.py: an array is extension 1 (shape, type's name, bytes), a complex number
extension 2, a scalar extension 3. Arrays above a gigabyte, which flax cuts up, are not read.
"""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles.arrays import checked_shape

ARRAY, COMPLEX, SCALAR = 1, 2, 3
TYPES = ("float16 float32 float64 bool int8 int16 int32 int64 uint8 uint16 uint32 uint64").split()
ITEMS = 4096  # in one list or dict: CleanRL has some 40 settings
OBJECTS = 20_000  # lists, dicts and arrays: an agent with its optimizer has about 100


def flax_message(content: bytes) -> Any:
    """What a message holds, with dicts, lists, plain values and NumPy's arrays.

    Raises ConversionError if it is damaged, too large, or holds another library's types.
    """
    limited = _Limited()
    try:
        return msgpack.unpackb(
            content,
            ext_hook=limited.extension,
            object_pairs_hook=limited.pairs,
            list_hook=limited.items,
            max_array_len=ITEMS,
            max_map_len=ITEMS,
        )
    except ConversionError:
        raise
    except Exception as error:  # msgpack raises ValueError and many others
        raise ConversionError("flax's file is cut short or damaged") from error


class _Limited:
    """Makes the objects of one message, and not more than `OBJECTS`."""

    def __init__(self) -> None:
        self.left = OBJECTS

    def pairs(self, pairs: Any) -> dict[str, Any]:
        self._count()
        return dict(pairs)  # msgpack takes strings and bytes alone as keys

    def items(self, items: Any) -> Any:
        self._count()
        return items

    def extension(self, code: int, content: bytes) -> Any:
        self._count()
        if code in (ARRAY, SCALAR):
            array = _array(content)
            return array if code == ARRAY else array[()]
        if code == COMPLEX:
            return complex(*msgpack.unpackb(content, max_array_len=2))
        raise ConversionError(f"extension {code} is none of flax's")

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ConversionError("flax's file has too many parts")


def _array(content: bytes) -> np.ndarray:
    shape, name, raw = msgpack.unpackb(content, max_array_len=64, max_map_len=0)
    if name not in TYPES:
        raise ConversionError(f"arrays of type {str(name)[:20]!a} are refused")
    dtype = np.dtype(name).newbyteorder("<")
    sizes = checked_shape(tuple(shape), dtype, raw)
    return np.frombuffer(raw, dtype).reshape(sizes)
