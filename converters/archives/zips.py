"""Zip archives from anywhere: a member is read only if it is whole and no larger than allowed."""

from __future__ import annotations

import zipfile
from io import SEEK_END, BufferedIOBase
from pathlib import Path
from types import TracebackType

from atari_zoo.converters.errors import ConversionError

MEMBERS = 10_000  # torch writes one for each tensor
RATIO = 100  # a member beyond SMALL that shrank so far holds no weights
SMALL = 1 << 20
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
            raise ConversionError("a zip archive that has several members of one name")

    def read(self, name: str, limit: int) -> bytes:
        """A member's content.

        Raises ConversionError if there is no such member, if it is damaged or encrypted, or if
        it takes more than `limit` bytes or is compressed as no weights are.
        """
        shown = ascii(name[-60:])
        member = self._zip.NameToInfo.get(name)
        if member is None:
            raise ConversionError(f"the archive lacks {shown}")
        if member.flag_bits & 1:
            raise ConversionError(f"{shown} is encrypted: save the model without a password")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ConversionError(f"{shown} is compressed by neither of zip's two usual methods")
        if member.file_size > min(limit, max(RATIO * member.compress_size, SMALL)):
            raise ConversionError(
                f"{shown} unpacks from {member.compress_size} to {member.file_size} bytes; at "
                f"most {limit}, and {RATIO} times as many, were expected"
            )
        try:
            with self._zip.open(member) as file:
                content = file.read(limit + 1)
        except Exception as error:  # checksums, lengths, zlib's own errors
            raise ConversionError(f"{shown} in the archive is damaged") from error
        if len(content) != member.file_size:
            raise ConversionError(f"{shown} in the archive is cut short")
        return content

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()


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
    if count > MEMBERS:
        raise ConversionError(f"a zip archive of {count} or more members; {MEMBERS} are enough")


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
