"""A compressed stream read from the middle, without inflating all of it.

A deflate stream (RFC 1951) can only be read from its start, but zlib's state can be copied on the
way. A copy every four MiB of content (it takes 40 kB, most of it the last 32 kB of output) makes
an index of places to go on from.
"""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from atari_zoo.converters.errors import ConversionError

SPACING = 4 << 20  # bytes of content between two places that reading can begin at
PACKED = 16 << 10  # bytes read from the file at once
PIECE = 1 << 20  # bytes of content inflated at once


@runtime_checkable
class Inflater(Protocol):
    """What is asked of zlib's decompression objects."""

    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...
    def copy(self) -> Inflater: ...


class Uncompressed:
    """Stands where zlib's object does, for content that is stored as it is."""

    unconsumed_tail = b""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        self.unconsumed_tail = data[max_length:]
        return data[:max_length]

    def copy(self) -> Uncompressed:
        return Uncompressed()


@dataclass
class Place:
    """Where reading can go on: so far into the content, so far into the packed bytes."""

    content: int
    packed: int
    inflater: Inflater


class ZipStream:
    """Random access to the content of a zip archive's member; threads may share it.

    name: the member's. size: of the content, in bytes. crc: its checksum.
    start, packed: where in the file the packed bytes begin, and how many there are.
    """

    def __init__(
        self, path: Path, name: str, size: int, start: int, packed: int, crc: int, deflated: bool
    ) -> None:
        self.path, self.name, self.size = path, name, size
        self._start, self._packed, self._crc = start, packed, crc
        begin: Inflater = zlib.decompressobj(-zlib.MAX_WBITS) if deflated else Uncompressed()
        self._index = [Place(0, 0, begin)]
        self._here = self._index[0]  # where the last reading ended
        self._sum, self._summed = 0, 0  # the checksum so far, and of how many bytes
        self._false = False  # whether it came out wrong
        self._lock = threading.Lock()

    def read_into(self, start: int, target: memoryview) -> None:
        """Fills `target` with the content from byte `start` on.

        The checksum of the whole is compared when its last byte is first reached.
        Raises ConversionError if the stream is damaged, cut short, or ends before `target`.
        """
        stop = start + len(target)
        if self._false:
            raise self._false_sum()
        if stop > self.size:
            raise ConversionError(f"'{self.name}' ends at byte {self.size}, before {stop}")
        with self._lock, self.path.open("rb") as file:
            place = self._nearest(start)
            self._here = self._index[0]  # for when reading fails
            file.seek(self._start + place.packed)
            while place.content < stop:
                at = place.content
                piece = self._inflated(file, place, stop)
                keep = max(start, at)
                if place.content > keep:
                    target[keep - start : place.content - start] = piece[keep - at :]
            self._here = place

    def _nearest(self, start: int) -> Place:
        place = max((p for p in self._index if p.content <= start), key=lambda p: p.content)
        if place.content < self._here.content <= start:
            return self._here
        return Place(place.content, place.packed, place.inflater.copy())

    def _inflated(self, file: BinaryIO, place: Place, stop: int) -> bytes:
        """Up to a piece of content from `place`, which moves on."""
        limit = min(stop, place.content + PIECE, self._index[-1].content + SPACING)
        packed = file.read(min(PACKED, self._packed - place.packed))
        try:
            piece = place.inflater.decompress(packed, limit - place.content)
        except zlib.error as error:
            raise ConversionError(f"'{self.name}' in the archive is damaged") from error
        unused = len(place.inflater.unconsumed_tail)
        if not piece and unused == len(packed):
            raise ConversionError(f"'{self.name}' in the archive is cut short")
        file.seek(-unused, 1)
        place.packed += len(packed) - unused
        place.content += len(piece)
        if place.content > self._summed:
            self._check(file, place, piece)
        if place.content == self._index[-1].content + SPACING:
            self._index.append(Place(place.content, place.packed, place.inflater.copy()))
        return piece

    def _check(self, file: BinaryIO, place: Place, piece: bytes) -> None:
        """Adds what was not read before to the checksum, and compares it at the end."""
        self._sum = zlib.crc32(piece[self._summed - place.content :], self._sum)
        self._summed = place.content
        if self._summed == self.size:
            rest = file.read(min(PACKED, self._packed - place.packed))
            longer = place.inflater.copy().decompress(rest, 1)
            self._false = bool(longer) or self._sum != self._crc
            if self._false:
                raise self._false_sum()

    def _false_sum(self) -> ConversionError:
        return ConversionError(f"'{self.name}' in the archive has another checksum or size")
