"""Insertion and deletion (Petsiuk et al., 2018, https://arxiv.org/abs/1806.07421): how fast the
target rises as pixels are shown, and falls as they are hidden, the most important ones first.

Steps of 84 pixels as in Huber et al. (2022, https://arxiv.org/abs/2101.07312). All frames of a
pixel change together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.attribution.baselines import references
from atari_zoo.viz.attribution.masks import masked_scores
from atari_zoo.viz.attribution.registry import Case

SUBSTRATES = ("black", "blurred", "random")
STEP = 84  # pixels at a time, of 7056


class Curve(NamedTuple):
    """scores: the target after 0, 1, 2 ... steps, the last of which may be shorter. area: how far
    their mean over the pixels lies above the substrate's score, by the trapezoidal rule, in units
    of the target. It is not divided by the observation's score: that may well be the
    substrate's."""

    scores: Float[Tensor, "batch points"]
    area: Float[Tensor, "batch"]


def insertion(
    case: Case,
    values: Float[Tensor, "batch covered height width"],
    substrate: str = "black",
    step: int = STEP,
) -> Curve:
    """From the substrate to the observation; a large area is good.

    case: as `cases.case_for` makes it. values: the pixels with the largest sums come first.
    substrate: "black", "blurred" or "random" (noise of the case's seed). step: pixels at a time.
    Raises ValueError for another substrate.
    """
    scores, shares = _scores(case, values, substrate, step, deleted=False)
    return Curve(scores, _area(scores, shares, scores[:, 0]))


def deletion(
    case: Case,
    values: Float[Tensor, "batch covered height width"],
    substrate: str = "black",
    step: int = STEP,
) -> Curve:
    """From the observation to the substrate; a small area is good. As `insertion` otherwise."""
    scores, shares = _scores(case, values, substrate, step, deleted=True)
    return Curve(scores, _area(scores, shares, scores[:, -1]))


def ranks(
    values: Float[Tensor, "batch covered height width"],
) -> Float[Tensor, "batch height width"]:
    """Of each pixel how many come before it: the sums over the frames, largest first."""
    sums = values.sum(dim=1)
    order = sums.flatten(1).argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1).reshape(sums.shape).to(values.dtype)


def _scores(
    case: Case, values: Tensor, substrate: str, step: int, deleted: bool
) -> tuple[Float[Tensor, "batch points"], Float[Tensor, "points"]]:
    """The target, and the share of pixels that were changed, at each point of a curve."""
    if values.shape[0] != len(case.observations) or values.shape[2:] != case.observations.shape[2:]:
        raise ValueError(
            f"values are {tuple(values.shape)}, observations {tuple(case.observations.shape)}; "
            "expected values of each observation's pixels"
        )
    if not torch.isfinite(values).all():
        raise ValueError("values are not finite numbers: they have no order")
    if step < 1:
        raise ValueError(f"step is {step}; it must be at least 1")
    case = replace(case, references=_substrate(case, substrate))
    places, height, width = ranks(values), *values.shape[2:]
    counts = torch.arange(0, height * width + step, step, device=values.device)
    found = []
    for row, place in enumerate(places):
        first = place < counts[:, None, None]  # (points, height, width)
        shown = (~first if deleted else first).to(case.observations)
        found.append(masked_scores(case, row, shown[:, None]))
    return torch.stack(found), counts.clamp(max=height * width) / (height * width)


def check_substrate(name: str) -> None:
    """Raises ValueError, with those there are, if there is none of that name."""
    if name not in SUBSTRATES:
        raise ValueError(f"no substrate '{name}'; there are {', '.join(SUBSTRATES)}")


def _substrate(case: Case, name: str) -> Tensor:
    check_substrate(name)
    if name != "random":
        return references(case.observations, name)
    noise = torch.rand(case.observations.shape[1:], generator=case.generator())
    return noise.to(case.observations).expand_as(case.observations)[:, None]


def _area(scores: Tensor, shares: Tensor, substrate: Tensor) -> Float[Tensor, "batch"]:
    return torch.trapezoid(scores, shares.to(scores), dim=1) - substrate
