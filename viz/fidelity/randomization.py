"""Sanity checks by randomized parameters (Adebayo et al., 2018, https://arxiv.org/abs/1810.03292):
whether an attribution changes when what was learned is replaced, from the output downwards."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.attribution.cases import NOTHING, attributed
from atari_zoo.viz.attribution.registry import AttributionMethod, Case
from atari_zoo.viz.attribution.scores import TargetScore


def cascade(
    method: AttributionMethod,
    case: Case,
    options: Mapping[str, Any] = NOTHING,
    values: Float[Tensor, "batch covered height width"] | None = None,
) -> dict[str, Float[Tensor, "batch"]]:
    """Rank correlations of an attribution with its like after each further layer is randomized.

    method, case: as `cases.case_for` takes and makes them; the target stays the one of the
        trained network. values: the attribution, where it is known.
    Returns by layer, from the output down, Spearman's correlation of absolute values: a method
    that depends on what was learned falls to about 0.
    """
    before = attributed(method, case, options).values if values is None else values
    network, generator = deepcopy(case.network), case.generator()
    found = {}
    for name in reversed(learned_layers(network)):
        randomize(network.layers[name], generator)
        score = TargetScore(network, case.score.layer, None, case.score.function)
        score.arguments = case.score.arguments
        after = attributed(method, replace(case, network=network, score=score), options).values
        found[name] = rank_correlation(before.abs(), after.abs())
    return found


def learned_layers(network: Network) -> list[str]:
    """The names of the layers that have parameters, from the input to the output."""
    layers = network.layers.items()
    return [name for name, layer in layers if any(True for _ in layer.parameters())]


def randomize(layer: nn.Module, generator: torch.Generator) -> None:
    """Draws a layer's parameters anew, as torch begins: uniform within 1 / sqrt(inputs)."""
    for module in layer.modules():
        weights = getattr(module, "weight", None)
        if not isinstance(weights, Tensor):
            continue
        bound = weights[0].numel() ** -0.5
        with torch.no_grad():
            for parameter in module.parameters(recurse=False):
                draws = torch.rand(parameter.shape, generator=generator)
                parameter.copy_((2 * draws - 1) * bound)


def rank_correlation(
    first: Float[Tensor, "batch *shape"], second: Float[Tensor, "batch *shape"]
) -> Float[Tensor, "batch"]:
    """Spearman's correlation of each pair, equal values sharing their mean rank; 0 where all
    values of one are equal."""
    pairs = zip(first.flatten(1), second.flatten(1), strict=True)
    return torch.stack([_correlation(_ranks(a), _ranks(b)) for a, b in pairs]).to(first)


def _ranks(values: Tensor) -> Tensor:
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    return (counts.cumsum(0) - (counts - 1) / 2)[place].double()


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    first, second = first - first.mean(), second - second.mean()
    size = (first.square().sum() * second.square().sum()).sqrt()
    return (first * second).sum() / size if size > 0 else size
