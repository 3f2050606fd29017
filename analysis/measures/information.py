"""Mutual information of all units with all variables at once, from binned values, in nats.

The plain estimate is too large by about (cells - rows - columns + 1) / 2n, which is taken off
(Miller, 1955; Panzeri et al., 2007, https://doi.org/10.1152/jn.00559.2007). What neighbours in time
have in common is not in that: compare with the same measure of shuffled variables.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

BINS = 8
ABSENT = -1  # of a bin's number


def binned(
    values: Float[np.ndarray, "moments columns"], bins: int = BINS
) -> Int[np.ndarray, "moments columns"]:
    """The number of each value's bin, of about equally full ones; -1 where it is NaN.

    Equal values are in one bin: of a unit that is mostly 0, zero is a bin of its own. What takes no
    more values than there are bins has one for each.
    """
    found = np.full(values.shape, ABSENT)
    for column in range(values.shape[1]):
        there = np.isfinite(values[:, column])
        own, numbers, counts = np.unique(
            values[there, column], return_inverse=True, return_counts=True
        )
        if len(own) > bins:
            middles = (counts.cumsum() - counts / 2) / counts.sum()
            numbers = np.unique((middles * bins).astype(int), return_inverse=True)[1][numbers]
        found[there, column] = numbers
    return found


def mutual_information(
    units: Int[np.ndarray, "moments units"],
    variables: Int[np.ndarray, "moments variables"],
    corrected: bool = True,
) -> Float[np.ndarray, "units variables"]:
    """Between bins' numbers, over the moments at which both are there (not -1).

    corrected: for the bias of few moments; it may then be a little below 0.
    """
    first, second = _hot(units), _hot(variables)
    counts = (first.reshape(len(units), -1).T @ second.reshape(len(units), -1)).astype(float)
    cells = counts.reshape(units.shape[1], first.shape[2], variables.shape[1], second.shape[2])
    total = np.maximum(cells.sum((1, 3)), 1)
    rows, columns = cells.sum(3), cells.sum(1)  # (units, bins, variables), (units, variables, bins)
    entropies = [
        _entropy(rows, total, 1),
        _entropy(columns, total, 2),
        _entropy(cells, total, (1, 3)),
    ]
    found = entropies[0] + entropies[1] - entropies[2]
    if not corrected:
        return found
    full = (cells > 0).sum((1, 3)) - (rows > 0).sum(1) - (columns > 0).sum(2) + 1
    return found - full / (2 * total)


def information_entropy(
    variables: Int[np.ndarray, "moments variables"],
) -> Float[np.ndarray, "variables"]:
    """Of each variable's bins, in nats: the most that anything can tell of it."""
    counts = _hot(variables).sum(0).astype(float)  # (variables, bins)
    return _entropy(counts, np.maximum(counts.sum(1), 1), 1)


def _entropy(counts: np.ndarray, total: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    shares = counts / np.expand_dims(total, axes)
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axes)


def _hot(numbers: Int[np.ndarray, "moments columns"]) -> Float[np.ndarray, "moments columns bins"]:
    """For each bin whether it is that one; float32 counts exactly up to 16 million."""
    bins = np.arange(max(int(numbers.max(initial=0)) + 1, 1))
    return (numbers[:, :, None] == bins).astype(np.float32)
