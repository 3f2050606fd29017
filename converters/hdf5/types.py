"""Types and shapes of an HDF5 file's numbers and texts (section IV.A.2: datatype, dataspace)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.hdf5.cursors import Cursor

AXES = 8
LONGEST = 1 << 40  # an axis
INTEGER, FLOAT, TEXT, ENUM, VARIABLE = 0, 1, 3, 8, 9


@dataclass(frozen=True)
class Hdf5Type:
    """numbers: of integers and floats; None for texts. size: bytes of one.

    elsewhere: its texts stand in a heap, and here is where.
    """

    numbers: np.dtype | None  # type: ignore[type-arg]
    size: int
    elsewhere: bool = False


def data_type(body: Cursor) -> Hdf5Type:
    """Raises ConversionError if it is one that neither weights nor settings have."""
    first = body.number(1)
    bits, size = body.number(3), body.number(4)
    match first & 15:
        case 0 if size in (1, 2, 4, 8):
            order = ">" if bits & 1 else "<"
            return Hdf5Type(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"), size)
        case 1 if size in (2, 4, 8):
            return Hdf5Type(np.dtype(f"{'>' if bits & 1 else '<'}f{size}"), size)
        case 3 if 0 < size < 1 << 20:
            return Hdf5Type(None, size)
        case 8:  # h5py's booleans: names for small integers
            return data_type(body)
        case 9 if bits & 15 == 1:
            return Hdf5Type(None, size, elsewhere=True)
    raise ConversionError(f"HDF5 data of a type that weights do not have (class {first & 15})")


def data_shape(body: Cursor) -> tuple[int, ...]:
    """The axes; () of a single number. Raises ConversionError if they are too many or too long."""
    version, rank, _ = (body.number(1) for _ in range(3))
    body.take(5 if version == 1 else 1)
    if rank > AXES or version not in (1, 2):
        raise ConversionError(f"HDF5 data on {rank} axes: damaged")
    shape = tuple(body.length() for _ in range(rank))
    if any(size > LONGEST for size in shape) or math.prod(n or 1 for n in shape) > LONGEST:
        raise ConversionError(f"HDF5 data of the shape {shape}: damaged")
    return shape
