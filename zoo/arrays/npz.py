"""The arrays of an `.npz` file, rows read when asked for and never more than those.

The format is a zip archive of `.npy` files: numpy/lib/_format_impl.py. Nothing is unpickled.
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from atari_zoo.arrays.zip_members import zip_members
from atari_zoo.arrays.zip_streams import ZipStream
from atari_zoo.converters.archives.npy import HEADER, npy_header
from atari_zoo.converters.errors import ConversionError, naming

CHUNK = 8 << 20  # bytes that are inflated at once where rows are passed over
LONGEST = 1 << 40  # of an axis


class NpzArray:
    """One array of an `.npz` file: `array[100:200]` reads those rows alone.

    `array[7]` is a row, `array[:]` or `np.asarray(array)` the whole, `array[::10]` every tenth.
    shape, dtype: as its header tells. What is read is a copy.
    """

    def __init__(self, member: ZipStream) -> None:
        self._member = member
        self.shape, self.dtype, self._offset = _header(member)
        self._row = math.prod(self.shape[1:]) * self.dtype.itemsize
        told = self._offset + math.prod(self.shape) * self.dtype.itemsize
        if told != member.size:
            raise ConversionError(
                f"'{member.name}' says {self.shape} of {self.dtype}, {told} bytes, but has "
                f"{member.size}"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        if isinstance(rows, slice):
            return self._sliced(*rows.indices(len(self)))
        row = range(len(self))[rows]  # raises IndexError
        return self._read(row, row + 1)[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """The rows from `start` to `stop`, a few MiB at a time."""
        first, last, _ = slice(start, stop).indices(len(self))
        rows = max(1, CHUNK // max(self._row, 1))
        for at in range(first, last, rows):
            yield self._read(at, min(at + rows, last))

    def _sliced(self, start: int, stop: int, step: int) -> np.ndarray:
        if step == 1:
            return self._read(start, max(start, stop))
        wanted = range(start, stop, step)
        if step < 0:
            return self._sliced(wanted[-1], wanted[0] + 1, -step)[::-1] if wanted else self[:0]
        rows = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        for index, row in enumerate(wanted):
            rows[index] = self._read(row, row + 1)[0]
        return rows

    def _read(self, start: int, stop: int) -> np.ndarray:
        rows = np.empty((stop - start, *self.shape[1:]), self.dtype)
        if rows.size:
            content = rows.reshape(-1).view(np.uint8).data
            with naming(self._member.path):
                self._member.read_into(self._offset + start * self._row, content)
        return rows


def npz_arrays(path: Path, names: Collection[str]) -> dict[str, NpzArray]:
    """Those of the arrays called `names` that are there; only their headers are read.

    Raises ConversionError, naming the file, if it is no `.npz` file, is damaged, or has arrays
    of objects, of texts or in Fortran's order.
    """
    members = zip_members(path)
    with naming(path):
        return {
            name: NpzArray(members[f"{name}.npy"]) for name in names if f"{name}.npy" in members
        }


def _header(member: ZipStream) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type, and where the data begin."""
    start = bytearray(min(member.size, HEADER + 12))
    member.read_into(0, memoryview(start))
    file = io.BytesIO(start)
    try:
        shape, fortran, dtype = npy_header(file)
    except Exception as error:  # the header is a Python literal, which fails in many ways
        raise ConversionError(f"'{member.name}' is no .npy file, or a damaged one") from error
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ConversionError(f"'{member.name}' holds {dtype}: numbers were expected")
    if fortran:
        raise ConversionError(f"'{member.name}' is in Fortran's order: save it in C's")
    if not all(type(size) is int and 0 <= size <= LONGEST for size in shape) or not shape:
        raise ConversionError(f"'{member.name}' has the shape {shape}")
    return shape, dtype, file.tell()
