"""Logs of Dopamine's runs: the pickles `logs/log_N`.

What is in them is told in dopamine/discrete_domains/logger.py, iteration_statistics.py and
run_experiment.py (https://github.com/google/dopamine): {"iteration_0": {"train_episode_lengths":
[...], "train_episode_returns": [...], "train_average_return": [mean], "eval_average_return":
[mean], "train_average_steps_per_second": [rate]}}, of all iterations until N.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles import safe_pickle
from atari_zoo.logs.formats import LogError, log_reader
from atari_zoo.logs.tables import common_table

FRAME_SKIP = 4  # emulator frames in a step of the agent
ITERATIONS = 100_000  # published runs have 200
NUMBERED = re.compile(r"log_([0-9]{1,9})")


@log_reader(
    "dopamine",
    "Dopamine's log_N",
    # a pickle of protocol 2 or later, with the first key near its start
    sniff=lambda start: start.startswith(b"\x80") and b"iteration_" in start,
    inside=["logs/log_[0-9]*", "log_[0-9]*"],
)
def read_dopamine(files: Sequence[Path]) -> pandas.DataFrame:
    """The latest of the files, a row at each iteration's end: score is the mean return of its
    training episodes, `evaluation` that of the episodes played afterwards without learning.

    Frames are those of training. An iteration that is missing counts as long as the others.
    """
    with max(files, key=_number).open("rb") as file:
        try:
            content = safe_pickle.load_pickle(file)
        except ConversionError as error:
            raise LogError(str(error)) from error
    iterations = _iterations(content)
    rows = pandas.DataFrame(
        [_row(statistics) for statistics in iterations.values()], index=list(iterations)
    )
    every = rows.reindex(range(rows.index.max() + 1)).sort_index()
    for column in ("steps", "seconds"):
        every[column] = every[column].fillna(every[column].mean()).cumsum()
    rows = every.loc[sorted(iterations)]
    return common_table(
        {
            "frames": rows["steps"].to_numpy() * FRAME_SKIP,
            "seconds": rows["seconds"].to_numpy(),
            "score": rows["score"].to_numpy(),
            "episodes": rows["episodes"].to_numpy(),
            "iteration": rows.index.to_numpy(),
            "evaluation": rows["evaluation"].to_numpy(),
        }
    )


def _number(file: Path) -> int:
    found = NUMBERED.fullmatch(file.name)
    return int(found[1]) if found else -1


def _iterations(content: Any) -> dict[int, dict[Any, Any]]:
    """The statistics by the number of the iteration."""
    if not isinstance(content, dict):
        raise LogError(f"a dictionary of iterations was expected, not {type(content).__name__}")
    found = {}
    for key, statistics in content.items():
        named = re.fullmatch(r"iteration_([0-9]{1,9})", str(key))
        if named is None or not isinstance(statistics, dict):
            raise LogError(f"{ascii(key)[:40]} is no iteration of Dopamine's")
        found[int(named[1])] = statistics
    if not found:
        raise LogError("no iterations in it")
    if max(found) >= ITERATIONS:
        raise LogError(f"iteration {max(found)}: more than {ITERATIONS} are not read")
    return found


def _row(statistics: dict[Any, Any]) -> dict[str, float]:
    lengths = _values(statistics, "train_episode_lengths")
    returns = _values(statistics, "train_episode_returns")
    rate = _mean(_values(statistics, "train_average_steps_per_second"))
    return {
        # of an iteration without the episodes' lengths: as long as Dopamine's are by default
        "steps": lengths.sum() if len(lengths) else 250_000.0,
        "seconds": lengths.sum() / rate if rate > 0 else math.nan,
        "score": _mean(returns if len(returns) else _values(statistics, "train_average_return")),
        "episodes": float(len(returns)) if len(returns) else math.nan,
        "evaluation": _mean(_values(statistics, "eval_average_return")),
    }


def _values(statistics: dict[Any, Any], key: str) -> np.ndarray:
    try:
        return np.atleast_1d(np.asarray(statistics.get(key, []), np.float64)).ravel()
    except (TypeError, ValueError) as error:
        raise LogError(f"'{key}' has values that are no numbers") from error


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
