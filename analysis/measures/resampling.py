"""Intervals of what is not a mean, such as R^2 or a correlation, by resampling whole episodes.

Such measures are functions of sums over moments. Each episode's sums are kept; a resample adds up
those of the episodes that were drawn, so that ten thousand of them are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from atari_zoo.analysis.measures.drawn_episodes import centred_interval
from atari_zoo.intervals import CONFIDENCE, FEW, RESAMPLES
from atari_zoo.seeds import generator_seed

Measure = Callable[[np.ndarray], np.ndarray]
LARGEST = 1 << 22  # numbers at once: 32 MiB
WORDS = (
    f"{CONFIDENCE:.0%} bootstrap, whole episodes resampled; of fewer than {FEW} episodes the "
    "lowest and highest of all resamples; missing where there is one alone"
)


def episode_sums(
    rows: Float[np.ndarray, "moments numbers"], episodes: Int[np.ndarray, "moments"]
) -> Float[np.ndarray, "episodes numbers"]:
    """The sums of the rows of each episode that has any."""
    _, numbers = np.unique(episodes, return_inverse=True)
    sums = np.zeros((numbers.max(initial=-1) + 1, rows.shape[1]))
    np.add.at(sums, numbers, rows)
    return sums


def measure_interval(
    sums: Float[np.ndarray, "episodes *numbers"], measure: Measure, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of a measure of sums: its low and its high ends; NaN of a single episode.

    measure: (resamples, *numbers) to (resamples, ...), NaN where it is not defined.
    """
    count = len(sums)
    if count < 2:
        alone = measure(sums.sum(0, keepdims=True))[0]
        return np.full_like(alone, np.nan), np.full_like(alone, np.nan)
    values = _resampled(sums, measure, seed)
    tail = 0.0 if count < FEW else (1 - CONFIDENCE) / 2 * 100
    known = np.asarray(np.isfinite(values).any(axis=0))
    values = np.where(known, values, 0)  # nanpercentile warns of nothing but NaN
    low, high = np.nanpercentile(values, [tail, 100 - tail], axis=0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def centred_measure_interval(
    sums: Float[np.ndarray, "episodes *numbers"],
    measure: Measure,
    limits: tuple[float, float],
    seed: int = 0,
) -> tuple[float, float]:
    """The same of a single measure that copies of an episode raise, as they do information: the
    resamples about their own mean, as `centred_interval` has it."""
    if len(sums) < 2:
        return float("nan"), float("nan")
    value = float(measure(sums.sum(0, keepdims=True))[0])
    return centred_interval(value, _resampled(sums, measure, seed), limits)


def _resampled(
    sums: Float[np.ndarray, "episodes *numbers"], measure: Measure, seed: int
) -> np.ndarray:
    drawn = resample_counts(len(sums), seed)
    step = max(1, LARGEST // max(1, sums[0].size))
    flat = sums.reshape(len(sums), -1)
    return np.concatenate(
        [
            measure((drawn[begin : begin + step] @ flat).reshape(-1, *sums.shape[1:]))
            for begin in range(0, len(drawn), step)
        ]
    )


@lru_cache(maxsize=8)
def resample_counts(count: int, seed: int) -> Float[np.ndarray, "resamples episodes"]:
    """How often each episode is drawn in each resample."""
    random = np.random.default_rng(generator_seed(seed))
    return random.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(float)
