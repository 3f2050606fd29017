"""Bytes of an HDF5 file, read in turn and never past their end."""

from __future__ import annotations

from atari_zoo.converters.errors import ConversionError

DAMAGED = "the HDF5 file is damaged, or cut short"
IN_ITSELF = "the HDF5 file has a tree that is in itself: refused"


class Cursor:
    """A place in some bytes, which moves on with what is read.

    offsets, lengths: bytes of an address and of a size in the file.
    """

    def __init__(self, data: bytes, place: int = 0, offsets: int = 8, lengths: int = 8) -> None:
        if not 0 <= place <= len(data):
            raise ConversionError(DAMAGED)
        self.data, self.place = data, place
        self.offsets, self.lengths = offsets, lengths

    def at(self, place: int) -> Cursor:
        """Another one on the same bytes."""
        return Cursor(self.data, place, self.offsets, self.lengths)

    @property
    def left(self) -> int:
        """Bytes up to the end."""
        return len(self.data) - self.place

    def take(self, count: int) -> bytes:
        """So many bytes; raises ConversionError if there are fewer."""
        if not 0 <= count <= self.left:
            raise ConversionError(DAMAGED)
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, size: int) -> int:
        """An unsigned integer of so many bytes, the least first."""
        return int.from_bytes(self.take(size), "little")

    def offset(self) -> int | None:
        """An address in the file; None for the undefined one."""
        found = self.number(self.offsets)
        return None if found == (1 << 8 * self.offsets) - 1 else found

    def length(self) -> int:
        return self.number(self.lengths)

    def expect(self, signature: bytes) -> None:
        """Raises ConversionError if something else is here."""
        if self.take(len(signature)) != signature:
            raise ConversionError(DAMAGED)

    def align(self, start: int, step: int = 8) -> None:
        """Moves on to the next multiple of `step` from `start`."""
        self.take(-(self.place - start) % step)
