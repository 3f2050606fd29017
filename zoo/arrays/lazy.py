"""Arrays that are read, or worked out, when they are indexed, and no more of them than that.

`array[1200]`, `array[100:200, 0]`, `array[::10, :, :84]` and `array[[3, 1, 4]]` read those steps
and environments; `np.asarray(array)` reads the whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Index = Any  # what NumPy takes within brackets, but for masks of several axes


class LazyArray(ABC):
    """Looks like a NumPy array of (steps, envs, ...) that is only to be read."""

    @property
    @abstractmethod
    def shape(self) -> tuple[Any, ...]: ...

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]: ...

    @abstractmethod
    def rows(self, steps: Index, envs: Index) -> np.ndarray:
        """The rows of some steps and environments: numbers, slices or lists of numbers."""

    def __getitem__(self, index: Index) -> np.ndarray:
        steps, envs, *rest = _expanded(index, self.ndim)
        if isinstance(steps, int | np.integer):
            steps = range(self.shape[0])[steps]  # raises IndexError
        rows = self.rows(steps, envs)
        return rows if all(r == slice(None) for r in rest) else rows[(..., *rest)]

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[step] for step in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)


Rows = np.ndarray | LazyArray


class Derived(LazyArray):
    """What a function makes of another array's rows, once they are asked for.

    function: of rows to rows, whatever axes there are before them. row, dtype: of what it makes.
    """

    def __init__(
        self,
        source: Rows,
        function: Callable[[np.ndarray], np.ndarray],
        row: tuple[int, ...],
        dtype: DTypeLike = np.uint8,
    ) -> None:
        self._source, self._function, self._row = source, function, row
        self._dtype = np.dtype(dtype)

    @property
    def shape(self) -> tuple[Any, ...]:
        return (*self._source.shape[:2], *self._row)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    def rows(self, steps: Index, envs: Index) -> np.ndarray:
        if isinstance(self._source, LazyArray):
            return self._function(self._source.rows(steps, envs))
        return self._function(self._source[steps][(slice(None),) * _kept(steps) + (envs,)])


class OneEnvironment(LazyArray):
    """An array of steps alone, such as those of `.npz` files, as that of one environment."""

    def __init__(self, array: Any) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[Any, ...]:
        return (len(self._array), 1, *self._array.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    def rows(self, steps: Index, envs: Index) -> np.ndarray:
        if not isinstance(steps, int | slice):
            picked = [self._array[int(step)] for step in np.arange(len(self))[steps]]
            rows = np.stack(picked) if picked else self._array[:0]
        else:
            rows = self._array[steps]
        apart = np.expand_dims(rows, _kept(steps))
        return apart[(slice(None),) * _kept(steps) + (envs,)]


class FirstRows(LazyArray):
    """The first steps of another array."""

    def __init__(self, source: LazyArray, steps: int) -> None:
        self._source, self._steps = source, steps

    @property
    def shape(self) -> tuple[Any, ...]:
        return (min(self._steps, len(self._source)), *self._source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._source.dtype

    def rows(self, steps: Index, envs: Index) -> np.ndarray:
        if isinstance(steps, slice):
            first, stop, by = steps.indices(len(self))
            # going backwards, a stop before the first step is written as none
            return self._source.rows(slice(first, stop if stop >= 0 else None, by), envs)
        wanted = np.arange(len(self))[steps]
        return self._source.rows(wanted if wanted.ndim else int(wanted), envs)


def _kept(steps: Index) -> int:
    return 0 if isinstance(steps, int | np.integer) else 1


def _expanded(index: Index, ndim: int) -> list[Index]:
    """One entry for each axis."""
    parts = list(index) if isinstance(index, tuple) else [index]
    places = [place for place, part in enumerate(parts) if part is Ellipsis]
    if len(parts) - len(places) > ndim or len(places) > 1:
        raise IndexError(f"{len(parts)} indices, but the array has {ndim} axes")
    place = places[0] if places else len(parts)
    after = parts[place + 1 :]
    return parts[:place] + [slice(None)] * (ndim - place - len(after)) + after
