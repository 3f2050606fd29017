"""The headers in a tar archive: 512 bytes before each member (POSIX.1-2017, pax; GNU's names).

None of their numbers is believed without a check.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from atari_zoo.converters.errors import ConversionError

BLOCK = 512  # every header and every content fills so many bytes, or a multiple
LARGEST = 1 << 40  # bytes of a member
FILES, FOLDER = (b"0", b"\0", b"7"), b"5"
LONG_NAME, RECORDS, RECORDS_OF_ALL = b"L", b"x", b"g"  # they come before the file they tell of


def size_in(header: bytes) -> int:
    """The size of what follows a header, in bytes.

    Raises ConversionError where the header is damaged.
    """
    unsigned = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if number_in(header[148:156], 8) != unsigned:
        raise ConversionError("the archive is damaged: a header's checksum differs")
    size = header[124:136]
    if size[0] == 0x80:  # GNU's way with sizes of 8 GB and more
        return _checked(int.from_bytes(size[1:]))
    return number_in(size, 8)


def name_in(header: bytes) -> bytes:
    """The name in a header, with the folder that POSIX keeps apart."""
    name = header[:100].partition(b"\0")[0]
    folder = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return folder + b"/" + name if folder else name


def records_in(content: bytes) -> dict[bytes, bytes]:
    """Pax records, each `length key=value` and a line's end.

    Raises ConversionError where they are damaged.
    """
    records = {}
    while content:
        digits, space, _ = content[:20].partition(b" ")
        length = number_in(digits, 10)
        key, equals, value = content[len(digits) + 1 : max(length - 1, 0)].partition(b"=")
        if not (space and equals and len(digits) < length <= len(content)):
            raise ConversionError("the archive is damaged: a record that does not fit")
        records[key] = value
        content = content[length:]
    return records


def number_in(text: bytes, base: int) -> int:
    """A number in digits, spaces or zero bytes around it.

    Raises ConversionError if it is none, or too large for a size.
    """
    digits = text[:20].strip(b" \0") or b"0"
    try:
        number = int(digits, base) if digits.isdigit() else -1
    except ValueError:  # an 8 or 9 in an octal number
        number = -1
    return _checked(number)


def path_in(name: bytes) -> PurePosixPath:
    """A member's path.

    Raises ConversionError if it leads out of the archive.
    """
    path = PurePosixPath(name.decode("utf-8", "replace"))
    if path.is_absolute() or ".." in path.parts:
        raise ConversionError(f"{str(path)!r} in it leads out of the archive")
    return path


def _checked(size: int) -> int:
    if not 0 <= size <= LARGEST:
        raise ConversionError("the archive is damaged: a size in it is no number, or too large")
    return size
