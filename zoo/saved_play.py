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

from atari_zoo.cached_files import ARRAYS
from atari_zoo.converters.files import written_whole
from atari_zoo.layers import activations
from atari_zoo.models import Network
from atari_zoo.recordings import Recording

ROWS = 64  # steps that are written at once


def save_cached_play(
    recording: Recording,
    path: str | Path,
    network: Network | None = None,
    ram: UInt8[np.ndarray, "steps 128"] | None = None,
    layer: str = "fc",
) -> None:
    """Writes a recording of one environment as the original's `model1_final_rollout.npz`.

    recording: with screens, and with frames if those are to be written.
    network: the one that played; its `layer` is written as `representation`. Without it, and
        without `ram`, which recordings do not keep, the file lacks those arrays.

    The reward of the last step is lost if its episode did not end: scores stand before steps.
    Raises ValueError if the recording has several environments, no screens or no such layer,
    OSError where the file cannot be written.
    """
    if recording.starts.shape[1:] != (1,):
        raise ValueError(
            f"the recording has {recording.starts.shape[1]} environments; play with envs=1"
        )
    if recording.screens is None:
        raise ValueError("no screens in this recording: record with keep=['screens', 'frames']")
    steps = len(recording.starts)
    pieces: dict[str, Iterator[np.ndarray]] = {"observations": map(_as_stored, _stacks(recording))}
    if recording.frames is not None:
        pieces["frames"] = _rows(recording.frames[:, 0])
    if ram is not None:
        pieces["ram"] = _rows(ram)
    if network is not None:
        pieces["representation"] = (
            activations(network, seen, [layer])[layer].flatten(1).numpy()
            for seen in _stacks(recording)
        )
    pieces["score"] = _rows(recording.scores[:, 0])
    pieces["ep_rewards"] = _rows(recording.returns)
    with written_whole(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as file:
        for name, arrays in pieces.items():
            _write(file, name, len(recording.returns) if name == "ep_rewards" else steps, arrays)


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
    """The observations, (steps, 4, 84, 84) uint8, a few at a time."""
    assert recording.screens is not None
    before = recording.preprocessing.stack - 1
    for at in range(0, len(recording.screens), ROWS):
        since = max(0, at - before)
        part = Recording(
            recording.card,
            recording.game,
            recording.preprocessing,
            recording.seed,
            screens=recording.screens[since : at + ROWS],
            starts=recording.starts[since : at + ROWS],
        )
        yield part.observations()[at - since :]


def _as_stored(stacks: Tensor) -> Float[np.ndarray, "steps 84 84 4"]:
    return stacks.permute(0, 2, 3, 1).numpy() * np.float32(1 / 255)  # as ScaledFloatFrame does


def _rows(array: np.ndarray) -> Iterator[np.ndarray]:
    return (array[at : at + ROWS] for at in range(0, len(array), ROWS))
