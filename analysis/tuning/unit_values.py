"""Units' values and shuffled variables, as tuning compares them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Shaped

SHUFFLES = 8


def unit_values(values: Shaped[np.ndarray, "moments ..."]) -> Float[np.ndarray, "moments units"]:
    """One number for each unit: of a convolution's channel the largest of its map."""
    if values.ndim == 4:
        return np.asarray(values.max(axis=(2, 3)), np.float32)
    return np.asarray(values, np.float32).reshape(len(values), -1)


def shuffled_moments(
    order: Int[np.ndarray, "moments"], block: int, seed: int
) -> list[Int[np.ndarray, "moments"]]:
    """For each shuffle which moment stands in each one's place: stretches of time change places, so
    that what neighbours have in common stays.

    order: the moments in the order of time, environment by environment.
    """
    random = np.random.default_rng(seed)
    block = max(1, min(block, len(order) // 8))
    found = []
    for _ in range(SHUFFLES):
        # a shift too: else the ends of blocks are always where they were
        turned = np.roll(order, int(random.integers(len(order))))
        blocks = np.array_split(turned, max(1, len(order) // block))
        chosen = np.concatenate([blocks[number] for number in random.permutation(len(blocks))])
        moments = np.empty_like(order)
        moments[order] = chosen
        found.append(moments)
    return found
