"""Steps that wait until a chunk of a recording is full, and how they get to the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import zarr
from zarr.core.sync import sync

from atari_zoo.recordings.arrays import layout
from atari_zoo.recordings.chunks import COMPACT, LONG, array_of, new_array
from atari_zoo.recordings.header import Header


class Buffers:
    """The chunk that is being filled of every array of a recording.

    filled: how many of the `chunk` steps that come next on the disk are there.

    On the disk the arrays are as long as their longest chunks until `trim` is called: what counts
    is how many steps the recording says it has.
    """

    def __init__(self, group: zarr.Group, header: Header) -> None:
        self.filled = 0
        self._group, self._header = group, header
        self._start = 0  # where `filled` counts from
        self._arrays: dict[str, zarr.Array[Any]] = {}
        self._rows: dict[str, np.ndarray] = {}

    @property
    def full(self) -> bool:
        return self.filled == self._header.chunk

    @property
    def steps(self) -> int:
        """How many there are, those on the disk counted."""
        return self._start + self.filled

    def fill(self, rows: Mapping[str, np.ndarray]) -> Iterator[None]:
        """Takes steps in; stops each time that the buffers are full, to have them written."""
        if not self._rows:
            for name, array in rows.items():
                self._take(name, new_array(self._group, name, array, self._header))
        done, total = 0, len(rows["starts"])
        while done < total:
            some = min(self._header.chunk - self.filled, total - done)
            for name, array in rows.items():
                place = self._begun(name) + self.filled
                self._rows[name][place : place + some] = array[done : done + some]
            done, self.filled = done + some, self.filled + some
            if self.full:
                yield

    def write(self) -> None:
        """Writes the steps; raises OSError where that fails."""
        if not self.filled:
            return
        for name, rows in self._rows.items():
            rows[self._begun(name) + self.filled :] = 0  # what the chunk before left there
            self._lengthen(self._arrays[name])
        sync(self._write_chunks())

    def empty(self) -> None:
        """Begins the next chunk; this one was full, and written."""
        self._start, self.filled = self.steps, 0

    def trim(self) -> None:
        """Cuts the arrays to the steps that there are."""
        for array in self._arrays.values():
            if array.shape[0] != self.steps:
                with zarr.config.set(COMPACT):
                    array.resize((self.steps, *array.shape[1:]))

    def reopen(self, checked: zarr.Group, start: int, stop: int) -> None:
        """Takes up the steps from `start`, a chunk's first, to `stop`; cuts off what is behind.

        checked: the group again, whose damaged chunks are told of.
        """
        self._start, self.filled = start, stop - start
        for name in self._header.arrays:
            array = array_of(self._group, name)
            self._take(name, array)
            first = start - self._begun(name)
            self._rows[name][: stop - first] = array_of(checked, name)[first:stop]
        self.trim()

    def _lengthen(self, array: zarr.Array[Any]) -> None:
        long = self._header.chunk * LONG
        ahead = -(-self.steps // long) * long
        if array.shape[0] < ahead:
            with zarr.config.set(COMPACT):
                array.resize((ahead, *array.shape[1:]))

    async def _write_chunks(self) -> None:
        """All arrays' at once: one after another would take a fifth more of the processor."""
        writing = []
        for name, rows in self._rows.items():
            first = self._start - self._begun(name)
            part = slice(first, first + len(rows))
            writing.append(self._arrays[name].async_array.setitem(part, rows))
        for failed in await asyncio.gather(*writing, return_exceptions=True):
            if failed is not None:
                raise failed

    def _begun(self, name: str) -> int:
        """How many rows of the array's chunk are written: small arrays have longer chunks."""
        return self._start % len(self._rows[name])

    def _take(self, name: str, array: zarr.Array[Any]) -> None:
        self._arrays[name] = array
        self._header.arrays[name] = array.dtype.name
        how = layout(name)
        if how.apart:  # each environment's in one place, as it is packed
            shape = (array.shape[1], array.chunks[0], *array.shape[2:])
            self._rows[name] = np.empty(shape, array.dtype).swapaxes(0, 1)
        else:
            self._rows[name] = np.empty((array.chunks[0], *array.shape[1:]), array.dtype)
