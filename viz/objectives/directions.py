"""Objectives that ask for a direction among a layer's units, and not for one of them.

The dot product times a power of the cosine is Olah et al.'s (Carter et al., 2019,
https://distill.pub/2019/activation-atlas): the dot alone finds what excites the layer most in
any way, the cosine alone what is weak but pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.observations import ObservationsLike, observations_for
from atari_zoo.viz.objectives.objectives import Objective, Term
from atari_zoo.viz.objectives.values import Reference, values_of

LEAST = 0.1  # the cosine is taken for no less, so that its power lets some gradient through
TINY = 1e-8  # lengths are taken for no less: a silent layer has no direction


def dot(layer: str, direction: Tensor, place: tuple[int, int] | None = None) -> Objective:
    """The dot product with a direction, its mean over the map, or at one place of it.

    direction: (units,), or (samples, units) for one a sample; a map (samples, units, height,
        width) has a direction of its own for each place.
    """
    return _objective("dot", _dot, layer, direction, place)


def cosine(layer: str, direction: Tensor, place: tuple[int, int] | None = None) -> Objective:
    """The cosine of the angle to a direction, -1..1: see `dot` for the arguments."""
    return _objective("cosine", _cosine, layer, direction, place)


def dot_cosine(
    layer: str, direction: Tensor, power: float = 1.0, place: tuple[int, int] | None = None
) -> Objective:
    """The dot product times max(0.1, cosine)^power: see `dot` for the other arguments."""
    return _objective("direction", _dot_cosine, layer, direction, place, (float(power),))


def caricature(
    network: Network, layer: str, observations: ObservationsLike, power: float = 1.0
) -> Objective:
    """What a layer sees in observations, exaggerated: at each place its own direction.

    observations: (samples, 4, 84, 84), uint8 or float in 0..1. Start the image from them, with
    `FromObservation`, to see what is added.
    """
    reference = Reference(layer)
    seen = observations_for(network, observations)
    direction = values_of(network, [reference], seen)[reference].cpu()
    return _objective("caricature", _dot_cosine, layer, direction, None, (float(power),))


def _objective(
    name: str,
    function: Callable[..., Tensor],
    layer: str,
    direction: Tensor,
    place: tuple[int, int] | None,
    options: tuple[float, ...] = (),
) -> Objective:
    directions = direction[None] if direction.ndim == 1 else direction
    position = () if place is None else tuple(torch.tensor([where]) for where in place)
    rows = (directions.detach().float(), *position)
    axes = (2, 4) if place is None and directions.ndim == 2 else (4,) if position else ()
    term = Term(function, (Reference(layer),), rows, options=options, axes=axes)
    where = "" if place is None else f"@{place[0]},{place[1]}"
    many = len(directions) > 1
    ends = [f" {index}" if many else "" for index in range(len(directions))]
    return Objective((term,), tuple(f"{name} in {layer}{where}{end}" for end in ends))


def _dot(values: Tensor, direction: Tensor, *place: Tensor) -> Float[Tensor, "batch"]:
    values, direction = _here(values, direction, place)
    return _mean((values * direction).sum(dim=1))


def _cosine(values: Tensor, direction: Tensor, *place: Tensor) -> Float[Tensor, "batch"]:
    values, direction = _here(values, direction, place)
    return _mean(torch.cosine_similarity(values, direction, dim=1, eps=TINY))


def _dot_cosine(values: Tensor, direction: Tensor, *rest: Any) -> Float[Tensor, "batch"]:
    *place, power = rest
    values, direction = _here(values, direction, place)
    cosines = torch.cosine_similarity(values, direction, dim=1, eps=TINY)
    return _mean((values * direction).sum(dim=1) * cosines.clamp_min(LEAST) ** power)


def _here(values: Tensor, direction: Tensor, place: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The values at the place, if one is given, and the direction with as many axes."""
    values = values.float()
    if place:
        sample = torch.arange(len(values), device=values.device)
        values = values[sample, :, place[0], place[1]]
    missing = values.ndim - direction.ndim
    return values, direction[(...,) + (None,) * missing]


def _mean(numbers: Tensor) -> Float[Tensor, "batch"]:
    return numbers.reshape(len(numbers), -1).mean(dim=1)
