"""Intervals of means by the bootstrap: where the mean of other episodes, or runs, is likely to be.

They are percentiles of the mean under resampling with replacement (Efron and Tibshirani, 1993, An
Introduction to the Bootstrap, chapter 13). Agarwal et al. (2021, https://arxiv.org/abs/2108.13264)
resample runs so, stratified by game; for one game it is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from atari_zoo.seeds import generator_seed

CONFIDENCE, RESAMPLES = 0.95, 10_000
# of fewer, more than 2.5 % of the resamples are the lowest alone (1 of 27, of three): the ends of
# the interval are then the lowest and the highest themselves
FEW = 4
DRAWN = 1 << 18  # numbers at once: 2 MiB


def interval(scores: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The ends of the 95 % interval of the scores' mean; NaN where there are fewer than two.

    Of two or three scores they are the lowest and the highest.
    """
    low, high = bootstrap_band(np.asarray(scores, float)[:, None], seed)
    return float(low[0]), float(high[0])


def bootstrap_band(
    scores: Float[np.ndarray, "runs points"], seed: int = 0
) -> tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]]:
    """The 95 % interval of the mean over runs at each point: its low and its high ends.

    Whole runs are resampled. NaN where there are fewer than two, which say nothing of others; of
    two or three runs, the lowest and the highest.
    """
    runs, points = scores.shape
    if runs < 2 or not points:
        return np.full(points, np.nan), np.full(points, np.nan)
    from scipy.stats import bootstrap  # a second of import that most commands do without

    found = bootstrap(
        (scores,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=min(RESAMPLES, max(1, DRAWN // scores.size)),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(generator_seed(seed)),
    )
    return found.confidence_interval.low, found.confidence_interval.high
