"""Moments of a recording to show of a unit: the most telling observations, apart in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from atari_zoo.converters.arguments import check_kinds
from atari_zoo.recordings.recordings import Recording
from atari_zoo.seeds import generator_seed

WHICH = "top", "bottom", "random"
APART = 15  # steps: a second of play at a frame skip of 4, in which little changes


@dataclass(frozen=True)
class Selection:
    """Which moments are wanted of a unit.

    n: how many. which: "top": where the peak of the unit's map is highest, "bottom": where it is
        lowest, "random". Of equal ones the first.
    apart: two of one episode are at least so many steps apart, since neighbours are nearly the
        same picture; fewer than `n` are found where there is not room for more. 1 allows all.
    seed: of the random ones.

    Raises ValueError for another word, or a number below 1.
    """

    n: int = 8
    which: str = "top"
    apart: int = APART
    seed: int = 0

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.which not in WHICH:
            raise ValueError(f"no patches '{self.which}'; there are {', '.join(WHICH)}")
        for what in ("n", "apart"):
            if getattr(self, what) < 1:
                raise ValueError(f"{what} is {getattr(self, what)}; expected at least 1")


def ranking(
    which: str, values: Float[Tensor, "observations units"], seed: int = 0
) -> Float[Tensor, "observations units"]:
    """Larger for what is wanted first: "top", "bottom" or "random" values.

    Raises ValueError for another word.
    """
    if which == "random":
        generator = torch.Generator().manual_seed(generator_seed(seed))
        return torch.rand(values.shape, generator=generator)
    if which not in WHICH:
        raise ValueError(f"no patches '{which}'; there are {', '.join(WHICH)}")
    return values if which == "top" else -values


def settled_moments(recording: Recording) -> Bool[np.ndarray, "observations"]:
    """Which observations have all their frames: an episode's first ones may be black where the
    older frames will be, and are then the strangest that a unit meets. All, if there are no others.
    """
    starts, seen = recording.starts, recording.preprocessing
    settled = np.ones(starts.shape, bool)
    if seen.stack_start == "zeros":
        for later in range(min(seen.stack - 1, len(starts))):
            settled[later:] &= ~starts[: len(starts) - later]
    return settled.flatten() if settled.any() else np.ones(starts.size, bool)


def distinct_moments(
    ranked: Float[Tensor, "observations"], recording: Recording, selection: Selection
) -> list[int]:
    """The numbers (step * environments + env) of the `n` highest-ranked observations, of which
    no two of an episode are less than `apart` steps apart. Of equal ones the first is taken.
    """
    n, apart = selection.n, selection.apart
    episodes = np.cumsum(recording.starts, axis=0)
    left = ranked.numpy().astype(np.float64).reshape(episodes.shape)  # a copy
    left[np.isnan(left)] = -np.inf
    moments: list[int] = []
    while len(moments) < n and left.flat[best := int(left.argmax())] > -np.inf:
        moments.append(best)
        step, env = divmod(best, episodes.shape[1])
        near = slice(max(0, step - apart + 1), step + apart)
        left[near, env][episodes[near, env] == episodes[step, env]] = -np.inf
    return moments
