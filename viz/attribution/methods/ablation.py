"""Attribution by hiding parts of the screen, through Captum (https://captum.ai)."""

from __future__ import annotations

import torch
from captum.attr import FeatureAblation, Occlusion
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.attribution.masks import covered, grid_cells
from atari_zoo.viz.attribution.registry import BATCH, Case, method

Values = Float[Tensor, "batch covered height width"]  # one axis for all frames, or each


@method("https://arxiv.org/abs/1311.2901", baselines="one")
def occlusion(case: Case, *, size: int = 6, stride: int = 3, frames: str = "together") -> Values:
    """How far the target falls when a square window is hidden; the mean of a pixel's windows.

    size, stride: of the window, in pixels. frames: "together", one map, or "each", one for each.
    """
    side = min(case.observations.shape[2:])
    if not 1 <= size <= side or not 1 <= stride <= size:
        raise ValueError(
            f"size is {size} and stride {stride}; expected size of 1 to {side}, stride of 1 to size"
        )
    count = covered(case, frames)
    found = Occlusion(case.score).attribute(
        case.observations,
        sliding_window_shapes=(count, size, size),
        strides=(count, stride, stride),
        baselines=case.baselines,
        additional_forward_args=case.score.arguments,
        perturbations_per_eval=max(1, BATCH // len(case.observations)),
    )
    return found if frames == "each" else found[:, :1]


@method("https://arxiv.org/abs/1311.2901", baselines="one")
def feature_ablation(case: Case, *, cells: int = 12, frames: str = "together") -> Values:
    """How far the target falls when a cell of a grid is hidden, shared out over its pixels.

    cells: on each axis. frames: "together" or "each", as of occlusion.
    """
    count = covered(case, frames)
    features = grid_cells(cells, case.observations.shape[1:], frames == "together")
    numbers = features.argmax(dim=0)  # (1 or frames, height, width)
    found = FeatureAblation(case.score).attribute(
        case.observations,
        baselines=case.baselines,
        feature_mask=numbers.expand(case.observations.shape[1:])[None].to(case.observations.device),
        additional_forward_args=case.score.arguments,
        perturbations_per_eval=max(1, BATCH // len(case.observations)),
    )
    pixels = features.flatten(1).sum(1)[numbers].to(found)
    return (found if count == 1 else found[:, :1]) / pixels


@method("", stochastic=True, evidence=False, signed=False, unit="nothing: they are random")
def chance(case: Case) -> Values:
    """Random numbers: no method, but what others must beat in a comparison."""
    draws = torch.rand(case.observations.shape[1:], generator=case.generator())
    return draws.to(case.observations).expand_as(case.observations)
