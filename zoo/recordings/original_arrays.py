"""Cached play as Zarr arrays: made once of the original's `.npz`, and kept in the cache.

A file that was fetched has its arrays beside it, `NAME.zarr.zip`; those of others are in the
cache's folder `play`, called after a hash of the file's path, size and time.
"""

from __future__ import annotations

import atexit
import hashlib
import math
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, TransposeCodec, ZstdCodec
from zarr.storage import ZipStore

from atari_zoo.arrays.stored import StoredArray
from atari_zoo.converters.archives.npy import NpzArray
from atari_zoo.converters.archives.zips import Archive
from atari_zoo.converters.errors import ConversionError, naming
from atari_zoo.converters.files import written_whole
from atari_zoo.downloads.cache import PLAY, root
from atari_zoo.progress import progress_bar
from atari_zoo.recordings.original_files import ARRAYS, cached_arrays
from atari_zoo.recordings.stores import group_of, store_of

SUFFIX = ".zarr.zip"
CHUNK = 4 << 20  # bytes, unpacked
LEVEL = 3  # of Zstandard


def stored_arrays(path: Path) -> dict[str, StoredArray]:
    """The arrays of a file of cached play, by name; converted first if they were not yet.

    Raises ConversionError, naming the file, if it is damaged or no cached play, OSError if there
    is none, or no room for its arrays.
    """
    place = _place(path)
    if place.is_file() and place.stat().st_mtime_ns >= path.stat().st_mtime_ns:
        with suppress(ConversionError):  # a damaged one is made anew
            return _opened(place)
    with naming(path), Archive(path) as archive:
        arrays = cached_arrays(archive)
        try:
            _convert(arrays, place)
        except OSError:  # the cache is full, or only to be read: for this process, then
            folder = tempfile.mkdtemp(prefix="atari-zoo-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            place = Path(folder) / place.name
            _convert(arrays, place)
    return _opened(place)


def _place(path: Path) -> Path:
    """Where a file's arrays are, or will be. Raises OSError if there is no such file."""
    path = path.resolve()
    facts = path.stat()
    if path.is_relative_to(root().resolve()):
        return path.with_suffix(SUFFIX)
    key = f"{path} {facts.st_size} {facts.st_mtime_ns}"
    return root() / PLAY / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}{SUFFIX}"


def _convert(arrays: Mapping[str, NpzArray], place: Path) -> None:
    """Writes all arrays, rows in chunks; the file is there as a whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    total = sum(array.shape[0] for array in arrays.values())
    with (
        progress_bar("converting cached play", "rows") as update,
        written_whole(place) as beside,
        ZipStore(beside, mode="w") as store,
    ):
        group, done = zarr.create_group(store, zarr_format=3), 0
        for name, array in arrays.items():
            row = math.prod(array.shape[1:]) * array.dtype.itemsize
            rows = max(1, min(CHUNK // max(row, 1), array.shape[0]))
            stored = _new(group, name, array, rows)
            for number, piece in enumerate(array.pieces(rows)):
                stored[number * rows : number * rows + len(piece)] = piece
                done += len(piece)
                update(done, total)


def _new(group: zarr.Group, name: str, array: NpzArray, rows: int) -> zarr.Array[Any]:
    # the frames of a stack apart, so that those that come again in the next one are seen to
    stacks = [TransposeCodec(order=(0, 3, 1, 2))] if len(array.shape) == 4 else []
    return group.create_array(
        name,
        shape=array.shape,
        chunks=(rows, *array.shape[1:]),
        dtype=array.dtype,
        filters=stacks,
        serializer=BytesCodec(),
        compressors=[ZstdCodec(level=LEVEL), Crc32cCodec()],
        fill_value=0,
        config={"write_empty_chunks": True},  # so that a chunk that is missing was lost
    )


def _opened(place: Path) -> dict[str, StoredArray]:
    group = group_of(store_of(place))
    found = {name: group.get(name) for name in ARRAYS}
    return {name: StoredArray(a) for name, a in found.items() if isinstance(a, zarr.Array)}
