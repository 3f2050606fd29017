"""Zip archives from anywhere: a member is read only if it is whole and no larger than allowed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from io import SEEK_END, BufferedIOBase
from pathlib import Path
from types import TracebackType
from typing import IO

from atari_zoo.converters.errors import ConversionError

MANY = 10_000  # torch writes one for each tensor
RATIO = 100  # a member beyond SMALL that shrank so far holds no weights
SMALL = 1 << 20
DEFLATE = 1032  # as many times as deflate can shrink: 258 bytes for two bits
LAST_RECORD = 22 + (1 << 16)  # bytes at the end that hold it, its comment included


class Archive:
    """An open zip archive; a context manager.

    names: of its members, in their order.
    Raises ConversionError if it is none, is cut short, or has two members of one name.
    """

    def __init__(self, file: Path | BufferedIOBase) -> None:
        _check_count(file)  # first: zipfile makes an object of each
        try:
            self._zip = zipfile.ZipFile(file)
        except Exception as error:  # a damaged directory breaks whatever reads it
            raise ConversionError("not a whole zip archive: damaged, or cut short") from error
        members = self._zip.infolist()
        # the directory of an archive in the archive is found where the outer one is cut off
        if not members or min(member.header_offset for member in members):
            raise ConversionError("not a whole zip archive: cut short")
        self.names = self._zip.namelist()
        if len(set(self.names)) != len(self.names):
            raise ConversionError("a zip archive with twins: several members of one name")

    def read(self, name: str, limit: int) -> bytes:
        """A member's content.

        Raises ConversionError if there is no such member, if it is damaged or encrypted, or if
        it takes more than `limit` bytes or is compressed as no weights are.
        """
        size = self.size(name)
        packed = self._member(name).compress_size
        if size > min(limit, max(RATIO * packed, SMALL)):
            raise ConversionError(
                f"{_shown(name)} unpacks from {packed} to {size} bytes; at most {limit}, and "
                f"{RATIO} times as many, were expected"
            )
        with self.opened(name) as file:
            content = file.read(size + 1)
        if len(content) != size:
            raise ConversionError(f"{_shown(name)} in the archive is cut short")
        return content

    def size(self, name: str) -> int:
        """The bytes that a member says it has; raises ConversionError if there is none such."""
        return self._member(name).file_size

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """A member's content, to be read in order; who reads one byte beyond its end is told if
        there is more, or if the checksum is another.

        Raises ConversionError as `read` does, but for the sizes that it has.
        """
        shown, member = _shown(name), copy(self._member(name))
        if member.flag_bits & 1:
            raise ConversionError(f"{shown} is encrypted: save it without a password")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ConversionError(f"{shown} is compressed by neither of zip's two usual methods")
        if member.file_size > DEFLATE * (member.compress_size + 1):
            raise ConversionError(
                f"{shown} claims {member.file_size} bytes, more than {member.compress_size} hold"
            )
        member.file_size += 1  # what is longer than the directory says would be cut unseen
        try:
            with self._zip.open(member) as file:
                yield file
        except zipfile.BadZipFile as error:
            raise ConversionError(
                f"{shown} in the archive is damaged: it has another checksum or size"
            ) from error
        except ConversionError:
            raise
        except Exception as error:  # damaged headers and streams break whatever reads them
            raise ConversionError(f"{shown} in the archive is damaged, or cut short") from error

    def _member(self, name: str) -> zipfile.ZipInfo:
        member = self._zip.NameToInfo.get(name)
        if member is None:
            raise ConversionError(f"the archive lacks {_shown(name)}")
        return member

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()


def _shown(name: str) -> str:
    return ascii(name[-60:])


def member_names(path: Path) -> list[str]:
    """The names in an archive.

    Raises ConversionError if they are too many, or it is no whole archive.
    """
    _check_count(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception as error:
        raise ConversionError("not a whole zip archive: damaged, or cut short") from error


def _check_count(file: Path | BufferedIOBase) -> None:
    """Raises ConversionError if the archive's last record tells of too many members."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            _check_count(opened)
        return
    size = file.seek(0, SEEK_END)
    file.seek(max(size - LAST_RECORD, 0))
    end = file.read(LAST_RECORD)
    file.seek(0)
    place = end.rfind(b"PK\x05\x06")
    # the largest number stands for more, told elsewhere
    count = int.from_bytes(end[place + 10 : place + 12], "little") if place >= 0 else 0
    if count > MANY:
        raise ConversionError(f"a zip archive of {count} or more members; {MANY} are enough")


def is_zip(start: bytes) -> bool:
    """Whether a file that starts so may be an archive with something in it."""
    return start.startswith(b"PK\x03\x04")


def first_member(start: bytes) -> str:
    """The name of an archive's first member, from its first bytes: all that a cut file tells.

    Empty if they are no archive's.
    """
    if not is_zip(start):
        return ""
    length = int.from_bytes(start[26:28], "little")
    return start[30 : 30 + length].decode("utf-8", "replace")
