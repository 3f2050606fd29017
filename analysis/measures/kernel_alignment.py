"""Linear centered kernel alignment (CKA; Kornblith et al., 2019, https://arxiv.org/abs/1905.00414).

With the unbiased estimator of the Hilbert-Schmidt independence criterion (Song et al., 2007,
https://arxiv.org/abs/0704.2668): the usual, biased one calls unrelated layers alike where there
are about as many units as states, .89 at 64 states of 512 Gaussian units. Over minibatches as in
Nguyen et al. (2021, https://arxiv.org/abs/2010.15327).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

FEWEST = 4  # states: the estimator divides by n - 3


def linear_cka(
    x: Float[np.ndarray, "states units"],
    y: Float[np.ndarray, "same others"],
    debiased: bool = True,
) -> float:
    """How alike the distances between states are in two layers: 1 of a layer and its rotated,
    scaled and shifted copies, about 0 of unrelated ones (slightly below too, if debiased).

    Rows are the same states in both. NaN where one of them is constant.
    Raises ValueError for fewer than 4 states, or different numbers of them.

    >>> linear_cka(x, x @ rotation + 3)
    1.0
    """
    check_same_states(x, y)
    # feature space costs states * units * others, the kernels states * states * (units + others)
    if x.shape[1] * y.shape[1] <= len(x) * (x.shape[1] + y.shape[1]):
        x, y = without_means(x), without_means(y)
        pairs = [(x, y), (x, x), (y, y)]
        return float(alignment_ratio(*(feature_criterion(a, b, debiased) for a, b in pairs)))
    k, other = kernel(x), kernel(y)
    pairs = [(k, other), (k, k), (other, other)]
    return float(alignment_ratio(*(kernel_criterion(a, b, debiased) for a, b in pairs)))


def minibatch_cka(
    x: Float[np.ndarray, "states units"],
    y: Float[np.ndarray, "same others"],
    batch: int = 256,
) -> float:
    """The same from batches, for more states than fit: the debiased criteria are averaged over
    batches, and divided then.

    The rows should be in random order. Raises ValueError for a batch under 4 states.
    """
    check_same_states(x, y)
    if batch < FEWEST:
        raise ValueError(f"a batch of {batch} states; CKA needs at least {FEWEST}")
    whole = range(0, len(x) - FEWEST + 1, batch)  # a rest of fewer than 4 is left out
    sums = np.zeros(3)
    for start in whole:
        a, b = without_means(x[start : start + batch]), without_means(y[start : start + batch])
        sums += [feature_criterion(*pair) for pair in ((a, b), (a, a), (b, b))]
    return float(alignment_ratio(*sums))


def alignment_ratio(
    shared: float | np.ndarray, own: float | np.ndarray, other: float | np.ndarray
) -> Any:
    """CKA of three criteria: of both layers, and of each with itself. NaN of a constant layer,
    whose criterion is 0, or below it by rounding."""
    real = (np.asarray(own) > 0) & (np.asarray(other) > 0)
    return shared / np.sqrt(np.where(real, own * np.asarray(other), np.nan))


def feature_criterion(
    x: Float[np.ndarray, "states units"],
    y: Float[np.ndarray, "same others"],
    debiased: bool = True,
) -> float:
    """The Hilbert-Schmidt independence criterion of linear kernels, from centred features."""
    n = len(x)
    shared = float(np.square(x.T @ y).sum())
    if not debiased:
        return shared / (n - 1) ** 2
    a, b = np.square(x).sum(1), np.square(y).sum(1)
    corrected = shared - n / (n - 2) * (a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2))
    return float(corrected) / (n * (n - 3))


def kernel_criterion(
    k: Float[np.ndarray, "states states"],
    other: Float[np.ndarray, "states states"],
    debiased: bool = True,
) -> float:
    """The same from kernels of centred features."""
    n = len(k)
    if not debiased:
        return float((k * other).sum()) / (n - 1) ** 2
    return hollow_criterion(without_diagonal(k), without_diagonal(other))


def hollow_criterion(
    k: Float[np.ndarray, "states states"], other: Float[np.ndarray, "states states"]
) -> float:
    """The debiased criterion from kernels whose diagonals are zeros already."""
    n = len(k)
    shared, mixed = np.vdot(k, other), k.sum(0) @ other.sum(0)
    whole = shared + k.sum() * other.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * mixed
    return float(whole) / (n * (n - 3))


def kernel(x: Float[np.ndarray, "states units"]) -> Float[np.ndarray, "states states"]:
    """Products of states, of centred features."""
    x = without_means(x)
    return x @ x.T


def without_diagonal(
    k: Float[np.ndarray, "states states"],
) -> Float[np.ndarray, "states states"]:
    """A copy with zeros on its diagonal, which is what biases the criterion."""
    k = k.copy()
    np.fill_diagonal(k, 0)
    return k


def resampled_criteria(
    k: Float[np.ndarray, "states states"],
    other: Float[np.ndarray, "states states"],
    members: Float[np.ndarray, "states episodes"],
    copies: Float[np.ndarray, "resamples episodes"],
) -> Float[np.ndarray, "resamples"]:
    """The debiased criterion in resamples of whole episodes, from kernels of centred features
    whose diagonals are zeros.

    members: 1 where a state is of an episode, else 0. copies: how often each episode is in a
    resample. A state is never compared with its own copy, which would bring the bias back.
    """
    n = copies @ members.sum(0)
    blocks = members.T @ (k * other) @ members
    shared = ((copies @ blocks) * copies).sum(1)
    sums = [copies @ (a @ members).T for a in (k, other)]  # (resamples, states)
    totals = [((a @ members) * copies).sum(1) for a in sums]
    mixed = (((sums[0] * sums[1]) @ members) * copies).sum(1)
    whole = shared + totals[0] * totals[1] / ((n - 1) * (n - 2)) - 2 / (n - 2) * mixed
    return whole / (n * (n - 3))


def check_same_states(x: np.ndarray, y: np.ndarray, fewest: int = FEWEST) -> None:
    """Raises ValueError if the rows are not the same states, or too few."""
    if len(x) != len(y):
        raise ValueError(f"{len(x)} states and {len(y)}: layers are compared on the same states")
    if len(x) < fewest:
        raise ValueError(f"{len(x)} states; this measure needs at least {fewest}")


def without_means(x: Float[np.ndarray, "states units"]) -> Float[np.ndarray, "states units"]:
    """The layer without its units' means; constant units are zeros, not what rounding leaves."""
    found = x - x.mean(0, dtype=float).astype(x.dtype)
    found[:, x.max(0, initial=-np.inf) <= x.min(0, initial=np.inf)] = 0
    return found
