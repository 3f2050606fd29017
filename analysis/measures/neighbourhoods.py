"""Neighbourhoods that an embedding keeps: trustworthiness and preservation, exact for each row.

Trustworthiness is that of Venna and Kaski (2001, Neighborhood preservation in nonlinear projection
methods). scikit-learn's makes three matrices of all points by all points, 48 GB at the paper's
45,018 points; here some rows stand for all, and each is compared with all points.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Real

AT_ONCE = 1 << 23  # distances: 64 MiB


def drawn_rows(points: int, rows: int, seed: int = 0) -> Int[np.ndarray, "rows"]:
    """`rows` of the points, without replacement and in order; all where there are no more."""
    if rows >= points:
        return np.arange(points)
    return np.sort(np.random.default_rng(seed).choice(points, rows, replace=False))


def embedded_ranks(
    points: Real[np.ndarray, "points features"],
    embedding: Real[np.ndarray, "points axes"],
    neighbours: int = 15,
    rows: Int[np.ndarray, "rows"] | None = None,
) -> Int[np.ndarray, "rows neighbours"]:
    """The rank, among a point's neighbours, of those that are nearest to it in the embedding.

    rows: of which points; all if not given.
    The nearest other point has rank 1; a rank is one more than how many points are strictly
    nearer, so that of points at one distance each has the first's.
    Raises ValueError where there are not twice as many points as neighbours.
    """
    count = len(points)
    if not 0 < neighbours < count / 2:
        raise ValueError(
            f"{neighbours} neighbours of {count} points; trustworthiness is defined for 1 to "
            f"{max(0, (count - 1) // 2)}: give fewer neighbours or more points"
        )
    chosen = np.arange(count) if rows is None else rows
    chunk = max(1, AT_ONCE // count)
    parts = [
        _ranks(points, embedding, neighbours, chosen[begin : begin + chunk])
        for begin in range(0, len(chosen), chunk)
    ]
    return np.concatenate(parts)


def trustworthiness(
    ranks: Int[np.ndarray, "rows neighbours"], points: int
) -> Float[np.ndarray, "rows"]:
    """Of each row, of `embedded_ranks`; their mean is the embedding's: 1 is best, chance is .5.

    points: how many there are.
    """
    neighbours = ranks.shape[1]
    strangers = np.maximum(ranks - neighbours, 0).sum(axis=1)
    return 1 - strangers * 2 / (neighbours * (2 * points - 3 * neighbours - 1))


def preservation(ranks: Int[np.ndarray, "rows neighbours"]) -> Float[np.ndarray, "rows"]:
    """The share of each row's nearest in the embedding that are its nearest before it, too."""
    return (ranks <= ranks.shape[1]).mean(axis=1)


def nearest_others(
    points: Real[np.ndarray, "points axes"], neighbours: int, rows: Int[np.ndarray, "rows"]
) -> Int[np.ndarray, "rows neighbours"]:
    """The nearest other points of some, in no order."""
    chunk = max(1, AT_ONCE // len(points))
    parts = [
        _distances(points, rows[begin : begin + chunk]).argpartition(neighbours - 1, axis=1)
        for begin in range(0, len(rows), chunk)
    ]
    return np.concatenate(parts)[:, :neighbours]


def neighbour_overlap(
    one: Real[np.ndarray, "points axes"],
    other: Real[np.ndarray, "points axes"],
    neighbours: int = 15,
    rows: Int[np.ndarray, "rows"] | None = None,
) -> float:
    """The share of a point's nearest in one embedding that are its nearest in the other: 0 to 1."""
    chosen = np.arange(len(one)) if rows is None else rows
    pairs = zip(
        nearest_others(one, neighbours, chosen),
        nearest_others(other, neighbours, chosen),
        strict=True,
    )
    return float(np.mean([len(np.intersect1d(a, b)) for a, b in pairs]) / neighbours)


def _ranks(
    points: Real[np.ndarray, "points features"],
    embedding: Real[np.ndarray, "points axes"],
    neighbours: int,
    rows: Int[np.ndarray, "rows"],
) -> Int[np.ndarray, "rows neighbours"]:
    near = nearest_others(embedding, neighbours, rows)
    before = _distances(points, rows)
    theirs = np.take_along_axis(before, near, axis=1)
    before.sort(axis=1)  # then how many are strictly nearer is a place in the order
    places = [np.searchsorted(row, own) for row, own in zip(before, theirs, strict=True)]
    return np.stack(places) + 1


def _distances(
    points: Real[np.ndarray, "points features"], rows: Int[np.ndarray, "rows"]
) -> Float[np.ndarray, "rows points"]:
    """Squared, of each row to all points; to itself infinite. Of equal points exactly 0."""
    from scipy.spatial.distance import cdist

    numbers = np.asarray(points, float)
    found = cdist(numbers[rows], numbers, "sqeuclidean")
    found[np.arange(len(rows)), rows] = np.inf
    return found
