"""Attribution to what a layer computes, and, drawn on the screen, to where it looked; through
Captum (https://captum.ai), but conductance, whose sum Captum misses by several per cent.

On the screen a unit's value lies on its receptive field. A map that is only stretched to the
screen's size is up to 12 pixels off at the border, where no unit's field has its middle.
"""

from __future__ import annotations

from typing import Any

import torch
from captum.attr import (
    InternalInfluence,
    LayerGradCam,
    LayerGradientXActivation,
)
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.hooks import layer_named, recorded
from atari_zoo.converters.network.receptive_fields import layer_fields
from atari_zoo.viz.attribution.registry import BATCH, Case, method
from atari_zoo.viz.attribution.scores import OUTPUT, layer_value

ScreenMap = Float[Tensor, "batch 1 height width"]
CONDUCTANCE = "conductance"
CAPTUMS = {
    "gradient_x_activation": LayerGradientXActivation,
    "internal_influence": InternalInfluence,
    "grad_cam": LayerGradCam,
}
KINDS = (*CAPTUMS, CONDUCTANCE)


@method("https://arxiv.org/abs/1610.02391", gradients=True, unit="a unit's value by its slope")
def grad_cam(case: Case, *, layer: str = "", rectify: bool = True) -> ScreenMap:
    """A convolution's maps, weighted by their mean derivatives.

    layer: the last one with maps if not given. rectify: leave out what lowers the target.
    """
    layer = layer or last_maps(case)
    values = layer_attribution(case, layer, "grad_cam")
    return _on_screen(values.clamp(min=0) if rectify else values, case, layer)


@method("https://arxiv.org/abs/1605.01713", gradients=True)
def layer_gradient_x_activation(case: Case, *, layer: str = "") -> ScreenMap:
    """A convolution's maps times their derivatives, summed over the channels."""
    layer = layer or last_maps(case)
    return _on_screen(layer_attribution(case, layer, "gradient_x_activation"), case, layer)


@method("https://arxiv.org/abs/1805.12233", complete="rise", baselines="one", gradients=True)
def layer_conductance(case: Case, *, layer: str = "", steps: int = 100) -> ScreenMap:
    """The part of the rise from the baseline that flows through each place of a convolution."""
    layer = layer or last_maps(case)
    return _on_screen(layer_attribution(case, layer, CONDUCTANCE, steps), case, layer)


@method(
    "https://arxiv.org/abs/1802.03788",
    baselines="one",
    gradients=True,
    evidence=False,
    unit="of the target for a change of a unit by 1",
)
def internal_influence(case: Case, *, layer: str = "", steps: int = 50) -> ScreenMap:
    """A convolution's derivatives, their mean on the way from the baseline."""
    layer = layer or last_maps(case)
    return _on_screen(layer_attribution(case, layer, "internal_influence", steps), case, layer)


def layer_attribution(case: Case, layer: str, kind: str, steps: int = 50) -> Tensor:
    """Attribution to each number of a layer, (batch, ...) of the layer's own shape.

    kind: one of `KINDS`; of grad_cam (batch, 1, height, width). steps: points of the integrals.
    Raises ValueError if there is no such layer, or it does not lead to what is explained.
    """
    layer_named(case.network, layer)  # raises ValueError
    if type(steps) is not int or steps < 1:
        raise ValueError(f"steps is {steps}; it must be at least 1, a whole number")
    if kind not in KINDS:
        raise ValueError(f"no kind '{kind}'; there are {', '.join(KINDS)}")
    fixed, count = getattr(case.network, "batch", 0), len(case.observations)
    if fixed and (count != fixed or kind in (CONDUCTANCE, "internal_influence")):
        raise ValueError(
            f"this network takes {fixed} observation{'s' * (fixed > 1)} at once, and {kind} "
            f"of {count} needs a layer's derivatives at another number: export it with an open "
            "batch"
        )
    _check_way(case, layer, fixed or 1)
    if kind == CONDUCTANCE:
        return _conductance(case, layer, steps)
    options: dict[str, Any] = {}
    if kind == "internal_influence":
        options = {"baselines": case.baselines, "n_steps": steps}
        options["internal_batch_size"] = max(BATCH, len(case.observations))
    if kind == "grad_cam":
        _check_maps(case, layer)
    pixels = case.observations.detach().clone().requires_grad_()
    found = CAPTUMS[kind](case.score, case.network.layers[layer]).attribute(
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


def _conductance(case: Case, layer: str, steps: int) -> Tensor:
    """The sum, over equal steps from the baseline, of each number's change times its derivative,
    the mean of the derivatives at the step's ends; Captum takes that at one end."""
    total: Tensor | None = None
    each = max(1, BATCH // len(case.observations))
    for first in range(0, steps, each):
        ends = torch.arange(first, min(first + each, steps) + 1).to(case.observations) / steps
        values, slopes = _along(case, layer, ends)  # (ends, batch, ...)
        part = ((slopes[1:] + slopes[:-1]) / 2 * values.diff(dim=0)).sum(dim=0)
        total = part if total is None else total + part
    assert total is not None  # there is a step at least
    return total


def _along(case: Case, layer: str, ends: Tensor) -> tuple[Tensor, Tensor]:
    """What a layer computes on the way from the baselines, and the target's derivatives with
    respect to it. ends: how far on the way, 0..1."""
    count, batch = len(ends), len(case.observations)
    rise = case.observations - case.baselines
    points = case.baselines + ends[:, None, None, None, None] * rise
    arguments = [some.repeat(count, *[1] * (some.ndim - 1)) for some in case.score.arguments]
    with recorded(case.network, [layer]) as kept:
        score = case.score(points.flatten(0, 1).requires_grad_(), *arguments)
    (slope,) = torch.autograd.grad(score.sum(), kept[layer])
    value = kept[layer].detach()
    return value.unflatten(0, (count, batch)), slope.unflatten(0, (count, batch))


def _check_way(case: Case, layer: str, count: int) -> None:
    """Raises ValueError unless what is explained is computed from the layer's value."""
    points = case.observations[:count].detach().clone().requires_grad_()
    score = case.score.at(slice(0, count))
    with recorded(case.network, [layer]) as values:
        number = score(points, *score.arguments).sum()
    value = values[layer]
    if value.requires_grad and number.requires_grad:
        (slope,) = torch.autograd.grad(number, value, allow_unused=True)
        if slope is not None:
            return
    raise ValueError(f"layer '{layer}' does not lead to what is explained; take one before it")


def _value(case: Case, layer: str) -> Tensor:
    with torch.no_grad():
        return layer_value(case.network, layer, case.observations[:1])


def _check_maps(case: Case, layer: str) -> None:
    shape = tuple(_value(case, layer).shape[1:])
    if len(shape) != 3:
        raise ValueError(f"layer '{layer}' has no maps, its values are {shape}; take a convolution")


def _on_screen(values: Tensor, case: Case, layer: str) -> ScreenMap:
    """Channels summed; each place's value is spread over its receptive field, its sum kept."""
    if values.ndim != 4:
        raise ValueError(f"values {tuple(values.shape[1:])} are no maps; take a convolution")
    return layer_fields(case.network, layer).on_screen(values.sum(dim=1))[:, None]
