"""The members of a zip archive, each to be read from any byte on.

The format: PKWARE's APPNOTE.TXT 4.3. Archives come from anywhere: sizes are not believed.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from atari_zoo.arrays.zip_streams import ZipStream
from atari_zoo.converters.errors import ConversionError, naming

MEMBERS = 1_000
RATIO = 1032  # deflate's best: 258 bytes for two bits


def zip_members(path: Path) -> dict[str, ZipStream]:
    """The members by their names; nothing is inflated yet.

    Raises ConversionError, naming the file, if it is no whole zip archive, or one with members
    that are encrypted, compressed in an unusual way, or of impossible sizes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
    except OSError:
        raise
    except Exception as error:  # a damaged directory breaks whatever reads it
        raise ConversionError(f"{path}: not a whole zip archive: damaged, or cut short") from error
    names = {info.filename for info in found}
    if len(names) != len(found) or len(found) > MEMBERS:
        raise ConversionError(f"{path}: a zip archive with twins among its {len(found)} members")
    with naming(path):
        return {info.filename: _stream(path, info) for info in found}


def _stream(path: Path, info: zipfile.ZipInfo) -> ZipStream:
    name, size, packed = info.filename, info.file_size, info.compress_size
    if info.flag_bits & 1:
        raise ConversionError(f"'{name}' is encrypted: save it without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ConversionError(f"'{name}' is compressed by neither of zip's two usual methods")
    if size > RATIO * (packed + 1):
        raise ConversionError(f"'{name}' claims {size} bytes, more than {packed} can hold")
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    return ZipStream(path, name, size, _data_start(path, info), packed, info.CRC, deflated)


def _data_start(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the packed bytes begin: behind a header whose length only itself tells."""
    at = info.header_offset  # below 0 where the directory's own place is wrong
    with path.open("rb") as file:
        file.seek(max(at, 0))
        header = file.read(30)
    if at < 0 or len(header) < 30 or not header.startswith(b"PK\3\4"):
        raise ConversionError(f"'{info.filename}' in the archive is damaged, or cut short")
    name, extra = struct.unpack("<HH", header[26:])
    return int(at + len(header) + name + extra)
