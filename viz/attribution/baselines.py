"""Baselines, with which an attribution compares an observation: "nothing there"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.registration import Registry
from atari_zoo.observations import as_tensor, check_unit_range
from atari_zoo.viz.attribution.blurring import blurred

Observations = Float[Tensor, "batch frames height width"]
ReferenceSets = Float[Tensor, "batch references frames height width"]
BaselineLike = str | Tensor | np.ndarray
BaselineMaker = Callable[[Tensor], Tensor]
BASELINES: Registry[BaselineMaker] = Registry("baseline", "atari_zoo.viz.attribution")
BLUR = 3.0  # pixels, as Greydanus et al. blur


def baseline(name: str) -> Callable[[BaselineMaker], BaselineMaker]:
    """Registers what makes a baseline for each observation, or (batch, references, ...)."""

    def register(make: BaselineMaker) -> BaselineMaker:
        BASELINES.add(name, make, make)
        return make

    return register


def references(observations: Observations, baseline: BaselineLike = "black") -> ReferenceSets:
    """What each observation is compared with: one reference, or several.

    baseline: a name in `BASELINES`, or floats in 0..1: (frames, height, width), one for all;
        (batch, frames, height, width), one each, such as another state of the game rendered;
        (batch, references, frames, height, width), several each.
    Raises ValueError for another name, shape or range, or where a number is missing (NaN).

    >>> references(observations, "black").shape
    torch.Size([8, 1, 4, 84, 84])
    """
    if isinstance(baseline, str):
        made = BASELINES.named(baseline)(observations)
    else:
        made = _given(observations, baseline)
    return made if made.ndim == 5 else made[:, None]


@baseline("black")
def black(observations: Observations) -> Observations:
    """A screen that is off: zeros."""
    return torch.zeros_like(observations)


@baseline("mean")
def mean(observations: Observations) -> Observations:
    """The mean of all observations given: of many steps, the game's background."""
    return observations.mean(dim=0, keepdim=True).expand_as(observations)


@baseline("previous")
def previous(observations: Observations) -> Observations:
    """One frame earlier: each frame is the one before it, and the oldest one stays."""
    return torch.cat([observations[:, :1], observations[:, :-1]], dim=1)


@baseline("still")
def still(observations: Observations) -> Observations:
    """Nothing moves: every frame is the newest one."""
    return observations[:, -1:].expand_as(observations).contiguous()


@baseline("blurred")
def blurry(observations: Observations) -> Observations:
    """The observation with its objects smeared out, by a Gaussian of 3 pixels."""
    return blurred(observations, BLUR)


@baseline("observations")
def observed(observations: Observations) -> ReferenceSets:
    """Every observation given, as a set of references for each."""
    return observations[None].expand(len(observations), *observations.shape)


def _given(observations: Tensor, baseline: Tensor | np.ndarray) -> Tensor:
    given = as_tensor(baseline, "the baseline's numbers")
    if not given.is_floating_point():
        raise ValueError(f"the baseline is {given.dtype}; expected floats in 0..1")
    check_unit_range(given, "the baseline's numbers")
    made = given.detach().clone().to(observations)
    if made.shape == observations.shape[1:]:
        return made.expand_as(observations)
    several = made.ndim == 5 and made.shape[:1] + made.shape[2:] == observations.shape
    if not several and made.shape != observations.shape:
        raise ValueError(
            f"the baseline is {tuple(made.shape)}; expected {tuple(observations.shape[1:])}, "
            f"{tuple(observations.shape)}, or several for each observation in a second axis"
        )
    return made
