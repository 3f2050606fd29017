"""The common table of training logs: checked columns, the same for whatever wrote the log.

algorithm, game, run    strings; "unknown", "" and "1" where nothing tells them
frames                  emulator frames played so far, int64
seconds                 since the run began, NaN where unknown
score                   mean return of recent episodes, as the game counts it; NaN before the first
episodes                that the mean is of, NaN where unknown
...                     what else the source tells
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas
from jaxtyping import Float

from atari_zoo.logs.formats import LogError

NAMES = {"algorithm": "unknown", "game": "", "run": "1"}
NUMERIC = ("frames", "seconds", "score", "episodes")
COLUMNS = (*NAMES, *NUMERIC)
FRAMES = 2**53  # what float64 counts exactly
MOST_COLUMNS = 256  # of a log, those above included
RECENT = 100  # episodes in a running mean, as the zoo's trainer and Stable-Baselines3 take it


def common_table(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> pandas.DataFrame:
    """The table of these columns, of which `frames` and `score` must be there.

    The rows stay in order: a run's are in the order of time. Raises LogError if there are no
    rows, or a column holds what it must not.
    """
    table: dict[str, Any] = dict.fromkeys(COLUMNS)
    frames = numbers(columns["frames"], "frames")
    if not len(frames):
        raise LogError("no rows of training in it")
    if not (np.isfinite(frames) & (frames >= 0) & (frames < FRAMES)).all():
        raise LogError("column 'frames' has values that count no frames")
    for name, unknown in NAMES.items():
        table[name] = [str(value) for value in columns.get(name, [unknown] * len(frames))]
    table["frames"] = frames.astype(np.int64)
    unknown_numbers = np.full(len(frames), math.nan)
    for name in NUMERIC[1:]:
        table[name] = numbers(columns.get(name, unknown_numbers), name)
    for name in columns:
        if name not in COLUMNS:
            table[name] = _plain(columns[name], name)
    return pandas.DataFrame(table)


def numbers(values: Sequence[Any] | np.ndarray, column: str) -> Float[np.ndarray, "rows"]:
    """The values as float64, None as NaN; raises LogError if one is no number."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and values.ndim == 1:
        return values.astype(np.float64)
    result = np.full(len(values), math.nan)
    for row, value in enumerate(values):
        if value is None:
            continue
        if not isinstance(value, int | float | np.number):
            raise LogError(f"column '{column}' has {_shown(value)} in row {row + 1}, not a number")
        try:
            result[row] = value
        except OverflowError as error:
            raise LogError(f"column '{column}' has a number too large in row {row + 1}") from error
    return result


def running_mean(
    returns: Float[np.ndarray, "episodes"],
) -> tuple[Float[np.ndarray, "episodes"], Float[np.ndarray, "episodes"]]:
    """The mean of the last `RECENT` returns at each episode, and of how many it is.

    >>> running_mean(np.array([1.0, 3.0]))
    (array([1., 2.]), array([1., 2.]))
    """
    recent = pandas.Series(returns).rolling(RECENT, min_periods=1)
    return recent.mean().to_numpy(), recent.count().to_numpy()


def _plain(values: Sequence[Any] | np.ndarray, column: str) -> Sequence[Any] | np.ndarray:
    """A column of the source's own: numbers if they all are, else text."""
    if isinstance(values, np.ndarray):
        return values
    if any(isinstance(value, list | tuple | dict) for value in values):
        raise LogError(f"column '{column}' has lists in it, not plain values")
    if any(isinstance(value, str) for value in values):
        return ["" if value is None else str(value) for value in values]
    return numbers(values, column)


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
