"""Means over moments, and their intervals when whole episodes are resampled."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

from atari_zoo.intervals import CONFIDENCE, FEW
from atari_zoo.seeds import generator_seed

RESAMPLES = 2_000


def pooled_interval(
    values: Float[np.ndarray, "moments"], units: Shaped[np.ndarray, "moments"], seed: int = 0
) -> tuple[float, float, float]:
    """The mean over moments, and the ends of its 95 % interval: a long episode counts for more.

    units: the episode of each moment. NaN where there is one episode alone; of two or three, the
    lowest and the highest of their means.
    """
    _, numbers = np.unique(units, return_inverse=True)
    sums, counts = np.bincount(numbers, values), np.bincount(numbers)
    mean = float(sums.sum() / counts.sum())
    if len(sums) < 2:
        return mean, float("nan"), float("nan")
    if len(sums) < FEW:
        return mean, float((sums / counts).min()), float((sums / counts).max())
    random = np.random.default_rng(generator_seed(seed))
    drawn = random.integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return mean, float(low), float(high)
