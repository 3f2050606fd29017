"""Perturbation saliency (Greydanus et al., 2018, https://arxiv.org/abs/1711.00138; its masks as in
https://github.com/greydanus/visualize_atari, saliency.py), all places in batches.

One thing differs: the original stretches the grid of scores over the screen, by which they move up
to 2 pixels; here each score stays at the pixel it was taken at.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.attribution.blurring import blur_matrix, blurred
from atari_zoo.viz.attribution.registry import BATCH, Case, method
from atari_zoo.viz.attribution.scores import OUTPUT, layer_value
from atari_zoo.viz.attribution.targets import target_score

# "covered" is one axis for all frames, or each frame
CoveredMap = Float[Tensor, "batch covered height width"]
Observation = Float[Tensor, "frames height width"]
Masks = Float[Tensor, "masks covered height width"]


def actor_and_critic(network: Network, observations: Tensor) -> tuple[str, ...]:
    """The actor and, of a network with a value, the critic."""
    try:
        target_score(network, observations, "value")
    except ValueError:
        return ("actor",)
    return ("actor", "critic")


@method(
    "https://arxiv.org/abs/1711.00138",
    target=False,
    signed=False,
    unit="half the squared distance of the outputs",
    sides=actor_and_critic,
)
def greydanus(
    case: Case,
    *,
    side: str = "actor",
    step: int = 5,
    radius: float = 5.0,
    blur: float = 3.0,
    frames: str = "together",
) -> CoveredMap:
    """How far the outputs move when a place is blurred: half the squared distance.

    side: "actor", all outputs, or "critic", the value.
    step: pixels between places. radius: of the blurred places, and blur of the blur, the standard
        deviations of Gaussians, in pixels.
    frames: "together", all frames blurred at once and one map, or "each", one map for each.
    """
    layer = _read_from(case, side)
    if blur <= 0:
        raise ValueError(f"blur is {blur}; it must be above 0, or nothing would change")
    shape = case.observations.shape[1:]
    masks = place_masks(case.observations, step, radius, frames)
    found = []
    for seen in case.observations:
        with torch.no_grad():
            before = layer_value(case.network, layer, seen[None])
        distances = [
            (after - before).square().sum(dim=1) / 2
            for after in responses(case.network, layer, seen, blurred(seen, blur), masks)
        ]
        found.append(spread(torch.cat(distances), shape, step, frames))
    return torch.stack(found)


def responses(
    network: Network, layer: str, seen: Observation, instead: Observation, masks: Masks
) -> Iterator[Tensor]:
    """A layer's values, a batch of masks at a time, where each shows `instead` as far as it is 1.

    masks: one frame for all, or each frame.
    """
    change = instead - seen
    with torch.inference_mode():
        for some in masks.split(BATCH):
            yield layer_value(network, layer, torch.addcmul(seen, some, change))


def place_masks(
    observations: Float[Tensor, "batch frames height width"],
    step: int = 5,
    radius: float = 5.0,
    frames: str = "together",
    blurry: bool = True,
) -> Masks:
    """A mask for each place of a grid, row by row from the upper left pixel on; 1 in its middle.

    blurry: as Greydanus et al. have it, a disc of five pixels, blurred; else a sharp disc.
    frames: "together", one frame for all, or "each": the places of the oldest frame come first.
    Raises ValueError for a radius that is not positive, or a step of less than 1 or of the whole
    screen.
    """
    side = min(observations.shape[2:])
    if not 1 <= step < side or radius <= 0:
        raise ValueError(
            f"step is {step} and radius {radius}; expected 1 to {side - 1}, and above 0"
        )
    if frames not in ("together", "each"):
        raise ValueError(f"frames is '{frames}'; expected 'together' or 'each'")
    count, height, width = observations.shape[1:]
    masks = _discs(height, width, step, radius, blurry).to(observations)[:, None]
    if frames == "together":
        return masks
    each = torch.eye(count).to(observations)[:, None, :, None, None] * masks
    return each.flatten(0, 1)


def spread(
    scores: Float[Tensor, "places"],
    shape: torch.Size,
    step: int,
    frames: str = "together",
) -> Float[Tensor, "covered height width"]:
    """Scores of places as maps, bilinear between the places; beyond the last ones as there.

    shape: (frames, height, width) of an observation.
    """
    count, height, width = shape
    rows, columns = _between(height, step).to(scores), _between(width, step).to(scores)
    grids = scores.reshape(1 if frames == "together" else count, rows.shape[1], columns.shape[1])
    return rows @ grids @ columns.T


@cache
def _discs(
    height: int, width: int, step: int, radius: float, blurry: bool
) -> Float[Tensor, "places {height} {width}"]:
    rows = torch.arange(0, height, step)[:, None, None, None] - torch.arange(height)[:, None]
    columns = torch.arange(0, width, step)[:, None, None] - torch.arange(width)
    within = 1.0 if blurry else radius**2
    masks = (rows**2 + columns**2 <= within).double().flatten(0, 1)
    if blurry:
        masks = blur_matrix(height, radius) @ masks @ blur_matrix(width, radius).T
    return (masks / masks.amax(dim=(1, 2), keepdim=True)).float()


@cache
def _between(size: int, step: int) -> Float[Tensor, "{size} places"]:
    """What makes `size` values of those at each step-th place."""
    places = len(range(0, size, step))
    position = (torch.arange(size) / step).clamp(max=places - 1)
    return (1 - (position[:, None] - torch.arange(places)).abs()).clamp(min=0)


def _read_from(case: Case, side: str) -> str:
    """The layer that the actor's or the critic's response is read from."""
    if side == "actor":
        return OUTPUT
    if side != "critic":
        raise ValueError(f"side is '{side}'; expected 'actor' or 'critic'")
    return target_score(case.network, case.observations[:1], "value").layer
