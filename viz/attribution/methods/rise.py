"""RISE, randomized input sampling (Petsiuk et al., 2018, https://arxiv.org/abs/1806.07421)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from atari_zoo.viz.attribution.masks import masked_scores
from atari_zoo.viz.attribution.registry import Case, method


@method("https://arxiv.org/abs/1806.07421", baselines="one", stochastic=True)
def rise(
    case: Case, *, masks: int = 1000, cells: int = 8, keep: float = 0.5
) -> Float[Tensor, "batch 1 height width"]:
    """How much higher the target is, over random masks, where they let a pixel through.

    masks: how many. cells: of a mask on each axis. keep: probability that a cell is let through.
    In units of the target; what a mask hides is the baseline. The paper's map of how far the
    target exceeds its mean over all masks: so a constant in the target changes nothing.
    """
    if masks < 2 or cells < 1 or not 0 < keep < 1:
        raise ValueError(
            f"masks is {masks}, cells {cells} and keep {keep}; "
            "expected at least 2, at least 1, and more than 0 but less than 1"
        )
    height, width = case.observations.shape[2:]
    shown = rise_masks(masks, cells, keep, height, width, case.generator()).to(case.observations)
    found = []
    for row in range(len(case.observations)):
        scores = masked_scores(case, row, shown[:, None]).double()
        above = (scores - scores.mean()).to(shown)
        found.append(torch.einsum("n,nhw->hw", above, shown) / (masks * keep))
    return torch.stack(found)[:, None]


def rise_masks(
    count: int, cells: int, keep: float, height: int, width: int, generator: torch.Generator
) -> Float[Tensor, "{count} {height} {width}"]:
    """Random grids of 0 and 1, enlarged bilinearly by one cell more than the screen, and cut out
    at a random place within a cell."""
    down, across = -(-height // cells), -(-width // cells)  # pixels of a cell
    grids = (torch.rand(count, 1, cells, cells, generator=generator) < keep).float()
    size = ((cells + 1) * down, (cells + 1) * across)
    large = F.interpolate(grids, size, mode="bilinear", align_corners=False)[:, 0]
    tops = torch.randint(down, (count,), generator=generator).tolist()
    lefts = torch.randint(across, (count,), generator=generator).tolist()
    return torch.stack(
        [
            mask[top : top + height, left : left + width]
            for mask, top, left in zip(large, tops, lefts, strict=True)
        ]
    )
