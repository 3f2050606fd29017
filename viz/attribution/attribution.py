"""Attribution: which pixels made the agent choose, by any method, target and baseline.

The methods stand in `methods`, a file for each family; the targets in `targets`, the baselines in
`baselines`.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.attribution.baselines import BaselineLike
from atari_zoo.viz.attribution.cases import Attribution, attributed, case_for, parts_of
from atari_zoo.viz.attribution.methods.layers import layer_attribution
from atari_zoo.viz.attribution.registry import ATTRIBUTION_METHODS, AttributionMethod, method_named
from atari_zoo.viz.attribution.targets import TargetLike


def attribute(
    network: Network,
    observations: Float[Tensor, "batch frames height width"],
    method: str = "integrated_gradients",
    target: TargetLike = "chosen",
    baseline: BaselineLike = "black",
    seed: int = 0,
    **options: Any,
) -> Attribution:
    """What each pixel did for a number that the network computes.

    observations: floats in 0..1, oldest frame first.
    method: a name in `methods()`; options are the method's own, as its row there lists them.
    target: "chosen", an action's number or name, (batch,) numbers of actions, "margin", "value",
        "advantage", "atom:FIRE:50", "quantile:FIRE:3", "entropy" or "max": see
        `targets`.
    baseline: "black", "mean", "previous", "still", "blurred", "observations" or a tensor, such as
        `zoo.counterfactual` gives, of the methods that compare: see `baselines`.
    seed: of methods with randomness; an observation gets the same values in any batch.
    Returns values and deltas on the network's device.
    Raises ValueError if something is not there, or the method would be wrong on this network.

    >>> attribute(network, observations, "deeplift", "margin").values.shape
    torch.Size([8, 4, 84, 84])
    """
    chosen = method_named(method, options)
    return attributed(
        chosen, case_for(network, observations, chosen, target, baseline, seed), options
    )


def attribute_layer(
    network: Network,
    observations: Float[Tensor, "batch frames height width"],
    layer: str,
    kind: str = "gradient_x_activation",
    target: TargetLike = "chosen",
    baseline: BaselineLike = "black",
    steps: int = 50,
) -> Tensor:
    """What each number of a layer did for the target, (batch, ...) of the layer's own shape.

    kind: "gradient_x_activation", "conductance" (these sum to the target's rise from the
        baseline), "internal_influence" or "grad_cam"; steps: points of the integrals.
    Raises ValueError if something is not there.

    >>> attribute_layer(network, observations, "fc", "conductance").shape
    torch.Size([8, 512])
    """
    conductance = ATTRIBUTION_METHODS["layer_conductance"]  # compares as all kinds here do
    case = case_for(network, observations, conductance, target, baseline)
    return torch.cat([layer_attribution(part, layer, kind, steps) for part in parts_of(case)])


def methods() -> list[AttributionMethod]:
    """All methods with their facts, such as whether they are complete, and their options."""
    return sorted(ATTRIBUTION_METHODS.values(), key=lambda method: not method.gradients)


def integrated_gradients(
    network: Network,
    observations: Float[Tensor, "batch frames height width"],
    actions: int | Int[Tensor, "batch"],
    steps: int = 50,
) -> Attribution:
    """Integrated gradients of an action's output, from a black screen: see `attribute`.

    actions: one for all observations, or one for each: 0 to network.actions - 1.
    """
    return attribute(network, observations, "integrated_gradients", actions, steps=steps)
