"""Chunks of a recording's arrays as Zarr stores them: their codecs, and how they are read.

All codecs are Zarr's own, so that any Zarr opens a recording. What changes little from step to step
is stored with time as the last axis, each element's history in one place, which Zstandard then
packs well. Seaquest, 2,500 steps of random play in one environment, without representations
(`benchmarks/recordings.py --codecs`, processor time):

    codecs of the screens             MiB   the original's .npz   play and record   one frame
    Zstandard 9                     0.465                 15.0 x     1.15 of play      2.2 ms
    Blosc, Zstandard 5, shuffle     0.481                 14.5       1.17              2.2
    Blosc, Zstandard 5, bitshuffle  0.525                 13.3       1.17              5.3
    16 steps a chunk in shards      0.511                 13.7       1.24              4.6
    time last, Zstandard 8          0.342                 20.4          -              2.6
    time last, Zstandard 9          0.342                 20.4       1.20              2.7
    time last, Zstandard 10         0.326                 21.5       1.19              2.6
    time last, Zstandard 12         0.317                 22.1       1.34              2.6
    time last, Delta, Zstandard 9   0.323                 21.7       1.17             14.3
    `arrays.changes`, the first     0.250                 28.0       1.17              3.0

Level 8 makes the bytes of level 9 in nine tenths of its time. Delta is in no specification of
Zarr's, and slow to read. fc takes 0.213 MiB with time last, 0.184 with the first codec, 0.234 with
Blosc's shuffle.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, TransposeCodec, ZstdCodec

from atari_zoo.arrays.lazy import Index, LazyArray
from atari_zoo.arrays.stored import sliced
from atari_zoo.converters.errors import ConversionError
from atari_zoo.recordings.arrays import layout
from atari_zoo.recordings.header import Header

LEVEL = 8  # of Zstandard
LONG = 64  # chunks of those that small arrays keep in one file
MEMORY = 8  # chunks of steps that arrays of all environments, such as RAM, keep in one file
COMPACT = {"json_indent": None}  # of Zarr's settings: a small recording is mostly metadata
CONFIG: Any = {"write_empty_chunks": True}  # so that a chunk that is missing was lost


def new_array(group: zarr.Group, name: str, rows: np.ndarray, header: Header) -> zarr.Array[Any]:
    """Makes the array called `name`, still without steps, for such `rows` as these."""
    how = layout(name)
    settings = how.changes or {}
    time = settings.get("time_axes", 1)
    last = TransposeCodec(order=(*range(time, rows.ndim), *range(time)))
    steps = header.chunk * (1 if how.apart else MEMORY if how.changes else LONG)
    with zarr.config.set(COMPACT):
        return group.create_array(
            name,
            shape=(0, *rows.shape[1:]),
            chunks=(steps, 1 if how.apart else header.envs, *rows.shape[2:]),
            dtype=rows.dtype,
            filters=[last] if how.changes else (),
            serializer=BytesCodec(),
            compressors=[ZstdCodec(level=settings.get("level", LEVEL)), Crc32cCodec()],
            fill_value=0,
            dimension_names=("step", "env", *(None for _ in rows.shape[2:])),
            config=CONFIG,
            chunk_key_encoding={"name": "default", "separator": "."},  # folders cost time, too
            overwrite=True,
        )


def array_of(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """The array of that name. Raises ConversionError if it is none."""
    try:
        found = group[name]
    except KeyError:
        found = None
    if not isinstance(found, zarr.Array):
        raise ConversionError(f"{group.store}: '{name}' is missing")
    return found.with_config(CONFIG)


class ZarrRows(LazyArray):
    """An array of a recording on disk, or behind an address; nothing is read before it is used.

    What reads it raises ConversionError if the array is missing or another than it should be.
    """

    def __init__(self, group: zarr.Group, name: str, header: Header) -> None:
        self._group, self._name, self._header = group, name, header
        # the first step and environment of a chunk, and its rows if they were wanted
        self._kept: tuple[tuple[int, int], np.ndarray | None] | None = None

    @cached_property
    def _array(self) -> zarr.Array[Any]:
        array, header = array_of(self._group, self._name), self._header
        whole = array.shape[0] >= header.steps and array.shape[1:2] == (header.envs,)
        if not whole or not layout(self._name).fits(array.shape[2:]):
            raise ConversionError(
                f"{self._group.store}: '{self._name}' is {array.shape}: damaged; it should have "
                f"{header.steps} steps of {header.envs} environments"
            )
        return array

    @property
    def shape(self) -> tuple[Any, ...]:
        return (self._header.steps, *self._array.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    def rows(self, steps: Index, envs: Index) -> np.ndarray:
        try:
            return self._rows(steps, envs)
        except (ConversionError, IndexError):
            raise
        except (RuntimeError, ValueError) as error:  # of codecs, on chunks whose sums are right
            raise ConversionError(
                f"{self._group.store}: '{self._name}' is damaged ({error})"
            ) from error

    def _rows(self, steps: Index, envs: Index) -> np.ndarray:
        picked = steps
        if isinstance(steps, int) and isinstance(envs, int | np.integer):
            return self._row(steps, range(self.shape[1])[envs])
        if isinstance(steps, slice):
            read = self._array.oindex
            return sliced(steps, self.shape[0], lambda some: np.asarray(read[some, envs]))
        if not isinstance(steps, int):
            picked = np.arange(self.shape[0])[steps]  # as NumPy counts, from the end too
        return np.asarray(self._array.oindex[picked, envs])

    def _row(self, step: int, env: int) -> np.ndarray:
        """One; the chunk that it is of is kept if it is the second of that: more may come."""
        steps, envs = self._array.chunks[:2]
        first = step // steps * steps, env // envs * envs
        kept = self._kept  # threads may read at the same time
        if kept is None or kept[0] != first:
            self._kept = first, None
            return np.asarray(self._array[step, env])
        rows = kept[1]
        if rows is None:
            part = slice(first[0], first[0] + steps), slice(first[1], first[1] + envs)
            rows = np.asarray(self._array[part])
            self._kept = first, rows
        return rows[step - first[0], env - first[1]].copy()
