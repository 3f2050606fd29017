"""Advantages: how much better what came after a decision was than the state's value had said.

Generalized advantage estimation (Schulman et al., 2016, https://arxiv.org/abs/1506.02438).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float


def generalized_advantages(
    rewards: Float[np.ndarray, "steps envs"],
    values: Float[np.ndarray, "steps envs"],
    ends: Bool[np.ndarray, "steps envs"],
    gamma: float = 0.99,
    trace: float = 0.95,
) -> Float[np.ndarray, "steps envs"]:
    """The sum of the errors r + gamma V(next) - V of a step and, less and less, of those after it.

    rewards: that followed each step's action. values: of each step's state.
    ends: true at an episode's last step, after which nothing counts.
    gamma: discount of rewards. trace: discount of later errors; with 0 each step's own alone.
    Of an episode that the play's end cut off, the last step is NaN: its next state is not known.
    Raises ValueError for a discount outside 0 to 1.

    >>> generalized_advantages(ones, zeros, ends, gamma=1.0, trace=1.0)  # what was still to come
    """
    for name, discount in (("gamma", gamma), ("trace", trace)):
        if not 0 <= discount <= 1:
            raise ValueError(f"{name} is {discount}; expected 0 to 1")
    going_on = ~ends
    after = np.concatenate([values[1:], np.full_like(values[:1], np.nan)])
    errors = rewards + gamma * np.where(going_on, after, 0.0) - values
    found = np.empty(errors.shape)
    running = np.zeros(errors.shape[1])
    for step in reversed(range(len(errors))):
        later = np.where(going_on[step], np.nan_to_num(running), 0.0)
        running = errors[step] + gamma * trace * later
        found[step] = running
    return found
