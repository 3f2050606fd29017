"""The index of a TensorFlow checkpoint: its tensors' names, and where each is.

The messages are those of tensorflow/core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.tf.table import LARGEST, read_table
from atari_zoo.converters.tf.wire_format import fields, message_in

MOST_SHARDS = 10_000
MOST_AXES = 32
VERSION = 1  # of the layout, as TensorFlow 1 and 2 write it


@dataclass(frozen=True)
class IndexEntry:
    """Where a tensor is, and how its bytes are to be read.

    dtype: TensorFlow's number of the type. sliced: its parts stand elsewhere.
    """

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    crc: int = 0
    sliced: bool = False


@dataclass(frozen=True)
class CheckpointIndex:
    """Where the tensors are. shards: how many files hold them."""

    shards: int
    entries: dict[str, IndexEntry]


def read_index(path: Path) -> CheckpointIndex:
    """What a `.index` file tells.

    Raises ConversionError, naming the file, if it is missing, damaged or of another kind.
    """
    try:
        table = read_table(_content(path))
        if b"" not in table:
            raise ConversionError("no header in it: not the index of a checkpoint")
        shards = _shards(table.pop(b""))
        # a key that begins with 0 is a slice of a partitioned variable
        return CheckpointIndex(
            shards, {_name(k): _entry(k, v, shards) for k, v in table.items() if k[0]}
        )
    except ConversionError as error:
        raise ConversionError(f"{path.name}: {error}") from error


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise ConversionError("there is no such file")
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise ConversionError(f"it cannot be read: {error.strerror}") from error


def _shards(header: bytes) -> int:
    """How many shards there are, from the BundleHeaderProto."""
    found = dict(fields(header))
    shards, endianness = found.get(1, 0), found.get(2, 0)
    oldest = dict(fields(message_in(found.get(3, b"")))).get(2, 0)
    if endianness != 0:
        raise ConversionError("its numbers are big-endian; only little-endian ones are read")
    if not isinstance(shards, int) or not 1 <= shards <= MOST_SHARDS:
        raise ConversionError(f"its header tells of {shards!r:.40} shards")
    if oldest not in range(VERSION + 1):
        raise ConversionError("it is of a newer layout than TensorFlow 2 writes")
    return shards


def _name(key: bytes) -> str:
    name = key.decode("utf-8", "replace")
    if not name.isprintable() or name.encode() != key:
        raise ConversionError(f"a name in it is not text: {key[:40]!r}")
    return name


def _entry(key: bytes, value: bytes, shards: int) -> IndexEntry:
    """A BundleEntryProto; what it leaves out is zero."""
    try:
        found = dict(fields(value))
        numbers = [found.get(field, 0) for field in (1, 3, 4, 5, 6)]
        if not all(isinstance(number, int) for number in numbers):
            raise ConversionError("bytes where a number was expected")
        dtype, shard, offset, size, crc = (int(number) for number in numbers)
        if shard >= shards:
            raise ConversionError(f"it is in shard {shard} of {shards}")
        shape = _shape(message_in(found.get(2, b"")))
        return IndexEntry(dtype, shape, shard, offset, size, crc, sliced=7 in found)
    except ConversionError as error:
        raise ConversionError(
            f"the entry {key[:80].decode(errors='replace')!r}: {error}"
        ) from error


def _shape(proto: bytes) -> tuple[int, ...]:
    """A TensorShapeProto's sizes."""
    sizes: list[int] = []
    for field, dimension in fields(proto):
        if field == 3 and dimension:
            raise ConversionError("its shape is unknown")
        if len(sizes) > MOST_AXES:
            raise ConversionError(f"its shape has more than {MOST_AXES} axes")
        if field == 2:
            size = dict(fields(message_in(dimension))).get(1, 0)
            if not isinstance(size, int) or size >= 1 << 63:
                raise ConversionError("a size in its shape is negative")
            sizes.append(size)
    return tuple(sizes)
