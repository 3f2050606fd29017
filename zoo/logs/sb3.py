"""Logs that Stable-Baselines3 writes: `monitor.csv` and `evaluations.npz`.

From stable_baselines3/common/monitor.py and callbacks.py (`EvalCallback`), whose files are the
same in Stable-Baselines 2 and in RL Zoo's published runs.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from atari_zoo.converters.archives.zips import first_member
from atari_zoo.converters.environment_ids import game_of
from atari_zoo.logs.formats import LARGEST, LogError, log_reader
from atari_zoo.logs.tables import common_table, running_mean

FRAME_SKIP = 4  # of AtariWrapper, and of the environments that repeat actions themselves


@log_reader(
    "monitor",
    "Stable-Baselines3's monitor.csv",
    sniff=lambda start: start.startswith(b"#{") and b"t_start" in start,
    inside=["*monitor.csv"],
)
def read_monitor(files: Sequence[Path]) -> pandas.DataFrame:
    """All copies of the game together; a file alone counts its own copy's frames."""
    return monitor_table({file.name: file.read_bytes() for file in files})


def monitor_table(contents: Mapping[str, bytes]) -> pandas.DataFrame:
    """The common table of monitor files, by their names: a row at each episode's end.

    score is the mean of the last 100 returns, `return` and `length` (in steps) are the episode's
    own. The monitor stands next to the emulator, inside the wrapper that repeats actions: in
    `BreakoutNoFrameskip-v4` its steps are single frames.
    """
    copies = [_episodes(name, content) for name, content in contents.items()]
    # as Stable-Baselines3's `load_results` has it: times count from the first copy's start
    begun = min(header["t_start"] for header, _ in copies)
    for header, episodes in copies:
        episodes["t"] += header["t_start"] - begun
    together = pandas.concat([episodes for _, episodes in copies], ignore_index=True)
    together = together.sort_values("t", kind="stable", ignore_index=True)
    environment = str(copies[0][0].get("env_id", ""))
    skip = 1 if "NoFrameskip" in environment else FRAME_SKIP
    score, episodes = running_mean(together["r"].to_numpy())
    return common_table(
        {
            "game": [game_of(environment)] * len(together),
            "frames": together["l"].cumsum().to_numpy() * skip,
            "seconds": together["t"].to_numpy(),
            "score": score,
            "episodes": episodes,
            "return": together["r"].to_numpy(),
            "length": together["l"].to_numpy(),
        }
    )


def _episodes(name: str, content: bytes) -> tuple[dict[str, Any], pandas.DataFrame]:
    """The header, and the columns r (return), l (steps) and t (seconds) as float64."""
    head, _, body = content.partition(b"\n")
    try:
        header = json.loads(head[1:])
        header["t_start"] = float(header["t_start"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LogError(f"{name}: the first line is damaged") from error
    body = body[: body.rfind(b"\n") + 1]  # a line that was not ended is passed over
    try:
        episodes = pandas.read_csv(io.BytesIO(body), usecols=["r", "l", "t"], dtype="float64")
    except ValueError as error:  # pandas's own errors are ValueErrors
        raise LogError(f"{name}: the rows of r, l, t are damaged") from error
    if not np.isfinite(episodes.to_numpy()).all():
        raise LogError(f"{name}: rows of r, l, t have numbers missing")
    return header, episodes


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
    """
    arrays = _arrays(content)
    steps, results = arrays["timesteps"], arrays["results"]
    if steps.ndim != 1 or results.ndim != 2 or len(results) != len(steps) or not results.size:
        raise LogError(f"timesteps {steps.shape} and results {results.shape} do not agree")
    columns = {
        "frames": steps * float(FRAME_SKIP),
        "score": results.mean(axis=1),
        "episodes": np.full(len(steps), results.shape[1]),
    }
    lengths = arrays.get("ep_lengths")
    if lengths is not None and lengths.shape == results.shape:
        columns["length"] = lengths.mean(axis=1)
    return common_table(columns).sort_values("frames", kind="stable", ignore_index=True)


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
