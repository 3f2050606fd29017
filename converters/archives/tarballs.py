"""Tar archives that nobody vouches for: `.tar` and `.tar.gz`, read in one direction.

Plain files alone are taken out, and only those asked for; what points elsewhere is refused.
`tarfile` reads them, but each header is looked at before it does: some versions of it that
Python 3.11 came with go round for ever at a negative size (CVE-2025-8194), take hours over pax
records (CVE-2024-6232), or pass over records and ends that do not fit.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from atari_zoo.converters.errors import ConversionError

CHUNK = 1 << 20
BLOCK = tarfile.BLOCKSIZE  # every header and every content fills 512 bytes, or a multiple
LARGEST = 512 << 20  # bytes unpacked: four checkpoints of an IQN agent have 300 million
LARGEST_MEMBER = 1 << 40  # bytes
LONGEST = 16 << 10  # bytes of a name, or of pax records
MOST = 2_000  # headers: a run of Dopamine has a hundred files
FOREWORDS = (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE)  # tell of the next member
PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE)


class Member(NamedTuple):
    """A plain file in an archive. size: in bytes."""

    name: PurePosixPath
    size: int


def is_tarball(start: bytes) -> bool:
    """Whether a file whose first 512 bytes are `start` may be an archive, or gzip's of one."""
    return start.startswith(b"\x1f\x8b") or start[257:262] == b"ustar"


def file_names(path: Path, most: int = 64) -> list[str]:
    """The names of the first plain files in an archive; of a damaged one, those before the damage.

    Empty if it is no archive.
    """
    names = []
    with suppress(ConversionError), _opened(path) as archive:
        for member, _ in islice(_walk(archive), most):
            names.append(str(member.name))
    return names


def members(path: Path) -> list[Member]:
    """The plain files in an archive.

    Raises ConversionError where it is damaged, cut short or too large, or holds links, devices
    or paths that lead out of it.
    """
    with _opened(path) as archive:
        return [member for member, _ in _walk(archive)]


def unpack(path: Path, wanted: Collection[PurePosixPath], folder: Path) -> None:
    """Writes the wanted files into `folder`, under the last part of their names.

    Raises ConversionError as `members` does, and where they are too large.
    """
    unpacked = 0
    with _opened(path) as archive:
        for (name, size), header in _walk(archive):
            if name not in wanted:
                continue
            unpacked += size
            if unpacked > LARGEST:
                raise _too_large(f"'{name}' has {size} bytes")
            if (folder / name.name).exists():
                raise ConversionError(f"'{name}' stands in it twice")
            alone = header.replace(name=name.name, deep=False)
            archive.extract(alone, folder, set_attrs=False, filter="data")


class _Forward:
    """A file as `tarfile` asks for it, but read in one direction, and no more than `most` bytes."""

    def __init__(self, file: Any, most: int | None) -> None:
        self._file, self._most = file, most
        self._ahead, self._place = b"", 0
        self.headers = 0

    def tell(self) -> int:
        return self._place

    def read(self, size: int) -> bytes:
        content = self.peek(size)
        self._ahead = self._ahead[size:]
        self._place += len(content)
        return content

    def peek(self, size: int) -> bytes:
        """What `read` will give; raises ConversionError if there is less."""
        missing = size - len(self._ahead)
        if self._most is not None and self._place + size > self._most:
            raise _too_large(f"it has more than {self._most >> 20} MB")
        if missing > 0:
            self._ahead += self._file.read(missing)
        if len(self._ahead) < size:
            raise ConversionError("the archive is cut short")
        return self._ahead[:size]

    def seek(self, place: int) -> None:
        if place < self._place:
            raise ConversionError("the archive is damaged: it leads back")
        if self._most is None and place - self._place > len(self._ahead):  # stored: passed over
            self._ahead, self._place = b"", self._file.seek(place)
        while place > self._place:
            self.read(min(CHUNK, place - self._place))


class _Header(tarfile.TarInfo):
    """A member, its header checked before `tarfile` believes it."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Header:
        file: Any = archive.fileobj
        start = file.peek(BLOCK)
        if start.strip(b"\0"):
            file.headers += 1
            if file.headers > MOST:
                raise _too_large(f"it has more than {MOST} members")
            header = _checked_header(start)
            if header.type in FOREWORDS:
                content = file.peek(BLOCK + header.size)[BLOCK:]
                if header.type != tarfile.GNUTYPE_LONGNAME:
                    _check_records(content)
        return super().fromtarfile(archive)


def _checked_header(start: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(start, "utf-8", "replace")
    except tarfile.HeaderError as error:
        raise ConversionError("the archive is damaged: a header's checksum differs") from error
    _check_size(header.size)
    if header.type in FOREWORDS and header.size > LONGEST:
        raise ConversionError(f"the archive is damaged: a name of {header.size} bytes")
    if header.type not in (*FOREWORDS, *PLAIN):
        _path(header.name)
        raise ConversionError(f"{header.name!r} in it is a link or a device")
    return header


def _check_records(content: bytes) -> None:
    """Raises ConversionError unless these are pax records, `length key=value` and a line's end."""
    while content:
        digits, space, _ = content[:20].partition(b" ")
        length = _number(digits)
        key, equals, value = content[len(digits) + 1 : max(length - 1, 0)].partition(b"=")
        if not (space and equals and len(digits) < length <= len(content)):
            raise ConversionError("the archive is damaged: a record that does not fit")
        if key == b"size":
            _number(value)
        content = content[length:]


def _number(digits: bytes) -> int:
    number = int(digits) if re.fullmatch(rb"[0-9]{1,15}", digits) else -1
    _check_size(number)
    return number


def _check_size(size: int) -> None:
    if not 0 <= size <= LARGEST_MEMBER:
        raise ConversionError("the archive is damaged: a size in it is no number, or too large")


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The archive; whatever damage does to its readers becomes a ConversionError."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        content = gzip.GzipFile(fileobj=file) if compressed else file
        forward: Any = _Forward(content, LARGEST if compressed else None)
        try:
            with tarfile.TarFile(fileobj=forward, tarinfo=_Header, errors="replace") as archive:
                yield archive
        except EOFError as error:  # gzip's
            raise ConversionError("the archive is cut short") from error
        except RecursionError as error:  # tarfile reads a name's header within the one before
            raise _too_large(f"it has more than {MOST} members, or names of names") from error
        except (tarfile.TarError, zlib.error, gzip.BadGzipFile) as error:
            raise ConversionError(f"the archive is damaged: {error}") from error


def _walk(archive: tarfile.TarFile) -> Iterator[tuple[Member, tarfile.TarInfo]]:
    """Each plain file, with the archive at the beginning of its content."""
    while (header := archive.next()) is not None:
        path = _path(header.name)
        if header.isreg():
            yield Member(path, header.size), header


def _path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ConversionError(f"{str(path)!r} in it leads out of the archive")
    return path


def _too_large(fact: str) -> ConversionError:
    return ConversionError(f"{fact}; unpack the archive, and give the folder")
