"""Attribution to what a layer computes, and, drawn out to the screen, to where it looked; through
Captum (https://captum.ai)."""

from __future__ import annotations

from typing import Any

import torch
from captum.attr import (
    InternalInfluence,
    LayerConductance,
    LayerGradCam,
    LayerGradientXActivation,
)
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from atari_zoo.converters.network.hooks import layer_named
from atari_zoo.viz.attribution.registry import BATCH, Case, method
from atari_zoo.viz.attribution.scores import OUTPUT, layer_value

ScreenMap = Float[Tensor, "batch 1 height width"]
KINDS = {
    "gradient_x_activation": LayerGradientXActivation,
    "conductance": LayerConductance,
    "internal_influence": InternalInfluence,
    "grad_cam": LayerGradCam,
}


@method("https://arxiv.org/abs/1610.02391", gradients=True)
def grad_cam(case: Case, *, layer: str = "", rectify: bool = True) -> ScreenMap:
    """A convolution's maps, weighted by their mean derivatives.

    layer: the last one with maps if not given. rectify: leave out what lowers the target.
    """
    values = layer_attribution(case, layer or last_maps(case), "grad_cam")
    return _drawn_out(values.clamp(min=0) if rectify else values, case)


@method("https://arxiv.org/abs/1605.01713", gradients=True)
def layer_gradient_x_activation(case: Case, *, layer: str = "") -> ScreenMap:
    """A convolution's maps times their derivatives, summed over the channels."""
    return _drawn_out(
        layer_attribution(case, layer or last_maps(case), "gradient_x_activation"), case
    )


@method("https://arxiv.org/abs/1805.12233", baselines="one", gradients=True)
def layer_conductance(case: Case, *, layer: str = "", steps: int = 50) -> ScreenMap:
    """The part of the rise from the baseline that flows through each place of a convolution."""
    return _drawn_out(layer_attribution(case, layer or last_maps(case), "conductance", steps), case)


@method("https://arxiv.org/abs/1802.03788", baselines="one", gradients=True, evidence=False)
def internal_influence(case: Case, *, layer: str = "", steps: int = 50) -> ScreenMap:
    """A convolution's derivatives, their mean on the way from the baseline."""
    return _drawn_out(
        layer_attribution(case, layer or last_maps(case), "internal_influence", steps), case
    )


def layer_attribution(case: Case, layer: str, kind: str, steps: int = 50) -> Tensor:
    """Attribution to each number of a layer, (batch, ...) of the layer's own shape.

    kind: one of `KINDS`; of grad_cam (batch, 1, height, width). steps: points of the integrals.
    Raises ValueError if there is no such layer, or it comes after what the target is read from.
    """
    layer_named(case.network, layer)  # raises ValueError
    if kind not in KINDS:
        raise ValueError(f"no kind '{kind}'; there are {', '.join(KINDS)}")
    options: dict[str, Any] = {}
    if kind in ("conductance", "internal_influence"):
        options = {"baselines": case.baselines, "n_steps": steps}
        options["internal_batch_size"] = max(BATCH, len(case.observations))
    if kind == "grad_cam":
        _check_maps(case, layer)
    pixels = case.observations.detach().clone().requires_grad_()
    found = KINDS[kind](case.score, case.network.layers[layer]).attribute(
        pixels, additional_forward_args=case.score.arguments, **options
    )
    return found.detach()


def last_maps(case: Case) -> str:
    """The last layer that has maps; raises ValueError if none has."""
    names = [name for name in case.network.layers if name != OUTPUT]
    for name in reversed(names):
        if _value(case, name).ndim == 4:
            return name
    raise ValueError(f"no layer with maps among {', '.join(names)}")


def _value(case: Case, layer: str) -> Tensor:
    with torch.no_grad():
        return layer_value(case.network, layer, case.observations[:1])


def _check_maps(case: Case, layer: str) -> None:
    shape = tuple(_value(case, layer).shape[1:])
    if len(shape) != 3:
        raise ValueError(f"layer '{layer}' has no maps, its values are {shape}; take a convolution")


def _drawn_out(values: Tensor, case: Case) -> ScreenMap:
    """Channels summed, at the size of the screen; a unit's values are spread over its pixels."""
    if values.ndim != 4:
        raise ValueError(f"values {tuple(values.shape[1:])} are no maps; take a convolution")
    height, width = case.observations.shape[2:]
    share = values.shape[2] * values.shape[3] / (height * width)
    summed = values.sum(dim=1, keepdim=True) * share
    return F.interpolate(summed, (height, width), mode="bilinear", align_corners=False)
