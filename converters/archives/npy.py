"""The header of a .npy file: the array's shape, order and type (numpy/lib/_format_impl.py)."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

HEADER = 10_000  # bytes; NumPy's own limit for headers that may be trusted


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
