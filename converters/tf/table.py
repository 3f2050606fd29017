"""TensorFlow's tables: sorted keys and values in blocks with checksums, as LevelDB has them.

The `.index` of a checkpoint is one. The layout is that of tensorflow/core/lib/io/format.cc and
https://github.com/google/leveldb/blob/main/doc/table_format.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from google_crc32c import value as crc32c

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.tf.wire_format import varint

MAGIC = bytes.fromhex("57fb808b247547db")  # the last eight bytes of every table
FOOTER = 48  # two handles, padding, and the magic
TRAILER = 5  # after each block: how it is compressed, and a checksum
LARGEST = 1 << 20  # bytes of a table: a policy's index has about 3000
MOST = 10_000  # entries in it
LONGEST = 4096  # bytes of a key: names share prefixes, so short ones could unfold to long ones
COMPRESSIONS = {0: "none", 1: "snappy", 2: "zstd"}


def read_table(content: bytes) -> dict[bytes, bytes]:
    """The keys and values of a table, in their order.

    Raises ConversionError where a block is damaged, missing or compressed.
    """
    if len(content) > LARGEST:
        raise ConversionError(f"{len(content)} bytes; an index of at most {LARGEST} is read")
    if len(content) < FOOTER or not content.endswith(MAGIC):
        raise ConversionError(
            "it does not end with a table's magic bytes: cut short, or no TensorFlow checkpoint"
        )
    footer = content[-FOOTER : -len(MAGIC)]
    _, position = _handle(footer, 0)  # of the metaindex, which TensorFlow leaves empty
    (offset, size), _ = _handle(footer, position)
    table: dict[bytes, bytes] = {}
    last, free = b"", 0
    for _, value in _entries(_block(content, offset, size), "the index block"):
        (offset, size), _ = _handle(value, 0)
        if offset < free:
            raise ConversionError(f"the block at byte {offset} begins inside the one before it")
        free = offset + size + TRAILER
        for key, entry in _entries(_block(content, offset, size), f"the block at byte {offset}"):
            if table and key <= last:
                how = "stands twice" if key == last else "is out of order"
                raise ConversionError(f"the key {_shown(key)} {how}")
            if len(table) == MOST:
                raise ConversionError(f"more than {MOST} entries; a policy has a few dozen")
            table[key], last = entry, key
    return table


def masked_crc32c(data: bytes) -> int:
    """The checksum that TensorFlow stores: CRC-32C, turned so that one of itself is harmless."""
    crc: int = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _handle(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where in `data` they end."""
    offset, position = varint(data, position)
    size, position = varint(data, position)
    return (offset, size), position


def _block(content: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + TRAILER > len(content) - FOOTER:
        raise ConversionError(
            f"the block at byte {offset} has {size} bytes, more than there are: cut short"
        )
    compression, stored = struct.unpack("<BI", content[end : end + TRAILER])
    if masked_crc32c(content[offset : end + 1]) != stored:
        raise ConversionError(f"the block at byte {offset} is damaged: its checksum differs")
    if compression:
        kind = COMPRESSIONS.get(compression, str(compression))
        raise ConversionError(
            f"the block at byte {offset} is compressed ({kind}); TensorFlow writes them as they are"
        )
    return content[offset:end]


def _entries(block: bytes, where: str) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values: each key tells how much of the one before it begins it too."""
    end, restarts = _restarts(block, where)
    key, position, whole = b"", 0, 0
    while position < end:
        start = position
        shared, position = varint(block, position)
        unshared, position = varint(block, position)
        length, position = varint(block, position)
        if start in restarts:  # there a key is whole, so that a search can begin
            whole += 1
            if shared:
                raise ConversionError(f"{where} has a restart at byte {start} that is none")
        if shared > len(key) or position + unshared + length > end:
            raise ConversionError(f"{where} has an entry at byte {start} that does not fit")
        if shared + unshared > LONGEST:
            raise ConversionError(f"{where} has a key of {shared + unshared} bytes")
        key = key[:shared] + block[position : position + unshared]
        position += unshared + length
        yield key, block[position - length : position]
    if end and whole != len(restarts):
        raise ConversionError(f"{where} has restarts where no entry begins")


def _restarts(block: bytes, where: str) -> tuple[int, frozenset[int]]:
    """Where the entries of a block end, and where among them keys are whole."""
    count = int.from_bytes(block[-4:], "little") if len(block) >= 4 else 0
    end = len(block) - 4 * (count + 1)
    if not 1 <= count <= MOST or end < 0:
        raise ConversionError(f"{where} has {count} restarts in {len(block)} bytes")
    restarts = struct.unpack_from(f"<{count}I", block, end)
    if len(set(restarts)) < count or 0 not in restarts:
        raise ConversionError(f"{where} has restarts that repeat, or none at its beginning")
    return end, frozenset(restarts)


def _shown(key: bytes) -> str:
    return repr(key[:80].decode("utf-8", "replace"))
