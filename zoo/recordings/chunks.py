"""Chunks of a recording's arrays as Zarr stores them: their codecs, and how they are read."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from atari_zoo.arrays.changes import Changes, inflated
from atari_zoo.arrays.lazy import Index, LazyArray
from atari_zoo.converters.errors import ConversionError
from atari_zoo.recordings.arrays import layout
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.stores import CHECKSUM, checksum

LEVEL = 9  # of Zstandard, for small arrays
LONG = 64  # chunks of the others that small arrays keep in one file
CONFIG: Any = {"write_empty_chunks": True}  # so that a chunk that is missing was lost


def new_array(group: zarr.Group, name: str, rows: np.ndarray, header: Header) -> zarr.Array[Any]:
    """Makes the array called `name`, still without steps, for such `rows` as these."""
    how = layout(name)
    steps = header.chunk if how.changes else header.chunk * LONG
    if how.changes:
        codecs: Any = {"serializer": Changes(**how.changes), "compressors": [Crc32cCodec()]}
    else:
        zstd = ZstdCodec(level=LEVEL)
        codecs = {"serializer": BytesCodec(), "compressors": [zstd, Crc32cCodec()]}
    return group.create_array(
        name,
        shape=(0, *rows.shape[1:]),
        chunks=(steps, 1 if how.apart else header.envs, *rows.shape[2:]),
        dtype=rows.dtype,
        filters=(),
        fill_value=0,
        dimension_names=("step", "env", *(None for _ in rows.shape[2:])),
        config=CONFIG,
        chunk_key_encoding={"name": "default", "separator": "."},  # folders cost time, too
        overwrite=True,
        **codecs,
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


def packed(array: zarr.Array[Any], rows: np.ndarray) -> bytes:
    """A whole chunk of an array that `new_array` made, as its codecs store it.

    Zarr would do the same, but takes two to four milliseconds for each chunk beside that.
    """
    codec = array.serializer
    content = (
        codec.encoded(rows)
        if isinstance(codec, Changes)
        else Zstd(LEVEL).encode(np.ascontiguousarray(rows, rows.dtype.newbyteorder("<")))
    )
    return content + checksum(content)


def unpacked(array: zarr.Array[Any], content: bytes) -> np.ndarray:
    """The chunk that `packed` made such bytes of. Raises ValueError if they are none."""
    codec, inner = array.serializer, content[:-CHECKSUM]
    if isinstance(codec, Changes):
        return codec.decoded(inner, array.chunks, array.dtype)
    size = math.prod(array.chunks) * array.dtype.itemsize
    return inflated(inner, size).view(array.dtype.newbyteorder("<")).reshape(array.chunks)


class ZarrRows(LazyArray):
    """An array of a recording on disk, or behind an address; nothing is read before it is used.

    What reads it raises ConversionError if the array is missing or another than it should be.
    """

    def __init__(self, group: zarr.Group, name: str, header: Header) -> None:
        self._group, self._name, self._header = group, name, header
        self._kept: tuple[tuple[int, ...], np.ndarray] | None = None

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
        picked = steps
        if isinstance(steps, int) and isinstance(envs, int | np.integer):
            return self._row(steps, range(self.shape[1])[envs])
        if isinstance(steps, slice):
            wanted = range(*steps.indices(self.shape[0]))
            backwards = wanted.step < 0
            ordered = wanted[::-1] if backwards else wanted
            picked = slice(ordered.start, max(ordered.stop, ordered.start), ordered.step)
            rows = np.asarray(self._array.oindex[picked, envs])
            return rows[::-1] if backwards else rows
        if not isinstance(steps, int):
            picked = np.arange(self.shape[0])[steps]  # as NumPy counts, from the end too
        return np.asarray(self._array.oindex[picked, envs])

    def _row(self, step: int, env: int) -> np.ndarray:
        """One of a chunk that is kept until another is asked for: who wants one may want many."""
        array, (steps, envs) = self._array, self._array.chunks[:2]
        chunk = (step // steps, env // envs, *(0 for _ in array.shape[2:]))
        if self._kept is None or self._kept[0] != chunk:
            key = f"{array.path}/{array.metadata.encode_chunk_key(chunk)}"
            content = sync(self._group.store.get(key, default_buffer_prototype()))
            assert content is not None  # the store would have told
            self._kept = chunk, unpacked(array, content.to_bytes())
        return self._kept[1][step % steps, env % envs].copy()
