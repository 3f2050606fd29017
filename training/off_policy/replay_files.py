"""A replay on disk: at every checkpoint, one file with the rows added since the one before.

run/replay/FIRST-LAST.npz    rows FIRST up to LAST: frames, actions, rewards, endings

A checkpoint so costs what was played since the last, not the millions of frames in the ring.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atari_zoo.converters.files import written_whole
from atari_zoo.training.off_policy.replay import Replay

UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


class Piece(NamedTuple):
    """A file, and the rows in it."""

    first: int
    last: int  # the first row that is not in it
    path: Path


class ReplayFiles:
    """Keeps a replay in `folder`, for the last two checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before, self.saved = 0, 0  # rows added by the last checkpoint but one, by the last

    def write(self, replay: Replay) -> None:
        """Writes what was added since the last time; before the checkpoint that needs it."""
        self.folder.mkdir(exist_ok=True)
        for piece in self._pieces():
            if piece.first >= self.saved:  # of a session that was killed before its checkpoint
                piece.path.unlink()
        first = max(self.saved, replay.added - replay.length)
        if replay.added > first:
            path = self.folder / f"{first:012d}-{replay.added:012d}.npz"
            with written_whole(path) as beside:
                _write(beside, replay.rows(first, replay.added))
        self.before, self.saved = self.saved, replay.added

    def prune(self, replay: Replay) -> None:
        """Deletes what no checkpoint needs any more; after the checkpoint was written."""
        for piece in self._pieces():
            if piece.last <= self.before - replay.length:
                piece.path.unlink()

    def read(self, replay: Replay, added: int) -> None:
        """Fills `replay` as it was when it had been given `added` rows.

        Raises ValueError, naming the file or the rows, where some cannot be read.
        """
        reached = max(0, added - replay.length)
        for first, last, path in self._pieces():
            if last <= reached or last > added:
                continue
            if first > reached:
                break
            rows = _read(path, last - first)
            replay.put(reached, {name: there[:, reached - first :] for name, there in rows.items()})
            reached = last
        if reached < added:
            raise ValueError(
                f"{self.folder}: rows {reached} to {added} of the replay are missing; "
                "put the files back, or begin the run again in another folder"
            )
        self.before = self.saved = replay.added = added

    def _pieces(self) -> list[Piece]:
        pieces = []
        for path in sorted(self.folder.glob("*-*.npz")):
            first, last = path.stem.split("-")
            pieces.append(Piece(int(first), int(last), path))
        return pieces


def _write(path: Path, rows: dict[str, np.ndarray]) -> None:
    # numpy's own savez_compressed has no level; the fastest is small enough for screens
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, values in rows.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def _read(path: Path, rows: int) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("frames", "actions", "rewards", "endings")}
        if any(values.shape[1] != rows for values in arrays.values()):
            raise ValueError(f"not {rows} rows")
    except UNREADABLE as error:
        raise ValueError(
            f"{path}: a piece of the replay that cannot be read, or cut short; "
            "put back a good copy, or begin the run again in another folder"
        ) from error
    return arrays
