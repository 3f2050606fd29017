"""Procrustes distance: what is left between two layers after the best rotation of one.

Ding et al. (2021, https://arxiv.org/abs/2108.01661) and Williams et al. (2021,
https://arxiv.org/abs/2110.14739), of layers that are centred and scaled to length 1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from atari_zoo.analysis.measures.kernel_alignment import check_same_states, without_means


def procrustes_similarity(
    x: Float[np.ndarray, "states units"], y: Float[np.ndarray, "same others"]
) -> float:
    """1 of a layer and its rotated, scaled and shifted copies; at least 0.

    It is the nuclear norm of X'Y, of centred layers of Frobenius norm 1; the narrower of them
    counts as filled with silent units. Of unrelated layers it grows with units over states:
    compare with shuffled states. NaN where a layer is constant.
    """
    check_same_states(x, y)
    x, y = without_means(x), without_means(y)
    length = float(np.linalg.norm(x) * np.linalg.norm(y))
    if not length:
        return float("nan")
    # the same within the span of the states
    x, y = _within_span(x), _within_span(y)
    return float(np.linalg.norm(x.T @ y, "nuc")) / length


def _within_span(x: np.ndarray) -> np.ndarray:
    """The layer turned so that it has no more units than states."""
    if x.shape[1] <= len(x):
        return x
    return np.linalg.qr(x.T).R.T


def procrustes_distance(
    x: Float[np.ndarray, "states units"], y: Float[np.ndarray, "same others"]
) -> float:
    """The distance of the two after the best rotation, 0..sqrt(2): a metric."""
    return float(np.sqrt(max(0.0, 2 - 2 * procrustes_similarity(x, y))))
