"""Canonical correlations of two layers: SVCCA and PWCCA.

Raghu et al. (2017, https://arxiv.org/abs/1706.05806) keep the principal components that hold 99 %
of a layer's variance, and take the mean of the canonical correlations. Morcos et al. (2018,
https://arxiv.org/abs/1806.05759) weigh them by how much of the layer each direction carries.
Both are the same for any invertible linear map of the units that are kept. With few states for
each component unrelated layers correlate as well: compare with shuffled states.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from atari_zoo.analysis.measures.kernel_alignment import check_same_states, without_means

VARIANCE = 0.99  # the share of it that is kept
NEGLIGIBLE = 1e-10  # of the largest singular value: rounding


def svcca(
    x: Float[np.ndarray, "states units"],
    y: Float[np.ndarray, "same others"],
    variance: float = VARIANCE,
    most: int | None = None,
) -> float:
    """The mean canonical correlation of the components that hold so much of the variance, 0..1.

    most: components that are kept at most. NaN where a layer is constant.
    Raises ValueError where there are not more states than components, of which the correlations
        would be 1 whatever they are: give `most`.
    """
    return _mean(canonical_correlations(*_kept(x, y, variance, most))[0])


def pwcca(
    x: Float[np.ndarray, "states units"],
    y: Float[np.ndarray, "same others"],
    variance: float = VARIANCE,
    most: int | None = None,
) -> float:
    """The same, weighted by how much of the layer with fewer components each direction carries.

    The weight of a direction is the sum of its products with that layer's units, without signs
    (equation 1 of Morcos et al.); of two layers with as many it is the first.
    """
    u, v = _kept(x, y, variance, most)
    if not u.shape[1] or not v.shape[1]:
        return float("nan")
    if u.shape[1] > v.shape[1]:
        x, u, v = y, v, u
    correlations, directions = canonical_correlations(u, v)
    weights = np.abs(directions.T @ without_means(x)).sum(1)
    return float(correlations @ weights / weights.sum())


def canonical_correlations(
    x: Float[np.ndarray, "states units"], y: Float[np.ndarray, "same others"]
) -> tuple[Float[np.ndarray, "pairs"], Float[np.ndarray, "states pairs"]]:
    """The correlations, from the largest on, and the directions of `x` that have them, over the
    states, of length 1.

    Columns must be centred and independent, as `principal_components` are.
    """
    (q, _), (r, _) = np.linalg.qr(x), np.linalg.qr(y)
    left, correlations, _ = np.linalg.svd(q.T @ r, full_matrices=False)
    return np.minimum(correlations, 1.0), q @ left


def principal_components(
    x: Float[np.ndarray, "states units"], variance: float = VARIANCE, most: int | None = None
) -> Float[np.ndarray, "states components"]:
    """The states' places along the fewest components that hold so much of the variance.

    most: of them at most. Silent and constant units drop out; of a constant layer none is left.
    """
    left, values, _ = np.linalg.svd(without_means(x), full_matrices=False)
    values = values[values > NEGLIGIBLE * values.max(initial=0.0)]
    shares = np.cumsum(values**2) / max(np.square(values).sum(), np.finfo(float).tiny)
    count = min(int(np.searchsorted(shares, variance) + 1), len(values))
    count = min(count, most) if most is not None else count
    return left[:, :count] * values[:count]


def _kept(
    x: np.ndarray, y: np.ndarray, variance: float, most: int | None
) -> tuple[np.ndarray, np.ndarray]:
    check_same_states(x, y)
    u, v = (principal_components(z, variance, most) for z in (x, y))
    if u.shape[1] + v.shape[1] >= len(x):
        raise ValueError(
            f"{len(x)} states of {u.shape[1]} and {v.shape[1]} components, which correlate "
            f"perfectly whatever they are: give more states, or most={max(1, len(x) // 10)}"
        )
    return u, v


def _mean(correlations: np.ndarray) -> float:
    return float(correlations.mean()) if len(correlations) else float("nan")
