"""Scores of probes over folds, with intervals, and beside them what they are in the controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from atari_zoo.analysis.measures.predictions import (
    balanced_accuracy,
    class_rows,
    quantity_rows,
    r_squared,
    weighted_f1,
)
from atari_zoo.analysis.measures.resampling import measure_interval
from atari_zoo.analysis.probing.ridge import Prediction
from atari_zoo.analysis.probing.targets import ProbeTarget

QUANTITY, CATEGORY = ("r2",), ("balanced_accuracy", "weighted_f1")
MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "r2": r_squared,
    "balanced_accuracy": balanced_accuracy,
    "weighted_f1": weighted_f1,
}


class Ranged(NamedTuple):
    """value, low, high: of a measure, or of its difference to another's."""

    value: float
    low: float
    high: float


Sums = dict[str, Float[np.ndarray, "episodes numbers"]]


def summed(
    target: ProbeTarget, predictions: Sequence[Prediction], episodes: Int[np.ndarray, "moments"]
) -> Sums:
    """For each measure of the target, what it sums, over each episode; folds are put together.

    A row for every episode there is, of zeros where none of its moments was tested.
    """
    tested = np.concatenate([prediction.moments for prediction in predictions])
    truth = target.values[tested]
    if target.classes is None:
        told = np.concatenate([prediction.values[:, 0] for prediction in predictions])
        return {"r2": _by_episode(quantity_rows(truth, told), episodes, tested)}
    found = {}
    for name in CATEGORY:
        told = np.concatenate([_class(prediction, name) for prediction in predictions])
        rows = class_rows(truth.astype(int), told, len(target.classes))
        found[name] = _by_episode(rows, episodes, tested)
    return found


def ranged(sums: Float[np.ndarray, "episodes numbers"], measure: str, seed: int = 0) -> Ranged:
    """A measure and its interval."""
    kept = sums[sums.any(1)]
    function = MEASURES[measure]
    low, high = measure_interval(kept, function, seed)
    return Ranged(float(function(kept.sum(0))), float(low), float(high))


def gain(
    sums: Float[np.ndarray, "episodes numbers"],
    control: Float[np.ndarray, "episodes numbers"],
    measure: str,
    seed: int = 0,
) -> Ranged:
    """How much more a measure is than the control's, the same episodes resampled of both.

    R^2 counts as 0 where it is negative: a probe that is worse than the mean knows nothing, and how
    much worse it is says nothing of what it was asked about.
    """
    function = MEASURES[measure]
    kept = np.stack([sums, control], axis=1)[sums.any(1)]

    def difference(both: np.ndarray) -> np.ndarray:
        own, other = (np.maximum(function(both[..., side, :]), 0) for side in (0, 1))
        return np.asarray(own - other)

    low, high = measure_interval(kept, difference, seed)
    return Ranged(float(difference(kept.sum(0))), float(low), float(high))


def _class(prediction: Prediction, measure: str) -> Int[np.ndarray, "tested"]:
    """The class that is told: for balanced accuracy, which weighs rare ones as much, the one that
    is the most likelier than its share."""
    values = prediction.values
    if measure == "balanced_accuracy":
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(prediction.shares > 0, values / prediction.shares, -np.inf)
    return values.argmax(1)


def _by_episode(
    rows: Float[np.ndarray, "tested numbers"],
    episodes: Int[np.ndarray, "moments"],
    tested: Int[np.ndarray, "tested"],
) -> Float[np.ndarray, "episodes numbers"]:
    sums = np.zeros((episodes.max() + 1, rows.shape[1]))
    np.add.at(sums, episodes[tested], rows)
    return sums
