"""Indices of TensorFlow's checkpoints written by hand: whole ones, and wrong ones that are sealed.

TensorFlow writes only sound ones; these have right checksums around what is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import google_crc32c

MAGIC = bytes.fromhex("57fb808b247547db")


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: int | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def checksum(data: bytes) -> int:
    """CRC-32C as TensorFlow masks it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def header(shards: int = 1, endianness: int = 0, oldest: int = 0) -> bytes:
    """A BundleHeaderProto."""
    versions = field(1, 1) + field(2, oldest)
    return field(1, shards) + field(2, endianness) + field(3, versions)


def entry(
    data: bytes, shape: Sequence[int], dtype: int = 1, offset: int = 0, shard: int = 0
) -> bytes:
    """A BundleEntryProto for a tensor of these bytes."""
    shapes = b"".join(field(2, field(1, size)) for size in shape)
    crc = b"\x35" + struct.pack("<I", checksum(data))
    numbers = field(1, dtype) + field(3, shard) + field(4, offset) + field(5, len(data))
    return numbers + field(2, shapes) + crc


def block(
    entries: Sequence[tuple[bytes, bytes]], restarts: Sequence[int] = (0,), shared: int = 0
) -> bytes:
    """A block's content, its keys whole. shared: what the first key claims to share."""
    out = bytearray()
    for key, value in entries:
        out += varint(shared) + varint(len(key)) + varint(len(value)) + key + value
        shared = 0
    return bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(blocks: Sequence[bytes], compression: int = 0) -> bytes:
    """A table of these blocks, sealed."""
    out, handles = bytearray(), []
    for content in blocks:
        handles.append(varint(len(out)) + varint(len(content)))
        out += _sealed(content, compression)
    empty = varint(len(out)) + varint(8)
    out += _sealed(block([]), 0)
    # each block's key is one not below its last
    index = block([(b"\x7f" * (i + 1), handle) for i, handle in enumerate(handles)])
    footer = empty + varint(len(out)) + varint(len(index))
    return bytes(out + _sealed(index, 0)) + footer.ljust(40, b"\0") + MAGIC


def index(entries: Mapping[bytes, bytes], head: bytes | None = None) -> bytes:
    """An index with these entries, in one block."""
    first = header() if head is None else head
    return table([block([(b"", first), *sorted(entries.items())])])


def _sealed(content: bytes, compression: int) -> bytes:
    trailed = content + bytes([compression])
    return trailed + struct.pack("<I", checksum(trailed))
