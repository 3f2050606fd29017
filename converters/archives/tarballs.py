"""Tar archives that nobody vouches for: `.tar` and `.tar.gz`, read in one direction.

Plain files alone are taken out, and only those asked for; what points elsewhere is refused. The
standard library's reader can be led into endless loops (CVE-2025-8194).
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from atari_zoo.converters.archives.tar_headers import (
    BLOCK,
    FILES,
    FOLDER,
    LONG_NAME,
    RECORDS,
    RECORDS_OF_ALL,
    name_in,
    number_in,
    path_in,
    records_in,
    size_in,
)
from atari_zoo.converters.errors import ConversionError

CHUNK = 1 << 20
PACKED = 1 << 16  # small: what is not yet unpacked is moved with each header
LARGEST = 512 << 20  # bytes unpacked: four checkpoints of an IQN agent have 300 million
LONGEST = 16 << 10  # bytes of a name, or of pax records
MOST = 2_000  # headers: a run of Dopamine has a hundred files


class Member(NamedTuple):
    """A plain file in an archive. size: in bytes."""

    name: PurePosixPath
    size: int


def is_tarball(start: bytes) -> bool:
    """Whether a file whose first 512 bytes are `start` may be an archive, or gzip's of one."""
    return start.startswith(b"\x1f\x8b") or start[257:262] == b"ustar"


def listed(path: Path, most: int = 64) -> list[str]:
    """The names of the first plain files in an archive; of a damaged one, those before the damage.

    Empty if it is no archive.
    """
    names = []
    with path.open("rb") as file, suppress(ConversionError):
        for member, _ in islice(_walk(_opened(file)), most):
            names.append(str(member.name))
    return names


def members(path: Path) -> list[Member]:
    """The plain files in an archive.

    Raises ConversionError where it is damaged, cut short or too large, or holds links, devices
    or paths that lead out of it.
    """
    with path.open("rb") as file:
        return [member for member, _ in _walk(_opened(file))]


def unpack(path: Path, wanted: Collection[PurePosixPath], folder: Path) -> None:
    """Writes the wanted files into `folder`, under the last part of their names.

    Raises ConversionError as `members` does, and where they are too large.
    """
    unpacked = 0
    with path.open("rb") as file:
        for (name, size), content in _walk(_opened(file)):
            if name not in wanted:
                continue
            unpacked += size
            if unpacked > LARGEST:
                raise _too_large(f"'{name}' has {size} bytes")
            if (folder / name.name).exists():
                raise ConversionError(f"'{name}' stands in it twice")
            with (folder / name.name).open("xb") as out:
                for part in _parts(size):
                    out.write(content.take(part))


class _Archive:
    """An archive's bytes, in order. left: how many of the present member are still unread."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.left = 0

    def take(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) < size:
            raise ConversionError("the archive is cut short")
        self.left -= size
        return data

    def read(self, size: int) -> bytes:
        return self.file.read(size)

    def skip(self, size: int) -> None:
        if size:
            self.file.seek(size - 1, 1)
            self.take(1)  # a seek alone would pass over the end


class _Compressed(_Archive):
    """The same of one in gzip's format, unpacked as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.gunzip = zlib.decompressobj(wbits=31)  # 31: with gzip's header
        self.unpacked = 0

    def read(self, size: int) -> bytes:
        parts, missing = [b""], size
        while missing and not self.gunzip.eof:
            packed = self.gunzip.unconsumed_tail or self.file.read(PACKED)
            try:
                parts.append(self.gunzip.decompress(packed, missing))
            except zlib.error as error:
                raise ConversionError(f"the archive is damaged: {error}") from error
            if not packed and not parts[-1]:
                break
            missing -= len(parts[-1])
        self.unpacked += size - missing
        if self.unpacked > LARGEST:
            raise _too_large(f"it has more than {LARGEST >> 20} MB")
        return b"".join(parts)

    def skip(self, size: int) -> None:
        for part in _parts(size):
            self.take(part)


def _opened(file: BinaryIO) -> _Archive:
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return _Compressed(file) if compressed else _Archive(file)


def _walk(archive: _Archive) -> Iterator[tuple[Member, _Archive]]:
    """Each plain file, with the archive at the beginning of its content."""
    name, records, count = b"", dict[bytes, bytes](), 0
    while (header := archive.take(BLOCK)).strip(b"\0"):
        kind, size = header[156:157], size_in(header)
        if (count := count + 1) > MOST:
            raise _too_large(f"it has more than {MOST} members")
        if kind in (LONG_NAME, RECORDS, RECORDS_OF_ALL):
            content = _short(archive, size)
            name = content.rstrip(b"\0") if kind == LONG_NAME else name
            records = records_in(content) if kind == RECORDS else records
            continue
        size = number_in(records[b"size"], 10) if b"size" in records else size
        archive.left = 0 if kind == FOLDER else _padded(size)
        member = Member(path_in(records.get(b"path") or name or name_in(header)), size)
        if kind in FILES:
            yield member, archive
        elif kind != FOLDER:
            raise ConversionError(f"{str(member.name)!r} in it is a link or a device")
        archive.skip(archive.left)
        name, records = b"", {}


def _short(archive: _Archive, size: int) -> bytes:
    if size > LONGEST:
        raise ConversionError(f"the archive is damaged: a name of {size} bytes")
    return archive.take(_padded(size))[:size]


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _parts(size: int) -> Iterator[int]:
    yield from (min(CHUNK, size - at) for at in range(0, size, CHUNK))


def _too_large(fact: str) -> ConversionError:
    return ConversionError(f"{fact}; unpack the archive, and give the folder")
