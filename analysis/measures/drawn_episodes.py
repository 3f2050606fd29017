"""Draws of whole episodes, for measures that are no functions of sums, such as ranks and shares."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Shaped

from atari_zoo.intervals import CONFIDENCE
from atari_zoo.seeds import generator_seed


def membership(
    episodes: Shaped[np.ndarray, "states"],
) -> Float[np.ndarray, "states episodes"]:
    """1 where a state is of an episode, else 0; episodes in the order of their numbers."""
    numbers, index = np.unique(episodes, return_inverse=True)
    return np.eye(len(numbers))[index]


def resampled_copies(
    count: int, resamples: int, seed: int
) -> Float[np.ndarray, "resamples episodes"]:
    """How often each of `count` episodes is drawn, in draws of as many with replacement."""
    random = np.random.default_rng(generator_seed(seed))
    drawn: Int[np.ndarray, "resamples episodes"] = random.integers(count, size=(resamples, count))
    return np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(float)


def centred_interval(
    value: float,
    resampled: Float[np.ndarray, "resamples"],
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[float, float]:
    """The 95 % interval of a value: the percentiles of its resamples about their own mean.

    Copies of an episode in a resample shift what is no mean, as a rank or a correlation of many
    components, so that plain percentiles may miss the value itself. NaN where no resample has a
    value.

    limits: what the value cannot be below or above.
    """
    found = resampled[np.isfinite(resampled)]
    if not len(found) or not np.isfinite(value):
        return float("nan"), float("nan")
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(found, [tail, 100 - tail]) - found.mean() + value
    return float(max(min(low, value), limits[0])), float(min(max(high, value), limits[1]))
