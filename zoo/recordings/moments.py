"""Moments of play: what is known of a group of environments before it acts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from atari_zoo.emulator.rendered_frames import Raw


class Moment(NamedTuple):
    """What a network saw and computed, and the actions that were chosen.

    frames: the newest of those that the observations are stacked from.
    raw: the screens that the observations were made from, and the RAM; None where no array that
        is kept needs them.
    state: what a recurrent agent carried into the step; of others without numbers.
    """

    observations: Shaped[Tensor, "envs channels height width"]
    frames: Shaped[Tensor, "envs ..."]
    outputs: Float[Tensor, "envs actions"]
    actions: Int[np.ndarray, "envs"]
    starts: Bool[np.ndarray, "envs"]
    raw: Raw | None
    state: Float[Tensor, "envs numbers"]
