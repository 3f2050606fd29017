"""Steps that wait until a chunk of a recording is full, and how they get to the disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import zarr

from atari_zoo.recording_chunks import array_of, new_array
from atari_zoo.recording_head import Head


class Buffers:
    """One chunk of every array of a recording, of which the first `filled` steps are there."""

    def __init__(self, group: zarr.Group, of: Head) -> None:
        self.filled = 0
        self._group, self._head = group, of
        self._arrays: dict[str, zarr.Array[Any]] = {}
        self._rows: dict[str, np.ndarray] = {}

    @property
    def full(self) -> bool:
        return self.filled == self._head.chunk

    def fill(self, rows: Mapping[str, np.ndarray]) -> Iterator[None]:
        """Takes steps in; stops each time that the buffers are full, to have them written."""
        if not self._rows:
            for name, array in rows.items():
                self._take(name, new_array(self._group, name, array, self._head))
        done, total = 0, len(rows["starts"])
        while done < total:
            some = min(self._head.chunk - self.filled, total - done)
            for name, array in rows.items():
                self._rows[name][self.filled : self.filled + some] = array[done : done + some]
            done, self.filled = done + some, self.filled + some
            if self.full:
                yield

    def write(self, start: int) -> None:
        """Writes the steps, which are those from `start` on."""
        if not self.filled:
            return
        for name, array in self._arrays.items():
            array.resize((start + self.filled, *array.shape[1:]))
            array[start:] = self._rows[name][: self.filled]

    def reopen(self, checked: zarr.Group, start: int, stop: int) -> None:
        """Takes up the steps from `start` to `stop`, and cuts off what is behind them.

        checked: the group again, whose damaged chunks are told of.
        """
        for name in self._head.arrays:
            array = array_of(self._group, name)
            self._take(name, array)
            self._rows[name][: stop - start] = array_of(checked, name)[start:stop]
            array.resize((stop, *array.shape[1:]))
        self.filled = stop - start

    def _take(self, name: str, array: zarr.Array[Any]) -> None:
        self._arrays[name] = array
        self._head.arrays[name] = array.dtype.name
        self._rows[name] = np.empty((self._head.chunk, *array.shape[1:]), array.dtype)
