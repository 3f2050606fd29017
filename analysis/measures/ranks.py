"""Effective ranks of features: three definitions of how many directions they use.

They differ in how they take small directions, so that one number is not enough: noise of 1 % makes
the first of exact rank 20 in 512 units 372.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

DELTA = 0.01


def singular_values(features: Float[np.ndarray, "states units"]) -> Float[np.ndarray, "values"]:
    """Of the features as they are, not centred."""
    return np.linalg.svd(features.astype(float), compute_uv=False)


class FeatureRanks(NamedTuple):
    """srank and entropy: of the singular values of the features as they are. participation: of the
    variances, so of the centred ones."""

    srank: float
    entropy: float
    participation: float


def feature_ranks(features: Float[np.ndarray, "states units"]) -> FeatureRanks:
    """All three of the features."""
    values = singular_values(features)
    spread = singular_values(features - features.mean(0, dtype=float))
    return FeatureRanks(srank(values), entropy_rank(values), participation_ratio(spread**2))


def resampled_ranks(
    features: Float[np.ndarray, "states units"],
    members: Float[np.ndarray, "states episodes"],
    copies: Float[np.ndarray, "resamples episodes"],
) -> list[FeatureRanks]:
    """The same in resamples of whole episodes, by the features' products.

    members: 1 where a state is of an episode, else 0. copies: how often each is in a resample.
    """
    features = features[:, np.abs(features).max(0) > 0].astype(float)  # silent ones add nothing
    products = np.stack([(features * m[:, None]).T @ features for m in members.T])
    sums, counts = members.T @ features, copies @ members.sum(0)
    found = []
    for drawn, count in zip(copies, counts, strict=True):
        product, mean = np.tensordot(drawn, products, 1), drawn @ sums / count
        values = np.sqrt(np.maximum(np.linalg.eigvalsh(product), 0)) if len(product) else mean
        spread = product - count * np.outer(mean, mean)
        square = float(np.square(spread).sum())  # of the variances, without asking for them
        participation = float(np.trace(spread)) ** 2 / square if square > 0 else 0.0
        found.append(FeatureRanks(srank(values), entropy_rank(values), participation))
    return found


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
