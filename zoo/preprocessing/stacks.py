"""Observations from what was recorded: single screens, stacked as the agent saw them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from atari_zoo.converters.cards import Preprocessing

ROWS = 64  # steps that are rendered at once


def stacks(
    screens: Shaped[np.ndarray, "steps ..."],
    starts: Bool[np.ndarray, "steps"],
    preprocessing: Preprocessing,
) -> Shaped[Tensor, "steps channels height width"]:
    """The stack at each step, oldest screen first, of one environment.

    starts: true where an episode begins; there `preprocessing.stack_start` fills the stack.
    """
    steps = np.arange(len(screens))
    first = np.maximum.accumulate(np.where(starts, steps, 0))  # of the step's episode
    ages = np.arange(preprocessing.stack - 1, -1, -1)  # oldest first
    wanted = steps[:, None] - ages
    missing = wanted < first[:, None]
    found = screens[np.maximum(wanted, first[:, None])]
    if preprocessing.stack_start == "zeros":
        found[missing] = 0
    # in colour a frame has channels of its own
    return torch.from_numpy(found.reshape(len(steps), preprocessing.shape[0], *screens.shape[-2:]))


def stacks_at(
    steps: slice,
    screens: Callable[[int, int], Shaped[np.ndarray, "some ..."]],
    starts: Bool[np.ndarray, "steps"],
    preprocessing: Preprocessing,
) -> Shaped[Tensor, "some channels height width"]:
    """The same of some steps, from no more screens than they need.

    screens: those from one step to another.
    """
    wanted = range(*steps.indices(len(starts)))
    if not wanted:
        return stacks(screens(0, 0), starts[:0], preprocessing)
    low, high = min(wanted), max(wanted) + 1
    since = max(0, low - preprocessing.stack + 1)
    found = stacks(screens(since, high), starts[since:high], preprocessing)
    return found[torch.tensor([step - since for step in wanted])]
