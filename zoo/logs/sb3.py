"""Logs that Stable-Baselines3 writes: `evaluations.npz` of its `EvalCallback`.

From stable_baselines3/common/callbacks.py, whose file is the same in Stable-Baselines 2 and in RL
Zoo's published runs.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas

from atari_zoo.converters.archives.zips import first_member
from atari_zoo.logs.formats import LARGEST, LogError, log_reader
from atari_zoo.logs.tables import common_table

FRAME_SKIP = 4  # steps are the agent's


@log_reader(
    "evaluations",
    "Stable-Baselines3's evaluations.npz",
    sniff=lambda start: first_member(start) in ("timesteps.npy", "results.npy"),
    inside=["evaluations.npz"],
)
def read_evaluations(files: Sequence[Path]) -> pandas.DataFrame:
    """Wall time is not in the file."""
    return evaluations_table(files[0].read_bytes())


def evaluations_table(content: bytes) -> pandas.DataFrame:
    """The common table of an `evaluations.npz`: a row an evaluation.

    score is the mean return of its episodes, `length` their mean steps; steps are the agent's.
    Where their count begins anew, as in a second `learn`, it goes on from the one before.
    """
    arrays = _arrays(content)
    steps, results = arrays["timesteps"], arrays["results"]
    if steps.ndim != 1 or results.ndim != 2 or len(results) != len(steps) or not results.size:
        raise LogError(f"timesteps {steps.shape} and results {results.shape} do not agree")
    before = np.concatenate([[0.0], np.where(np.diff(steps) < 0, steps[:-1], 0)])
    columns = {
        "frames": (steps + before.cumsum()) * FRAME_SKIP,
        "score": results.mean(axis=1),
        "episodes": np.full(len(steps), results.shape[1]),
    }
    lengths = arrays.get("ep_lengths")
    if lengths is not None and lengths.shape == results.shape:
        columns["length"] = lengths.mean(axis=1)
    return common_table(columns)


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST:
            raise LogError(f"{size / 1e6:.0f} MB when unpacked, more than {LARGEST / 1e6:.0f}")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            wanted = [key for key in ("timesteps", "results", "ep_lengths") if key in stored]
            arrays = {key: np.asarray(stored[key], np.float64) for key in wanted}
    except LogError:
        raise
    except Exception as error:  # a damaged archive makes its readers fail in every way
        raise LogError(f"damaged, or cut short ({type(error).__name__})") from error
    for key in ("timesteps", "results"):
        if key not in arrays:
            raise LogError(f"no array '{key}' in it")
    return arrays
