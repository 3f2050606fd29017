"""Attribution by a linear model of which cells of a grid are hidden: LIME (Ribeiro et al., 2016,
https://arxiv.org/abs/1602.04938) and KernelSHAP (Lundberg and Lee, 2017,
https://arxiv.org/abs/1705.07874). Captum's draw from the global random state, one set at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.attribution.masks import as_pixels, covered, grid_cells, masked_scores
from atari_zoo.viz.attribution.registry import Case, method

Values = Float[Tensor, "batch covered height width"]  # one axis for all frames, or each
LIME_WIDTH, LIME_RIDGE = 0.25, 1.0  # of the lime package: kernel width, and penalty of the fit


@method("https://arxiv.org/abs/1705.07874", complete="rise", baselines="one", stochastic=True)
def kernel_shap(
    case: Case, *, cells: int = 7, samples: int = 1000, frames: str = "together"
) -> Values:
    """Shapley values of a grid's cells, from a weighted fit, shared out over their pixels.

    cells, frames: as of feature_ablation. samples: hidden sets tried, each with its complement;
        all of them, which makes it exact, where there are no more; at least twice the cells, of
        all frames, so that each cell is tried alone and as the only one missing.
    """
    return _of_cells(case, cells, frames, lambda count: coalitions(count, samples, case), _shapley)


@method("https://arxiv.org/abs/1602.04938", baselines="one", stochastic=True)
def lime(case: Case, *, cells: int = 7, samples: int = 1000, frames: str = "together") -> Values:
    """The slopes of a linear model of which cells are shown, shared out over their pixels.

    cells, frames: as of feature_ablation. samples: random sets shown; near the whole screen they
        count more, by the lime package's kernel and its ridge regression.
    """

    def sets(count: int) -> tuple[Tensor, Tensor]:
        _enough(samples, count + 1, count)  # as many as the fit has unknowns
        shown = (torch.rand(samples, count, generator=case.generator()) < 0.5).double()
        shown[0] = 1  # the observation itself, as the lime package has it
        cosine = (shown.mean(dim=1)).sqrt()  # between the set and the whole
        return shown, torch.exp(-((1 - cosine) ** 2) / LIME_WIDTH**2).sqrt()

    return _of_cells(case, cells, frames, sets, _ridge)


def coalitions(
    count: int, samples: int, case: Case
) -> tuple[Float[Tensor, "sets features"], Float[Tensor, "sets"]]:
    """Sets of features and their weights in the fit: all but the empty and the whole one, with
    the Shapley kernel's weights, if there are at most `samples`. Else all of one feature, and of
    all but one, and of the others as many as there is room for, drawn by the kernel, which share
    the rest of its weight; so does the shap package, and the fit is determined."""
    if count < 2:
        return torch.zeros(0, count).double(), torch.zeros(0).double()
    if count < 31 and 2**count - 2 <= samples:
        bits = torch.arange(1, 2**count - 1)[:, None] >> torch.arange(count) & 1
        shown = bits.double()
        size = shown.sum(dim=1)
        ways = torch.lgamma(torch.tensor(count + 1.0)) - torch.lgamma(size + 1)
        ways = (ways - torch.lgamma(count - size + 1)).exp()
        return shown, (count - 1) / (ways * size * (count - size))
    _enough(samples, 2 * count, count)
    alone = torch.eye(count).double()
    singles = torch.cat([alone, 1 - alone])
    half = (samples - 2 * count + 1) // 2
    weight = torch.full((2 * count,), 1 / count).double()  # (n - 1) / (n 1 (n - 1)) each
    if not half:
        return singles, weight
    sizes = torch.arange(2, count - 1).double()
    kernel = (count - 1) / (sizes * (count - sizes))  # of all sets of a size together
    generator = case.generator()
    drawn = torch.multinomial(kernel, half, replacement=True, generator=generator) + 2
    order = torch.rand(half, count, generator=generator).argsort(dim=1).argsort(dim=1)
    shown = (order < drawn[:, None]).double()
    share = torch.full((2 * half,), float(kernel.sum()) / (2 * half)).double()
    return torch.cat([singles, shown, 1 - shown]), torch.cat([weight, share])


Sets = Callable[[int], tuple[Tensor, Tensor]]
Fit = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _of_cells(case: Case, cells: int, frames: str, sets: Sets, fit: Fit) -> Values:
    """The worths that `fit` finds from the scores of the sets, the empty one, and the whole."""
    covered(case, frames)
    features = grid_cells(cells, case.observations.shape[1:], frames == "together")
    shown, weights = sets(len(features))
    ends = torch.stack([torch.zeros(len(features)), torch.ones(len(features))]).double()
    masks = torch.einsum("sf,f...->s...", torch.cat([ends, shown]).float(), features)
    found = []
    for row in range(len(case.observations)):
        scores = masked_scores(case, row, masks.to(case.observations)).cpu().double()
        worths = fit(shown, weights, scores[2:], scores[:2]).to(features)
        found.append(as_pixels(worths, features))
    return torch.stack(found).to(case.observations)


def _shapley(shown: Tensor, weights: Tensor, scores: Tensor, ends: Tensor) -> Tensor:
    """Weighted least squares, such that the worths sum to the rise: the last one is its rest."""
    rise = ends[1] - ends[0]
    if shown.shape[1] == 1:
        return rise[None]
    root = weights.sqrt()[:, None]
    rows = (shown[:, :-1] - shown[:, -1:]) * root
    wanted = (scores - ends[0] - shown[:, -1] * rise)[:, None] * root
    worths = torch.linalg.lstsq(rows, wanted, driver="gelsd").solution[:, 0]
    return torch.cat([worths, (rise - worths.sum())[None]])


def _ridge(shown: Tensor, weights: Tensor, scores: Tensor, ends: Tensor) -> Tensor:
    """Ridge regression with an intercept that is not penalized."""
    share = weights / weights.sum()
    rows, wanted = shown - share @ shown, scores - share @ scores
    normal = rows.T @ (weights[:, None] * rows) + LIME_RIDGE * torch.eye(shown.shape[1]).double()
    return torch.linalg.solve(normal, rows.T @ (weights * wanted))


def _enough(samples: int, least: int, count: int) -> None:
    if samples < least:
        raise ValueError(
            f"samples is {samples}, too few to tell {count} cells apart; give at least {least}, "
            "or fewer cells"
        )
