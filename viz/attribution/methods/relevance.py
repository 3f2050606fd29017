"""Layer-wise relevance propagation (Bach et al., 2015, https://doi.org/10.1371/journal.pone.0130140).

A copy of the network is made in which every convolution and dense layer keeps its value but has
another slope, such that the pixel times the gradient is the pixel's relevance (Montavon et al.,
2019, https://doi.org/10.1007/978-3-030-28954-6_10, section 10.3). A ReLU's own slope already hands
its relevance on, and so do those of padding, flattening, sums and means with fixed weights: no rule
is needed for them.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.converters.network.heads import CosineEmbedding
from atari_zoo.converters.registration import Registry
from atari_zoo.viz.attribution.registry import Case, method
from atari_zoo.viz.attribution.scores import TargetScore

# of a layer and gamma: the layer by whose weights the relevance is shared out
LayerRule = Callable[[nn.Module, float], nn.Module]
RULES: Registry[LayerRule] = Registry("rule", "atari_zoo.viz.attribution.methods")


def rule(name: str) -> Callable[[LayerRule], LayerRule]:
    """Registers the rule of that name."""

    def register(make: LayerRule) -> LayerRule:
        RULES.add(name, make, make)
        return make

    return register


@method(
    "https://doi.org/10.1371/journal.pone.0130140",
    complete="whole",
    modules="relevance",
    gradients=True,
)
def lrp(
    case: Case, *, rule: str = "epsilon", epsilon: float = 1e-6, gamma: float = 0.25
) -> Float[Tensor, "batch frames height width"]:
    """The target's value, shared out backwards in proportion to what each input contributed.

    rule: "epsilon"; "gamma", which favours positive weights; "zplus", positive weights alone; or
        "epsilon-plus", zplus in convolutions and epsilon in dense layers.
    epsilon: added to what is divided by, in units of a layer's value. gamma: of the gamma rule.
    Without biases the values sum to the target, but for what epsilon takes.
    """
    shared_out_by = RULES.named(rule)
    if epsilon <= 0 or gamma < 0:
        raise ValueError(f"epsilon is {epsilon} and gamma {gamma}; expected above 0, and 0 or more")
    network = deepcopy(case.network)
    _replace(network, lambda layer: Sloped(layer, shared_out_by(layer, gamma), epsilon))
    score = TargetScore(network, case.score.layer, None, case.score.function)
    pixels = case.observations.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(score(pixels, *case.score.arguments).sum(), pixels)
    return pixels.detach() * slope


class Sloped(nn.Module):
    """A layer with its own value but another one's slope, times the ratio of their values.

    epsilon: moves the other's value away from zero before it is divided by.
    """

    def __init__(self, layer: nn.Module, other: nn.Module, epsilon: float) -> None:
        super().__init__()
        self.layer, self.other, self.epsilon = layer, other, epsilon

    def forward(self, values: Tensor) -> Tensor:
        whole, part = self.layer(values).detach(), self.other(values)
        away = part.detach() + torch.where(part.detach() < 0, -self.epsilon, self.epsilon)
        return whole + whole / away * (part - part.detach())


@rule("epsilon")
def epsilon_rule(layer: nn.Module, gamma: float) -> nn.Module:
    """By all weights."""
    return layer


@rule("gamma")
def gamma_rule(layer: nn.Module, gamma: float) -> nn.Module:
    """By all weights, the positive ones counted 1 + gamma times."""
    return _weighted(layer, lambda weights: weights + gamma * weights.clamp(min=0))


@rule("zplus")
def positive_rule(layer: nn.Module, gamma: float) -> nn.Module:
    """By the positive weights alone (alpha 1, beta 0)."""
    return _weighted(layer, lambda weights: weights.clamp(min=0))


@rule("epsilon-plus")
def composite_rule(layer: nn.Module, gamma: float) -> nn.Module:
    """In convolutions by the positive weights, in dense layers by all."""
    return positive_rule(layer, gamma) if isinstance(layer, nn.Conv2d) else layer


def _weighted(layer: nn.Module, change: Callable[[Tensor], Tensor]) -> nn.Module:
    other = deepcopy(layer)
    with torch.no_grad():
        for weights in other.parameters():  # the bias too, as Montavon et al. have it
            weights.copy_(change(weights))
    return other


def _replace(module: nn.Module, replacement: Callable[[nn.Module], nn.Module]) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d | nn.Linear):
            setattr(module, name, replacement(child))
        elif not isinstance(child, CosineEmbedding):  # IQN's sees no pixel: a constant factor
            _replace(child, replacement)
