"""Attribution: which pixels made the agent choose, by any method, target and baseline.

The methods stand in `methods`, a file for each family; the targets in `targets`, the baselines in
`baselines`.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, overload

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.foreign import Network
from atari_zoo.observations import ObservationsLike
from atari_zoo.viz.attribution.baselines import BaselineLike
from atari_zoo.viz.attribution.cases import (
    Attribution,
    attributed,
    case_for,
    parts_of,
    rises,
)
from atari_zoo.viz.attribution.gradient_mode import gradients
from atari_zoo.viz.attribution.methods.layers import layer_attribution
from atari_zoo.viz.attribution.registry import ATTRIBUTION_METHODS, AttributionMethod, method_named
from atari_zoo.viz.attribution.targets import DECISION, TargetLike

GAP = 0.05  # of the rise, by which a sum may miss it unsaid
ROUNDING = 1e-5  # of what is summed in float32


@checked
def attribute(
    network: Network,
    observations: ObservationsLike,
    method: str = "integrated_gradients",
    target: TargetLike = DECISION,
    baseline: BaselineLike = "black",
    seed: int = 0,
    **options: Any,
) -> Attribution:
    """What each pixel did for a number that the network computes.

    observations: (batch, frames, height, width), or one without the batch; bytes, or floats in
        0..1, oldest frame first.
    method: a name in `methods()`; options are the method's own, as its row there lists them.
    target: "decision" (of Q-networks the chosen action's margin, of policies its output),
        "chosen", an action's number or name, (batch,) numbers of actions, "margin", "value",
        "advantage", "atom:FIRE:50", "quantile:FIRE:3", "entropy" or "max": see
        `targets`.
    baseline: "black", "mean", "previous", "still", "blurred", "observations" or a tensor, such as
        `zoo.counterfactual` gives, of the methods that compare: see `baselines`.
    seed: of methods with randomness; an observation gets the same values in any batch.
    Warns of sums that miss a promised rise by more than 5 %.
    Gradients are taken also where the caller has switched them off (`torch.no_grad`).
    A network that carries a state is asked in that of an episode's first step, which is warned of,
    or as `zoo.as_it_was(network, recording, step)` has it.
    Returns values and deltas on the network's device.
    Raises ValueError if something is not there, out of range or no number, or the method would be
        wrong on this network.

    >>> attribute(network, observations, "deeplift", "margin").values.shape
    torch.Size([8, 4, 84, 84])
    """
    found = attribution_of(network, observations, method, target, baseline, seed, **options)
    chosen = method_named(method)
    if chosen.complete == "rise" and found.delta is not None:
        _tell_gap(found.values, found.delta, method, "delta has the gaps")
    return found


def attribution_of(
    network: Network,
    observations: ObservationsLike,
    method: str,
    target: TargetLike = DECISION,
    baseline: BaselineLike = "black",
    seed: int = 0,
    **options: Any,
) -> Attribution:
    """`attribute` for those who tell the delta themselves: it warns of none."""
    chosen = method_named(method, options)
    return attributed(
        chosen, case_for(network, observations, chosen, target, baseline, seed), options
    )


@overload
def attribute_layer(
    network: Network,
    observations: ObservationsLike,
    layer: str,
    kind: str = ...,
    target: TargetLike = ...,
    baseline: BaselineLike = ...,
    steps: int = ...,
    return_convergence_delta: Literal[False] = False,
) -> Tensor: ...
@overload
def attribute_layer(
    network: Network,
    observations: ObservationsLike,
    layer: str,
    kind: str = ...,
    target: TargetLike = ...,
    baseline: BaselineLike = ...,
    steps: int = ...,
    *,
    return_convergence_delta: Literal[True],
) -> tuple[Tensor, Tensor]: ...
@checked
@gradients()
def attribute_layer(
    network: Network,
    observations: ObservationsLike,
    layer: str,
    kind: str = "gradient_x_activation",
    target: TargetLike = "chosen",
    baseline: BaselineLike = "black",
    steps: int = 100,
    return_convergence_delta: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """What each number of a layer did for the target, (batch, ...) of the layer's own shape.

    target: as of `attribute`, but that it is the chosen action's output if not given.
    kind: "gradient_x_activation", "conductance" (these sum to the target's rise from the
        baseline, of a layer that nothing goes around), "internal_influence" or "grad_cam".
    steps: points of the integrals.
    return_convergence_delta: of conductance, also by how much each sum misses the rise, (batch,),
        as Captum calls it; if not, what misses it by more than 5 % is warned of.
    Raises ValueError if something is not there, as `attribute` does.

    >>> attribute_layer(network, observations, "fc", "conductance").shape
    torch.Size([8, 512])
    """
    conductance = ATTRIBUTION_METHODS["layer_conductance"]  # compares as all kinds here do
    case = case_for(network, observations, conductance, target, baseline)
    if not len(case.observations):
        raise ValueError("no observations: there is nothing to explain")
    found = torch.cat([layer_attribution(part, layer, kind, steps) for part in parts_of(case)])
    if kind != "conductance":
        if return_convergence_delta:
            raise ValueError(f"{kind} promises no sum, so it has no delta; conductance does")
        return found
    delta = found.flatten(1).sum(1) - rises(case)
    if return_convergence_delta:
        return found, delta
    _tell_gap(
        found,
        delta,
        f"conductance at {layer}",
        f"take more steps than {steps}, if nothing goes around this layer "
        "(return_convergence_delta=True gives the gaps)",
    )
    return found


def _tell_gap(values: Tensor, delta: Tensor, what: str, advice: str) -> None:
    """Warns of sums that miss the rise by more than `GAP` of it, and by more than rounding."""
    sums, sizes = values.flatten(1).sum(1), values.flatten(1).abs().sum(1)
    rise = sums - delta
    missed = (delta.abs() > GAP * rise.abs()) & (delta.abs() > ROUNDING * sizes)
    if bool(missed.any()):
        worst = float((delta / rise).abs()[missed].max())
        words = f"{what} misses the rise by up to {worst:.0%}: {advice}"
        warnings.warn(words, UserWarning, stacklevel=4)


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
