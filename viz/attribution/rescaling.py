"""DeepLIFT's rules (Shrikumar et al., 2017, https://arxiv.org/abs/1704.02685). Captum's miss the
rise behind a pool of the largest, and in every residual block."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atari_zoo.viz.attribution.held_modules import HELD
from atari_zoo.viz.attribution.ruled_modules import with_rule
from atari_zoo.viz.attribution.scores import TargetScore

SAME = 1e-10  # what changes by less has the slope of the module itself


def multipliers(score: TargetScore, observations: Tensor, references: Tensor) -> Tensor:
    """What each pixel's difference from the reference counts, of the shape of the observations.

    Everything that bends in the score's network must be one of the modules in `HELD`.
    """
    ruled = with_rule(score, HELD, _rule)
    both = torch.cat([observations, references]).detach().requires_grad_()
    arguments = [torch.cat([some, some]) for some in score.arguments]
    rises = ruled(both, *arguments)[: len(observations)]
    (found,) = torch.autograd.grad(rises.sum(), both)
    return found[: len(observations)]


def _rule(module: nn.Module, values: Tensor, results: Tensor, slope: Tensor) -> Tensor:
    """The references' slopes stay zero: what is explained are the observations' numbers."""
    rule = _pooled if isinstance(module, nn.MaxPool2d) else _rescaled
    found = rule(module, values, results, slope.chunk(2)[0])
    return torch.cat([found, torch.zeros_like(found)])


def _rescaled(module: nn.Module, values: Tensor, results: Tensor, slope: Tensor) -> Tensor:
    """The rescale rule: a change in what leaves, by that in what enters."""
    (seen, reference), (high, low) = values.chunk(2), results.chunk(2)
    with torch.enable_grad():
        alone = seen.detach().clone().requires_grad_()
        (own,) = torch.autograd.grad(module(alone * 1).sum(), alone)
    return slope * _ratio(high - low, seen - reference, own)


def _pooled(module: nn.Module, values: Tensor, results: Tensor, slope: Tensor) -> Tensor:
    """What a window's largest value changes by, to two places, as the shap package does it: as far
    as the larger of both exceeds the reference's, to where the observation has it; as far as it
    exceeds the observation's, to where the reference has it. Windows that overlap add up."""
    assert isinstance(module, nn.MaxPool2d)
    (seen, reference), (high, low) = values.chunk(2), results.chunk(2)
    options = (module.kernel_size, module.stride, module.padding, module.dilation)
    _, places = F.max_pool2d(values, *options, ceil_mode=module.ceil_mode, return_indices=True)
    place, elsewhere = places.chunk(2)
    larger = torch.maximum(high, low)
    shares = _put(slope * (larger - low), place, seen)
    shares = shares + _put(slope * (high - larger), elsewhere, seen)
    return _ratio(shares, seen - reference, _put(slope, place, seen))


def _ratio(shares: Tensor, change: Tensor, own: Tensor) -> Tensor:
    same = change.abs() < SAME
    return torch.where(same, own, shares / torch.where(same, torch.ones_like(change), change))


def _put(values: Tensor, places: Tensor, like: Tensor) -> Tensor:
    """Values at their places of maps like those, added up where they meet."""
    flat = torch.zeros_like(like).flatten(2)
    return flat.scatter_add(2, places.flatten(2), values.flatten(2)).view_as(like)
