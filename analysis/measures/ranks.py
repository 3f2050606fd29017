"""Effective ranks of features: three definitions of how many directions they use.

They differ in how they take small directions, so that one number is not enough: noise of 1 % makes
the first of exact rank 20 in 512 units 372.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

DELTA = 0.01


def singular_values(features: Float[np.ndarray, "states units"]) -> Float[np.ndarray, "values"]:
    """Of the features as they are, not centred."""
    return np.linalg.svd(features.astype(float), compute_uv=False)


def srank(values: Float[np.ndarray, "values"], delta: float = DELTA) -> float:
    """The fewest singular values that sum to 1 - delta of all (Kumar et al., 2021,
    https://arxiv.org/abs/2010.14498). 0 where all are 0.

    >>> srank(singular_values(gaussian_2048_by_512))
    503.0
    """
    total = values.sum()
    if not total > 0:
        return 0.0
    shares = np.cumsum(np.sort(values)[::-1]) / total
    # what rounding leaves of a share is no direction
    return float(np.searchsorted(shares, 1 - delta - 1e-12) + 1)


def entropy_rank(values: Float[np.ndarray, "values"]) -> float:
    """exp of the entropy of the singular values' shares (Roy and Vetterli, 2007, "The effective
    rank"): n of n equal ones. 0 where all are 0."""
    total = values.sum()
    if not total > 0:
        return 0.0
    shares = values[values > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def participation_ratio(variances: Float[np.ndarray, "values"]) -> float:
    """(sum l)^2 / sum l^2 of the variances along the principal components: n of n equal ones.
    0 where all are 0.

    variances: the squared singular values of centred features.
    """
    squares = float(np.square(variances).sum())
    return float(variances.sum()) ** 2 / squares if squares > 0 else 0.0
