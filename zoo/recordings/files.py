"""Recordings on disk: opened, and written from memory.

A recording is a Zarr v3 group, a folder or the same in a `.zip`; `.npz` is the original zoo's form.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from atari_zoo.catalog.names import UnknownModel
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.files import written_whole
from atari_zoo.recordings.chunks import ZarrRows
from atari_zoo.recordings.header import read_header
from atari_zoo.recordings.original_play import open_cached_play
from atari_zoo.recordings.original_saved import save_cached_play
from atari_zoo.recordings.recordings import Recording
from atari_zoo.recordings.stores import group_of, is_url, store_of
from atari_zoo.recordings.writer import RecordingWriter


@checked
def open_recording(path: str | Path) -> Recording:
    """Opens a recording; reads its attributes, and its arrays when they are asked for.

    path: a folder that `RecordingWriter` or `Recording.save` wrote, the same in a `.zip`, an `.npz`
        file of the original zoo's play, or an address of the first two that fsspec knows, such as
        https://host/play.zarr or s3://bucket/play.zarr; or the name of a model beside which play
        was published, such as uber:a2c/Seaquest/3, which is fetched if it is not here.

    Raises OSError if there is none, ValueError if no play of the model was published,
    ConversionError if it is damaged, something else or a later version's. A chunk that is damaged
    or missing is named when it is read; the others can be.

    >>> open_recording("pong.zarr").frames[1200, 0].shape
    (210, 160, 3)
    """
    if not is_url(path) and Path(path).suffix == ".npz":
        return open_cached_play(path).to_recording(None)
    if not is_url(path) and not Path(path).exists() and (play := _published(str(path))):
        return play
    store = store_of(path)
    group = group_of(store)
    header = read_header(dict(group.attrs), store.where)
    return Recording(
        header, {name: ZarrRows(group, name, header) for name in header.arrays if header.steps}
    )


def as_recording(recording: Recording | str | Path) -> Recording:
    """The recording itself, or the one that `open_recording` finds there."""
    return open_recording(recording) if isinstance(recording, str | Path) else recording


def save_recording(recording: Recording, path: str | Path) -> None:
    """Writes a recording as a folder, a zip archive of one (`.zip`), or as the original (`.npz`).

    Activations become float16. The file or folder is there as a whole or not at all.
    Raises FileExistsError if there is a folder already, OSError where it cannot be written, for
    `.npz` ValueError as `save_cached_play` does.
    """
    path = Path(path)
    if path.suffix == ".npz":
        save_cached_play(recording, path)
    elif path.suffix == ".zip":
        with written_whole(path) as beside, _beside(path) as folder:
            _write(recording, folder)
            with zipfile.ZipFile(beside, "w") as archive:  # the chunks are compressed already
                for file in sorted(p for p in folder.rglob("*") if p.is_file()):
                    archive.write(file, file.relative_to(folder).as_posix())
    else:
        if path.exists():
            raise FileExistsError(f"{path}: is there already; choose another name")
        with _beside(path) as folder:
            _write(recording, folder)
            folder.rename(path)


def _published(name: str) -> Recording | None:
    """The play published of a model; None if that is no model's name."""
    from atari_zoo.recordings.original_published import open_published_play

    try:
        return open_published_play(name).to_recording(None)
    except UnknownModel as error:
        if Path(name).suffix:
            return None
        raise FileNotFoundError(f"{name}: no recording is there, and {error}") from error


def _write(recording: Recording, folder: Path) -> None:
    arrays = recording.all_arrays()
    steps, envs = recording.starts.shape
    header = replace(
        recording.header,
        envs=envs,
        counted=None,
        returns=recording.returns.tolist(),
        lengths=recording.lengths.tolist(),
    )
    with RecordingWriter(folder, header, list(arrays), always=()) as writer:
        for start in range(0, steps, header.chunk):
            block = slice(start, start + header.chunk)
            writer.append_block({name: rows[block] for name, rows in arrays.items()})


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A folder's name in a place of its own beside `path`; what is left there is removed."""
    place = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield place / path.name
    finally:
        shutil.rmtree(place, ignore_errors=True)
