"""Objects of an HDF5 file, groups and data sets alike: headers that hold messages.

From the HDF5 File Format Specification, version 3.0, sections II (superblock) and IV.A (headers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.hdf5.cursors import DAMAGED, Cursor

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SIZES = (4, 8)  # bytes of addresses and lengths
CONTINUED = 0x0010
SHARED = 2  # a bit of a message's flags
HEAPED = 16
MESSAGES = 200_000  # in all objects together


@dataclass
class Message:
    """A part of an object's header. kind: its number in the specification."""

    kind: int
    flags: int
    body: Cursor


@dataclass
class Hdf5File:
    """A file's bytes and its root.

    left: bytes that arrays and texts may still take together.
    heaps: by address, where each text in a global heap begins and its size, by its number.
    heaped: texts in heaps that there still may be; each takes HEAPED bytes at least.
    """

    data: bytes
    left: int
    heaps: dict[int, dict[int, tuple[int, int]]] = field(default_factory=dict)
    heaped: int = field(init=False)
    cursor: Cursor = field(init=False)
    root: int = field(init=False)

    def __post_init__(self) -> None:
        self._messages, self.heaped = MESSAGES, len(self.data) // HEAPED
        self.cursor, self.root = _superblock(self.data)

    def spend(self, size: int, what: str) -> None:
        """Counts bytes that are made; raises ConversionError when there are too many."""
        self.left -= size
        if self.left < 0:
            raise ConversionError(f"{what} takes the HDF5 file's contents past what a policy has")

    def messages(self, address: int) -> list[Message]:
        """Those of the object at an address."""
        start = self.cursor.at(address)
        blocks = _newer(start) if self.data[address : address + 4] == b"OHDR" else _older(start)
        found: list[Message] = []
        for message in blocks:
            self._messages -= 1
            if self._messages < 0:
                raise ConversionError("the HDF5 file has too many objects for a policy")
            found.append(message)
        return found


def _superblock(data: bytes) -> tuple[Cursor, int]:
    here = Cursor(data)
    here.expect(SIGNATURE)
    version = here.number(1)
    if version < 2:
        here.take(4)
        sizes = here.number(1), here.number(1)
        here.take(1 + 4 + 4 + (4 if version else 0))
    else:
        sizes = here.number(1), here.number(1)
        here.take(1)
    if version > 3 or not set(sizes) <= set(SIZES):
        raise ConversionError(f"an HDF5 file of a kind that is not known (version {version})")
    here.offsets, here.lengths = sizes
    base, *_ = (here.offset() for _ in range(4 if version < 2 else 3))
    if version < 2:
        here.offset()  # where the root's name is
    root = here.offset()
    if base != 0 or root is None:
        raise ConversionError(DAMAGED)
    return Cursor(data, 0, *sizes), root


def _older(start: Cursor) -> Iterator[Message]:
    """The messages of a header of version 1."""
    start.expect(b"\x01")
    start.take(1)
    count = start.number(2)
    start.take(4)
    size = start.number(4)
    start.take(4)
    blocks = [(start.place, size)]
    for place, size in blocks:  # which grows
        here = start.at(place)
        end = here.place + size
        while count and here.place + 8 <= end:
            kind, length, flags = here.number(2), here.number(2), here.number(1)
            here.take(3)
            body = _body(here, length)
            count -= 1
            if kind == CONTINUED:
                blocks.append((_address(body.offset()), body.length()))
            else:
                yield Message(kind, flags, body)


def _newer(start: Cursor) -> Iterator[Message]:
    """Those of a header of version 2."""
    start.expect(b"OHDR\x02")
    flags = start.number(1)
    start.take((16 if flags & 32 else 0) + (4 if flags & 16 else 0))
    size = start.number(1 << (flags & 3))
    blocks = [(start.place, size)]
    for place, size in blocks:  # which grows
        here = start.at(place)
        end = here.place + size
        while here.place + 4 + (2 if flags & 4 else 0) <= end:
            kind, length, marks = here.number(1), here.number(2), here.number(1)
            here.take(2 if flags & 4 else 0)
            body = _body(here, length)
            if kind == CONTINUED:
                place, length = _address(body.offset()), body.length()
                start.at(place).expect(b"OCHK")
                blocks.append((place + 4, length - 8))  # less signature and checksum
                if len(blocks) > MESSAGES:
                    raise ConversionError(DAMAGED)
            else:
                yield Message(kind, marks, body)


def _body(here: Cursor, length: int) -> Cursor:
    return Cursor(here.take(length), 0, here.offsets, here.lengths)


def _address(offset: int | None) -> int:
    if offset is None:
        raise ConversionError(DAMAGED)
    return offset
