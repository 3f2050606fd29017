"""Recordings written as the original zoo cached its play, for its notebooks to read.

The arrays are those of `np.savez_compressed` in atari_zoo/rollout.py of
uber-research/atari-model-zoo: names, order, shapes, types.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from atari_zoo.agent_states import recorded_states
from atari_zoo.arrays.lazy import Rows
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.network.foreign import Network
from atari_zoo.layers import activations
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.original_files import ARRAYS
from atari_zoo.recordings.recordings import Recording

ROWS = 64  # steps that are written at once

SHAPE = (4, 84, 84)  # of an observation, in this form


def save_cached_play(
    recording: Recording,
    path: str | Path,
    network: Network | None = None,
    ram: UInt8[np.ndarray, "steps 128"] | None = None,
    layer: str = "fc",
) -> None:
    """Writes a recording of one environment as the original's `model1_final_rollout.npz`.

    recording: with screens or raw frames. Its colour frames, RAM and activations of `layer` are
        written if it has them.
    network: the one that played; its `layer` is written where the recording has not kept that.
    ram: where the recording has not kept it.

    The reward of the last step is lost if its episode did not end: scores stand before steps.
    Raises ValueError if the recording has several environments, no screens or no such layer,
    OSError where the file cannot be written.
    """
    if recording.starts.shape[1:] != (1,):
        raise ValueError(
            f"the recording has {recording.starts.shape[1]} environments; play with envs=1"
        )
    if recording.screens is None and recording.raw_frames is None:
        raise not_kept("screens", "screens", "frames")
    if recording.preprocessing.shape != SHAPE:
        raise ValueError(
            f"observations are {recording.preprocessing.shape} (frames, height, width); this form "
            f"holds {SHAPE} alone: save it as .zarr or .zip"
        )
    steps = len(recording.starts)
    pieces: dict[str, Iterator[np.ndarray]] = {"observations": map(_as_stored, _stacks(recording))}
    if recording.frames is not None:
        pieces["frames"] = _rows(recording.frames)
    if ram is not None:
        pieces["ram"] = _rows(ram[:, None])
    elif recording.ram is not None:
        pieces["ram"] = _rows(recording.ram)
    if layer in recording.activations:
        kept = recording.activations[layer]
        pieces["representation"] = (rows.reshape(len(rows), -1) for rows in _rows(kept))
    elif network is not None:
        pieces["representation"] = _computed(recording, network, layer)
    pieces["score"] = _rows(recording.scores)
    pieces["ep_rewards"] = iter([recording.returns])
    with written_whole(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as file:
        for name, arrays in pieces.items():
            _write(file, name, len(recording.returns) if name == "ep_rewards" else steps, arrays)


def _computed(recording: Recording, network: Network, layer: str) -> Iterator[np.ndarray]:
    """The layer's values, of a network that carries a state as it was."""
    start = 0
    for seen in _stacks(recording):
        steps = slice(start, start + len(seen))
        state = recorded_states(network, recording, steps=steps, layers=[layer])
        yield activations(network, seen, [layer], state=state)[layer].flatten(1).numpy()
        start = steps.stop


def _write(file: zipfile.ZipFile, name: str, rows: int, pieces: Iterator[np.ndarray]) -> None:
    """One array as `np.save` writes it, but in pieces."""
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type = zipfile.ZIP_DEFLATED
    dtype = np.dtype(ARRAYS[name].types[0])
    first = next(pieces, np.zeros(0))
    header = {"descr": dtype.str, "fortran_order": False, "shape": (rows, *first.shape[1:])}
    with file.open(info, "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        member.write(first.astype(dtype).tobytes())
        for piece in pieces:
            member.write(piece.astype(dtype).tobytes())


def _stacks(recording: Recording) -> Iterator[Tensor]:
    """The observations, (steps, 4, 84, 84), a few at a time."""
    for start in range(0, len(recording.starts), ROWS):
        yield recording.observations(steps=slice(start, start + ROWS))


def _as_stored(stacks: Tensor) -> Float[np.ndarray, "steps 84 84 4"]:
    rows = stacks.permute(0, 2, 3, 1).numpy()
    # as ScaledFloatFrame does
    return rows * np.float32(1 / 255) if rows.dtype == np.uint8 else rows


def _rows(array: Rows) -> Iterator[np.ndarray]:
    return (array[start : start + ROWS, 0] for start in range(0, len(array), ROWS))
