"""Checkpoints as runs tell of them: the original zoo's JSON, and the folders of trainers."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from atari_zoo.converters.formats.dopamine_runs import FOLDER, INDEX, PICKLED, SENTINEL
from atari_zoo.logs.formats import LARGEST, LogError, sniffed
from atari_zoo.logs.json_logs import ITERATION
from atari_zoo.logs.logs import training_log
from atari_zoo.logs.sb3 import FRAME_SKIP
from atari_zoo.logs.tables import FRAMES, numbers

WEIGHTS = re.compile(r"([0-9]{1,15})\.safetensors")  # of the zoo's trainer, named by its frames
# as CheckpointCallback of Stable-Baselines3 names them, by the agent's steps of all environments
ZIPPED = re.compile(r".+_([0-9]{1,15})_steps\.zip")
FACTS = ("frames", "time", "score")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint of a run.

    tag: what it is called, as after the @ in a model's name.
    frames: emulator frames of training. seconds, score: NaN where unknown.
    path: the file or prefix to load; "" where it is not at hand.
    """

    tag: str
    frames: int
    seconds: float = math.nan
    score: float = math.nan
    path: str = ""


def original_checkpoints(file: Path) -> list[Checkpoint]:
    """What the original zoo's checkpoint JSON tells: [{"criteria": tag, "best_checkpoint": {...}}].

    Entries of null are left out: the run never came so far. `Human` is called human, as in the
    models' names. The paths in it are those of its authors' machines, and are left out too.
    Raises LogError if it cannot be read.
    """
    if (size := file.stat().st_size) > LARGEST:
        raise LogError(f"{file}: {size / 1e6:.0f} MB are too large for a list of checkpoints")
    try:
        rows = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise LogError(f"{file}: damaged JSON, or cut short ({type(error).__name__})") from error
    if not isinstance(rows, list) or not all(isinstance(r, dict) and "criteria" in r for r in rows):
        raise LogError(f"{file}: not the original zoo's list of checkpoints")
    found = [(str(row["criteria"]), row.get("best_checkpoint")) for row in rows]
    try:
        return [_original(tag, facts) for tag, facts in found if facts is not None]
    except LogError as error:
        raise LogError(f"{file}: {error}") from error


def _original(tag: str, facts: Any) -> Checkpoint:
    if not isinstance(facts, dict) or not set(FACTS) <= set(facts):
        raise LogError(f"checkpoint '{tag}' does not tell its frames, time and score")
    frames, seconds, score = numbers([facts[key] for key in FACTS], tag).tolist()
    if not 0 <= frames < FRAMES:
        raise LogError(f"checkpoint '{tag}' has {frames} frames")
    return Checkpoint("human" if tag == "Human" else tag, int(frames), seconds, score)


def folder_checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoints in the folder of a run, of the zoo's trainer, Dopamine or Stable-Baselines3.

    Of Dopamine those with a sentinel, if it has any; of Stable-Baselines3 those of its
    CheckpointCallback, in the folder itself or in one called checkpoints. The run's log, where
    there is one, tells times and scores. Raises LogError if there is no checkpoint.
    """
    inside = folder if folder.name == FOLDER else folder / FOLDER
    files = {file.name: file for file in inside.glob("*")}
    log = _log(inside.parent)
    found = []
    for frames, path in _named(WEIGHTS, files).items():
        found.append(_logged(log, "frames", frames, Checkpoint(str(frames), frames, path=path)))
    whole = _named(SENTINEL, files)
    # beside TensorFlow's checkpoints, pickles hold no weights
    iterations = _named(INDEX, files) or _named(PICKLED, files)
    for iteration in iterations.keys() & whole.keys() if whole else iterations:
        path = iterations[iteration].removesuffix(".index")
        checkpoint = Checkpoint(str(iteration), (iteration + 1) * ITERATION, path=path)
        found.append(_logged(log, "iteration", iteration, checkpoint))
    beside = {file.name: file for file in folder.glob("*_steps.zip")}
    for steps, path in _named(ZIPPED, beside | files).items():
        checkpoint = Checkpoint(str(steps * FRAME_SKIP), steps * FRAME_SKIP, path=path)
        found.append(_logged(log, "frames", checkpoint.frames, checkpoint))
    if not found:
        raise LogError(
            f"{folder}: no checkpoints in it: neither {FOLDER}/FRAMES.safetensors of the zoo's "
            f"trainer, nor Dopamine's {FOLDER}/tf_ckpt-N.index or ckpt.N, nor "
            "Stable-Baselines3's NAME_N_steps.zip"
        )
    return found


def _named(pattern: re.Pattern[str], files: Mapping[str, Path]) -> dict[int, str]:
    """The paths of the files that the pattern names, by the number in it."""
    found = ((pattern.fullmatch(name), path) for name, path in files.items())
    return {int(named[1]): str(path) for named, path in found if named}


def _log(run: Path) -> pandas.DataFrame | None:
    try:
        sniffed(run)
    except LogError:
        return None  # no log: neither times nor scores
    return training_log(run)


def _logged(
    log: pandas.DataFrame | None, column: str, last: int, checkpoint: Checkpoint
) -> Checkpoint:
    """The checkpoint with what the log's last row tells whose `column` is not beyond `last`."""
    rows = log[log[column] <= last] if log is not None and column in log else None
    if rows is None or not len(rows):
        return checkpoint
    row = rows.iloc[-1]
    return dataclasses.replace(checkpoint, seconds=float(row["seconds"]), score=float(row["score"]))
