"""Infidelity and sensitivity of an attribution (Yeh et al., 2019,
https://arxiv.org/abs/1901.09392), the perturbations being random squares that are hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.attribution.cases import NOTHING, attributed
from atari_zoo.viz.attribution.masks import masked_scores
from atari_zoo.viz.attribution.methods.gradients import at_least
from atari_zoo.viz.attribution.registry import AttributionMethod, Case


def infidelity(
    method: AttributionMethod,
    case: Case,
    values: Float[Tensor, "batch covered height width"],
    size: int = 12,
    samples: int = 100,
    scaled: bool = True,
) -> Float[Tensor, "batch"]:
    """How badly the values in a hidden square tell how far the target falls.

    size: of the squares, in pixels. samples: how many. Slopes are first multiplied by what is
        hidden.
    Returns the mean squared error, in squared units of the target; scaled, after the best factor
    and as a share of the mean squared fall: 0 is perfect, 1 says nothing.
    """
    at_least(1, samples=samples)
    hidden = random_squares(samples, size, case.observations.shape[2:], case.generator())
    hidden = hidden.to(case.observations)[:, None]
    if not method.evidence:
        values = values * (case.observations - case.baselines)
    found = []
    for row in range(len(values)):
        with torch.no_grad():
            arguments = case.score.at(slice(row, row + 1)).arguments
            whole = case.score(case.observations[row : row + 1], *arguments)
        falls = whole - masked_scores(case, row, 1 - hidden)
        promised = (values[row] * hidden).flatten(1).sum(1)
        wrong = (promised - falls).square().mean()
        found.append(_unexplained(promised, falls) if scaled else wrong)
    return torch.stack(found)


def sensitivity(
    method: AttributionMethod,
    case: Case,
    values: Float[Tensor, "batch covered height width"],
    options: Mapping[str, Any] = NOTHING,
    radius: float = 0.02,
    samples: int = 5,
) -> Float[Tensor, "batch"]:
    """The largest relative change of the values under small noise on the pixels.

    radius: pixels change by at most so much, of their range. samples: how often.
    """
    at_least(1, samples=samples)
    if not 0 < radius <= 1:
        raise ValueError(f"radius is {radius}; expected more than 0 and at most 1")
    generator, most = case.generator(), torch.zeros(len(values)).to(values)
    norm = values.flatten(1).norm(dim=1).clamp(min=torch.finfo(values.dtype).tiny)
    for _ in range(samples):
        noise = torch.rand(case.observations.shape[1:], generator=generator) * 2 - 1
        near = case.observations + radius * noise.to(case.observations)
        change = attributed(method, replace(case, observations=near), options).values - values
        most = torch.maximum(most, change.flatten(1).norm(dim=1) / norm)
    return most


def random_squares(
    count: int, size: int, shape: torch.Size, generator: torch.Generator
) -> Float[Tensor, "{count} height width"]:
    """1 in a square at a random place, wholly on the screen of `shape` (height, width).

    Raises ValueError if the square does not fit.
    """
    height, width = shape
    if not 1 <= size <= min(height, width):
        raise ValueError(f"size is {size}; expected 1 to {min(height, width)}")
    tops = torch.randint(height - size + 1, (count, 1), generator=generator)
    lefts = torch.randint(width - size + 1, (count, 1), generator=generator)
    rows, columns = torch.arange(height), torch.arange(width)
    down = (rows >= tops) & (rows < tops + size)
    across = (columns >= lefts) & (columns < lefts + size)
    return (down[:, :, None] & across[:, None]).float()


def _unexplained(promised: Tensor, falls: Tensor) -> Tensor:
    if falls.abs().max() == 0 or promised.abs().max() == 0:
        return torch.ones_like(falls[0])
    factor = (promised * falls).mean() / promised.square().mean()
    return (factor * promised - falls).square().mean() / falls.square().mean()
