"""Changes of a policy: how two networks' outputs differ, state by state, and how sure a mean is.

Divergences are in bits (Lin, 1991, Divergence measures based on the Shannon entropy).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from atari_zoo.intervals import CONFIDENCE, FEW
from atari_zoo.seeds import generator_seed

DRAWS = 2000  # resamples
TAILS = (50 * (1 - CONFIDENCE), 100 - 50 * (1 - CONFIDENCE))  # percent

Outputs = Float[np.ndarray, "states actions"]
PerState = Float[np.ndarray, "states"]


def log_policy(outputs: Outputs) -> Outputs:
    """The logarithms of the outputs' softmax."""
    shifted = outputs.astype(np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def kullback_leibler(outputs: Outputs, others: Outputs) -> PerState:
    """How many bits it costs to code the actions of the first policy by the second, 0 and up."""
    first, second = log_policy(outputs), log_policy(others)
    return np.maximum((np.exp(first) * (first - second)).sum(axis=1) / np.log(2), 0)


def jensen_shannon(outputs: Outputs, others: Outputs) -> PerState:
    """The divergence of two policies from their mean: 0 for the same, 1 bit for disjoint ones."""
    first, second = log_policy(outputs), log_policy(others)
    beyond = np.logaddexp(0, second - first) - np.log(2)  # of the mean's logarithm over the first's
    back = np.logaddexp(0, first - second) - np.log(2)
    parts = (np.exp(first) * beyond).sum(axis=1) + (np.exp(second) * back).sum(axis=1)
    return np.clip(-parts / (2 * np.log(2)), 0, 1)


def agrees(outputs: Outputs, others: Outputs) -> PerState:
    """1 where both have the same best action, else 0."""
    return np.asarray(outputs.argmax(axis=1) == others.argmax(axis=1), float)


def lead_of(outputs: Outputs, actions: Int[np.ndarray, "states"]) -> PerState:
    """By how much an action's output exceeds the best of the others; below 0 where it does not."""
    rows = np.arange(len(outputs))
    others = outputs.astype(np.float64)
    own = others[rows, actions].copy()
    others[rows, actions] = -np.inf
    return np.asarray(own - others.max(axis=1))


def episode_interval(
    values: PerState, episodes: Int[np.ndarray, "states"], seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of the values' mean, whole episodes resampled.

    Of two or three episodes the lowest and the highest mean; NaN of one alone.
    """
    numbers, place = np.unique(episodes, return_inverse=True)
    sums, counts = np.bincount(place, values), np.bincount(place)
    if len(numbers) < 2:
        return float("nan"), float("nan")
    if len(numbers) < FEW:
        means = sums / counts
        return float(means.min()), float(means.max())
    drawn = np.random.default_rng(generator_seed(seed)).integers(
        len(numbers), size=(DRAWS, len(numbers))
    )
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), TAILS)
    return float(low), float(high)


def difference_interval(
    scores: Float[np.ndarray, "episodes"], others: Float[np.ndarray, "others"], seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of the difference of two means, each one's episodes resampled.

    Of two or three episodes on a side, the ends that any two of them have; NaN of one alone.
    """
    fewest = min(len(scores), len(others))
    if fewest < 2:
        return float("nan"), float("nan")
    if fewest < FEW:
        return float(scores.min() - others.max()), float(scores.max() - others.min())
    random = np.random.default_rng(generator_seed(seed))
    means = [
        some[random.integers(len(some), size=(DRAWS, len(some)))].mean(axis=1)
        for some in (scores, others)
    ]
    low, high = np.percentile(means[0] - means[1], TAILS)
    return float(low), float(high)
