"""Arrays in .npy files and in archives of them, .npz (numpy/lib/_format_impl.py); read in order."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from atari_zoo.converters.archives.zips import Archive
from atari_zoo.converters.errors import ConversionError

HEADER = 10_000  # bytes; NumPy's own limit for headers that may be trusted
LONGEST = 1 << 40  # of an axis


def npy_header(file: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and type of a .npy file; it is left at its numbers.

    Raises any exception where it is damaged: the header is a Python literal.
    """
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    return read(file, max_header_size=HEADER)


class NpzArray:
    """One array of an .npz archive, of numbers. shape, dtype: as its header tells.

    Raises ConversionError if it is damaged, or of objects, of texts or in Fortran's order.
    """

    def __init__(self, archive: Archive, name: str) -> None:
        self._archive, self._name = archive, f"{name}.npy"
        with archive.opened(self._name) as file:
            self.shape, self.dtype, self._start = self._header(io.BytesIO(file.read(HEADER + 12)))
        expected = self._start + math.prod(self.shape) * self.dtype.itemsize
        if expected != (size := archive.size(self._name)):
            raise ConversionError(
                f"'{self._name}' says {self.shape} of {self.dtype}, {expected} bytes, but has "
                f"{size}"
            )

    def pieces(self, rows: int) -> Iterator[np.ndarray]:
        """All rows in order, so many at a time; the checksum is compared at the end.

        Raises ConversionError where the archive is damaged.
        """
        with self._archive.opened(self._name) as file:
            file.read(self._start)
            for start in range(0, self.shape[0], rows):
                shape = (min(rows, self.shape[0] - start), *self.shape[1:])
                content = file.read(math.prod(shape) * self.dtype.itemsize)
                if len(content) != math.prod(shape) * self.dtype.itemsize:
                    raise ConversionError(f"'{self._name}' in the archive is cut short")
                yield np.frombuffer(content, self.dtype).reshape(shape)
            file.read(1)

    def _header(self, file: io.BytesIO) -> tuple[tuple[int, ...], np.dtype[Any], int]:
        """Shape, type, and where the numbers begin."""
        try:
            shape, fortran, dtype = npy_header(file)
        except Exception as error:  # the header is a Python literal, which fails in many ways
            raise ConversionError(f"'{self._name}' is no .npy file, or a damaged one") from error
        if dtype.hasobject or dtype.kind not in "biuf":
            raise ConversionError(f"'{self._name}' holds {dtype}: numbers were expected")
        if fortran:
            raise ConversionError(f"'{self._name}' is in Fortran's order: save it in C's")
        if not shape or not all(type(size) is int and 0 <= size <= LONGEST for size in shape):
            raise ConversionError(f"'{self._name}' has the shape {shape}")
        return shape, dtype, file.tell()
