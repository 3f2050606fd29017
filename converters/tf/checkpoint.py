"""TensorFlow's checkpoints: a table of names (`.index`) and shards of raw numbers (`.data-...`).

The layout is that of tensorflow/core/util/tensor_bundle/tensor_bundle.h. A tensor is read
only when it is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.tf.index import IndexEntry, read_index
from atari_zoo.converters.tf.table import masked_crc32c

LARGEST_TENSOR = 128 << 20  # bytes: a policy's largest layer has 16 million

BFLOAT16 = 14
# tensorflow/core/framework/types.proto -> the bytes in the file
TYPES: dict[int, np.dtype] = {
    number: np.dtype(stored)
    for number, stored in {
        1: "<f4",
        2: "<f8",
        3: "<i4",
        4: "u1",
        5: "<i2",
        6: "i1",
        9: "<i8",
        10: "?",
        BFLOAT16: "<u2",  # float32's upper half: numpy has no such type
        17: "<u2",
        19: "<f2",
        22: "<u4",
        23: "<u8",
    }.items()
}
OTHER_TYPES = {7: "string", 8: "complex64", 18: "complex128", 20: "resource", 21: "variant"}


@dataclass(frozen=True)
class TfCheckpoint:
    """A checkpoint's tensors by name.

    prefix: what the names of its files begin with, such as `.../tf_ckpt-199`.
    """

    prefix: Path
    shards: int
    entries: dict[str, IndexEntry]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the tensors of numbers; strings are left out."""
        return {name: e.shape for name, e in self.entries.items() if e.dtype in TYPES}

    def tensor(self, name: str) -> np.ndarray:
        """The tensor as it was saved; bfloat16 as float32.

        Raises ConversionError if its bytes are missing, damaged or not numbers, and KeyError if
        there is no such tensor.
        """
        entry = self.entries[name]
        _check_kind(name, entry)
        content = self._bytes(name, entry)
        if masked_crc32c(content) != entry.crc:
            raise ConversionError(
                f"'{name}' in {self._shard(entry).name} is damaged: its checksum differs"
            )
        array = np.frombuffer(content, TYPES[entry.dtype]).reshape(entry.shape)
        if entry.dtype == BFLOAT16:
            return np.asarray(array.astype(np.uint32) << 16).view(np.float32)
        return array

    def _bytes(self, name: str, entry: IndexEntry) -> bytes:
        path = self._shard(entry)
        if not path.is_file():
            raise ConversionError(f"{path.name} is missing; it belongs beside the index")
        try:
            there = path.stat().st_size
            if entry.offset + entry.size > there:
                raise ConversionError(
                    f"'{name}' ends at byte {entry.offset + entry.size} of {path.name}, which "
                    f"has {there}: cut short"
                )
            with path.open("rb") as file:
                file.seek(entry.offset)
                return file.read(entry.size)
        except OSError as error:
            raise ConversionError(f"{path.name} cannot be read: {error.strerror}") from error

    def _shard(self, entry: IndexEntry) -> Path:
        name = f"{self.prefix.name}.data-{entry.shard:05d}-of-{self.shards:05d}"
        return self.prefix.with_name(name)


def open_checkpoint(prefix: Path) -> TfCheckpoint:
    """The checkpoint whose files' names begin with `prefix`; only its index is read.

    Raises ConversionError, naming the file, if the index is missing, damaged or of another kind.
    """
    index = read_index(prefix.with_name(f"{prefix.name}.index"))
    return TfCheckpoint(prefix, index.shards, index.entries)


def _check_kind(name: str, entry: IndexEntry) -> None:
    if entry.sliced:
        raise ConversionError(f"'{name}' is a partitioned variable; save it in one piece")
    if entry.dtype not in TYPES:
        kind = OTHER_TYPES.get(entry.dtype, "unknown")
        raise ConversionError(f"'{name}' is of type {entry.dtype} ({kind}), not of numbers")
    # an axis of 0 makes a tensor empty, however large the others
    span = math.prod(max(size, 1) for size in entry.shape) * TYPES[entry.dtype].itemsize
    wanted = 0 if 0 in entry.shape else span
    if wanted != entry.size:
        raise ConversionError(
            f"'{name}' of the shape {_shown(entry.shape)} has {entry.size} bytes, not {wanted}"
        )
    if span > LARGEST_TENSOR:
        raise ConversionError(
            f"'{name}' has the shape {_shown(entry.shape)}: more than any layer of a policy"
        )


def _shown(shape: tuple[int, ...]) -> str:
    more = ", ..." if len(shape) > 8 else ""
    return f"({', '.join(map(str, shape[:8]))}{more})"
