"""Thinning of play: fewer moments, of every environment as many and at the same steps.

Moments are numbered step by step, so that every so manieth of them would be of one environment for
a long time, then of the next: whole steps are left out instead.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def thinned(steps: Int[np.ndarray, "moments"], most: int) -> Int[np.ndarray, "kept"]:
    """Which moments to keep, at most so many: those of every so manieth step.

    steps: of each moment. Where a step alone has more, some of the first step's are kept.
    """
    kept = np.flatnonzero(_ranks(steps) % step_stride(steps, most) == 0)
    if len(kept) > most:
        kept = kept[np.linspace(0, len(kept) - 1, most).round().astype(int)]
    return kept


def step_stride(steps: Int[np.ndarray, "moments"], most: int) -> int:
    """The smallest stride over steps that leaves at most so many moments, if there is one."""
    ranks = _ranks(steps)
    stride, largest = max(1, -(-len(steps) // most)), int(ranks.max(initial=0)) + 1
    while (ranks % stride == 0).sum() > most and stride < largest:
        stride += 1
    return stride


def _ranks(steps: Int[np.ndarray, "moments"]) -> Int[np.ndarray, "moments"]:
    """The number of each moment's step among the steps there are."""
    return np.unique(steps, return_inverse=True)[1].reshape(-1)
