"""Modules with values of their own and, in the place of their slopes, a rule.

Captum's methods set hooks on what enters a module instead, which change what goes around the
module, too: in every residual block.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from atari_zoo.viz.attribution.scores import TargetScore

# of the module, what entered it, what left it, and the slope of what is explained for the latter:
# that for what entered
SlopeRule = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


def with_rule(
    score: TargetScore, kinds: tuple[type[nn.Module], ...], rule: SlopeRule
) -> TargetScore:
    """A copy of the score in which modules of these kinds have the rule; its weights are to be
    given to it."""
    network = deepcopy(score.network)
    _replace(network, kinds, rule)
    return TargetScore(network, score.layer, None, score.function)


class Ruled(nn.Module):
    """A module of one input, and the rule."""

    def __init__(self, module: nn.Module, rule: SlopeRule) -> None:
        super().__init__()
        self.module, self.rule = module, rule

    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = _Ruled.apply(values, self.module, self.rule)
        return found


class _Ruled(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor, module: nn.Module, rule: SlopeRule) -> Tensor:
        context.module, context.rule = module, rule
        results: Tensor = module(values.clone())  # which may work in place
        context.save_for_backward(values, results)
        return results

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        return context.rule(context.module, *context.saved_tensors, slopes[0]), None, None


def _replace(module: nn.Module, kinds: tuple[type[nn.Module], ...], rule: SlopeRule) -> None:
    for name, child in list(module._modules.items()):  # of a shared module all its names
        if isinstance(child, kinds):
            setattr(module, name, Ruled(child, rule))
        elif child is not None and not isinstance(child, Ruled):
            _replace(child, kinds, rule)
