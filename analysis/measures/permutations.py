"""Permutation tests of whether a classifier tells classes apart, with runs or episodes as units.

The classifier two-sample test (Lopez-Paz and Oquab, 2017, https://arxiv.org/abs/1610.06545) counts
independent samples. Moments of an episode are not independent; episodes are, or whole runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import factorial, prod

import numpy as np
from jaxtyping import Float, Int

DRAWS = 10_000  # of labellings, where there are more


def labellings(labels: Int[np.ndarray, "units"]) -> int:
    """In how many ways the labels can be dealt out to the units."""
    counts = np.unique(labels, return_counts=True)[1].tolist()
    return factorial(len(labels)) // prod(map(factorial, counts))


def permutation_p(
    scores: Float[np.ndarray, "units classes"], labels: Int[np.ndarray, "units"], seed: int = 0
) -> float:
    """How often units that were labelled at random would be recognised as well as they are.

    scores: the share of each held-out unit's moments that was taken for each class.
    labels: the units' true classes. What is compared is the mean share that is right.
    All labellings are counted where they are no more than 10,000, so that the smallest p is one in
    `labellings`; else as many are drawn, and the true one counts among them.
    """
    units = np.arange(len(labels))
    reached = scores[units, labels].mean() - 1e-12  # sums of the same numbers in another order
    if (count := labellings(labels)) <= DRAWS:
        found = [scores[units, list(dealt)].mean() >= reached for dealt in _dealt(labels.tolist())]
        return sum(found) / count
    random = np.random.default_rng(seed)
    drawn = (random.permutation(labels) for _ in range(DRAWS))
    more = sum(scores[units, dealt].mean() >= reached for dealt in drawn)
    return float((1 + more) / (1 + DRAWS))


def _dealt(labels: list[int]) -> Iterator[tuple[int, ...]]:
    """Every different order of the labels, once."""
    if not labels:
        yield ()
    for first in sorted(set(labels)):
        rest = list(labels)
        rest.remove(first)
        for others in _dealt(rest):
            yield (first, *others)
