"""Recordings on disk: opened, and written from memory.

A recording is a Zarr v3 group, a folder or the same in a `.zip`; `.npz` is the original zoo's form.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from atari_zoo.arrays.lazy import Rows
from atari_zoo.catalog.names import UnknownModel
from atari_zoo.converters.files import written_whole
from atari_zoo.recordings.chunks import ZarrRows
from atari_zoo.recordings.header import Head, head
from atari_zoo.recordings.layout import ALWAYS, LAYERS, LAYOUTS
from atari_zoo.recordings.original_play import open_cached_play
from atari_zoo.recordings.original_saved import save_cached_play
from atari_zoo.recordings.recordings import Recording
from atari_zoo.recordings.stores import group_of, is_url, store_of
from atari_zoo.recordings.writer import RecordingWriter


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
    of = head(dict(group.attrs), store.where)
    found = {name: ZarrRows(group, name, of) for name in of.arrays if of.steps}
    layers = {n.removeprefix(LAYERS): rows for n, rows in found.items() if n.startswith(LAYERS)}
    named: dict[str, Rows] = {n: rows for n, rows in found.items() if not n.startswith(LAYERS)}
    return Recording(
        of.card,
        of.game,
        of.preprocessing,
        of.seed,
        frames=named.pop("colours", None),
        raw_frames=named.pop("frames", None),
        palette=of.palette,
        greys=of.greys,
        activations=layers,
        counted=of.counted,
        returns=None if of.returns is None else np.array(of.returns, float),
        lengths=None if of.lengths is None else np.array(of.lengths, int),
        steps=of.steps * of.envs,
        seconds=of.seconds,
        played=of.played,
        **named,
    )


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
    arrays = arrays_of(recording)
    steps, envs = recording.starts.shape
    of = Head(
        recording.card,
        recording.game,
        recording.preprocessing,
        recording.seed,
        envs,
        palette=recording.palette,
        greys=recording.greys,
        seconds=recording.seconds,
        returns=recording.returns.tolist(),
        lengths=recording.lengths.tolist(),
        played=recording.played,
    )
    with RecordingWriter.of(folder, of, list(arrays)) as writer:
        for at in range(0, steps, of.chunk):
            writer.append_block({n: rows[at : at + of.chunk] for n, rows in arrays.items()})


def arrays_of(recording: Recording) -> dict[str, Rows]:
    """What there is in a recording, by the names that arrays have on disk."""
    found: dict[str, Rows | None] = {
        name: getattr(recording, name)
        for name in (*ALWAYS, *LAYOUTS)
        if name not in ("frames", "colours", "executed")
    }
    found["frames"] = recording.raw_frames
    found["colours"] = recording.frames if recording.raw_frames is None else None
    if recording.executed is not recording.actions:
        found["executed"] = recording.executed
    found |= {f"{LAYERS}{layer}": rows for layer, rows in recording.activations.items()}
    return {name: rows for name, rows in found.items() if rows is not None and len(rows)}


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A folder's name in a place of its own beside `path`; what is left there is removed."""
    place = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield place / path.name
    finally:
        shutil.rmtree(place, ignore_errors=True)
