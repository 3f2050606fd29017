"""The divergence that t-SNE lowers (van der Maaten and Hinton, 2008), exact, of any embedding.

What tools report is approximate: Barnes-Hut's and the interpolated one differ from each other by a
tenth at the same places. Here every pair of points counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Real

AT_ONCE = 1 << 22  # distances: 32 MiB


def affinities(
    points: Real[np.ndarray, "points features"], perplexity: float, jobs: int = 1
) -> Any:
    """openTSNE's affinities between the points, of exact neighbours: three times the perplexity.

    Their `P` is a sparse matrix of all points by all points, symmetric, that sums to 1.
    Raises ValueError where the points are too few for the perplexity.
    """
    count, most = len(points), (len(points) - 1) / 3
    if not 1 <= perplexity <= most:
        raise ValueError(
            f"perplexity is {perplexity:g}, which takes {3 * perplexity:.0f} neighbours of each "
            f"point; of {count} points it may be 1 to {most:.0f}: give another, or more moments"
        )
    from openTSNE.affinity import PerplexityBasedNN

    numbers = np.asarray(points, float)
    return PerplexityBasedNN(numbers, perplexity=perplexity, method="exact", n_jobs=jobs)


def exact_divergence(
    probabilities: Any,
    embedding: Real[np.ndarray, "points axes"],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> float:
    """KL(P || Q) in nats, P the sparse `probabilities`, Q of t-SNE in the embedding: all pairs.

    progress: called with the points done and those there are.
    """
    places = np.asarray(embedding, float)
    pairs = probabilities.tocoo()
    near = ((places[pairs.row] - places[pairs.col]) ** 2).sum(axis=1)
    held = pairs.data > 0
    p = pairs.data[held]
    # log q = -log(1 + d^2) - log Z
    kept = (p * np.log(p)).sum() + (p * np.log1p(near[held])).sum()
    return float(kept + p.sum() * np.log(_normalizer(places, progress)))


def _normalizer(
    places: Float[np.ndarray, "points axes"], progress: Callable[[int, int], None]
) -> float:
    """Z, the sum over all pairs of different points of 1 / (1 + d^2)."""
    from scipy.spatial.distance import cdist

    count, total = len(places), 0.0
    chunk = max(1, AT_ONCE // count)
    for begin in range(0, count, chunk):
        similar = cdist(places[begin : begin + chunk], places, "sqeuclidean")
        similar += 1
        np.reciprocal(similar, out=similar)
        total += float(similar.sum()) - len(similar)  # a point with itself: 1
        progress(begin + len(similar), count)
    return total
