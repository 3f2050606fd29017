"""Zarr arrays indexed along their first axis as NumPy's are, backwards too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import zarr


class StoredArray:
    """An array on disk: `array[100:200]` reads those rows alone.

    `array[7]` is a row, `array[:]` or `np.asarray(array)` the whole, `array[::10]` every tenth.
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self.shape, self.dtype = tuple(array.shape), array.dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        if isinstance(rows, slice):
            return sliced(rows, len(self), lambda forwards: np.asarray(self._array[forwards]))
        return np.asarray(self._array[range(len(self))[rows]])  # raises IndexError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)

    def pieces(self) -> Iterator[np.ndarray]:
        """All rows in order, a chunk of them at a time."""
        rows = self._array.chunks[0]
        return (self[start : start + rows] for start in range(0, len(self), rows))


def sliced(rows: slice, length: int, read: Callable[[slice], np.ndarray]) -> np.ndarray:
    """What `read` gives of a slice, which Zarr takes only forwards and within the array."""
    wanted = range(length)[rows]
    ordered = wanted if wanted.step > 0 else wanted[::-1]
    found = read(slice(ordered.start, max(ordered.stop, ordered.start), ordered.step))
    return found if wanted.step > 0 else found[::-1]
