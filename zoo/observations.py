"""Observations as somebody hands them in: checked, and as the tensors that networks take."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import ForeignNetwork, Network, observation_shape

# (batch, frames, height, width), or (frames, height, width) of one; bytes, or floats in 0..1
ObservationsLike = Tensor | np.ndarray


def observations_for(
    network: Network, given: ObservationsLike, what: str = "observations"
) -> Tensor:
    """The observations as (batch, frames, height, width), bytes or floats in 0..1.

    given: a tensor or an array of a batch, or of one observation, oldest frame first.
    what: what a refusal calls them.
    Raises ValueError for another type, shape or range, or where a number is missing (NaN).

    >>> observations_for(network, np.zeros((4, 84, 84), np.uint8)).shape
    torch.Size([1, 4, 84, 84])
    """
    values = as_tensor(given, what)
    values = values[None] if values.ndim == 3 else values
    known = isinstance(network, AgentNetwork | ForeignNetwork)
    shape = observation_shape(network) if known else tuple(values.shape[1:])
    if values.ndim != 4 or values.shape[1:] != shape:
        words = ", ".join(map(str, shape if known else ("frames", "height", "width")))
        raise ValueError(
            f"{what} are {tuple(given.shape)}; expected (batch, {words}), or ({words}) of one"
        )
    if values.dtype != torch.uint8:
        check_unit_range(values, what)
    return values


def as_tensor(given: ObservationsLike, what: str = "observations") -> Tensor:
    """The same numbers as a tensor; an array is copied. Raises ValueError for another type."""
    if isinstance(given, np.ndarray):
        try:
            return torch.from_numpy(np.array(given))
        except TypeError as error:
            raise ValueError(f"{what} are an array of {given.dtype}; expected numbers") from error
    if not isinstance(given, Tensor):
        raise ValueError(
            f"{what} are of the type {type(given).__name__}; expected a tensor or an array"
        )
    return given


def check_unit_range(values: Tensor, what: str = "observations") -> None:
    """Raises ValueError unless they are floats in 0..1."""
    if not values.is_floating_point():
        raise ValueError(f"{what} are {values.dtype}; expected floats in 0..1, or bytes")
    if not values.numel():
        return
    least, most = values.min(), values.max()
    if not (torch.isfinite(least) and torch.isfinite(most)):
        raise ValueError(f"{what} hold numbers that are not finite; expected 0..1")
    if least < 0 or most > 1:
        raise ValueError(f"{what} are in {least:g}..{most:g}; expected 0..1: divide bytes by 255")


def with_present(
    observations: Shaped[Tensor, "batch channels height width"],
    past: Iterable[int],
    channels: int = 1,
) -> Shaped[Tensor, "batch channels height width"]:
    """A copy in which some past frames are the present one.

    past: how many frames before it they are: 1 is the last. channels: of a frame, 3 in colour.
    Raises ValueError if there is no such frame.
    """
    changed = observations.clone()
    frames = observations.shape[1] // channels
    for number in past:
        if not 1 <= number < frames:
            raise ValueError(
                f"no frame {number} before the present one; expected 1 to {frames - 1}"
            )
        place = (frames - 1 - number) * channels
        changed[:, place : place + channels] = observations[:, -channels:]
    return changed
