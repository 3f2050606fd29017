"""Penalties: what an image itself costs, to be subtracted from an objective.

Total variation, L1 and L2 are those of Lucid (https://github.com/tensorflow/lucid), sums over an
image's 28224 pixels: weights of 1e-3 to 1e-6 are usual. They read the image as it is before any
transform.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from atari_zoo.observations import check_unit_range
from atari_zoo.viz.objectives.objectives import Objective, Term
from atari_zoo.viz.objectives.values import IMAGE

Images = Float[Tensor, "batch frames height width"]
TINY = 1e-10  # under the root of L2, whose slope would be infinite at 0


def total_variation() -> Objective:
    """The sum of the absolute differences between neighbouring pixels."""
    return _penalty("tv", _total_variation)


def l1(target: float | Tensor = 0.0) -> Objective:
    """The sum of the absolute differences to `target`: a grey, or an image (4, 84, 84)."""
    return _penalty("l1", _l1, _target(target))


def l2(target: float | Tensor = 0.0) -> Objective:
    """The length of the difference to `target`: a grey, or an image (4, 84, 84)."""
    return _penalty("l2", _l2, _target(target))


def frame_l2(weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> Objective:
    """The sum of the frames' lengths, each weighted, oldest first."""
    return _penalty("frame_l2", _frame_l2, torch.tensor([list(weights)], dtype=torch.float32))


def roughness() -> Objective:
    """Half the squared distance to the image blurred 3x3: its gradient pulls towards the blur."""
    return _penalty("blur", _roughness)


def _penalty(name: str, function: object, *rows: Tensor) -> Objective:
    return Objective((Term(function, (IMAGE,), rows),), (name,))  # type: ignore[arg-type]


def _target(target: float | Tensor) -> Tensor:
    grey = torch.as_tensor(target, dtype=torch.float32)[None]
    check_unit_range(grey, "the target's numbers")
    return grey


def _total_variation(images: Images) -> Float[Tensor, "batch"]:
    down, right = images.diff(dim=2), images.diff(dim=3)
    return down.abs().flatten(1).sum(dim=1) + right.abs().flatten(1).sum(dim=1)


def _l1(images: Images, target: Tensor) -> Float[Tensor, "batch"]:
    return _from(images, target).abs().sum(dim=1)


def _l2(images: Images, target: Tensor) -> Float[Tensor, "batch"]:
    return (_from(images, target).square().sum(dim=1) + TINY).sqrt()


def _from(images: Images, target: Tensor) -> Float[Tensor, "batch pixels"]:
    return (images - (target if target.ndim > 1 else target[:, None, None, None])).flatten(1)


def _frame_l2(images: Images, weights: Tensor) -> Float[Tensor, "batch"]:
    lengths = (images.square().flatten(2).sum(dim=2) + TINY).sqrt()  # (batch, frames)
    return (lengths * weights).sum(dim=1)


def _roughness(images: Images) -> Float[Tensor, "batch"]:
    blurred = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False).detach()
    return (images - blurred).square().flatten(1).sum(dim=1) / 2
