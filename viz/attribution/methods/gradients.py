"""Attribution by gradients with respect to the pixels; the deterministic ones through Captum
(https://captum.ai), the others here, since Captum draws from the global random state."""

from __future__ import annotations

from collections.abc import Callable

import torch
from captum.attr import (
    InputXGradient,
    Saliency,
)
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.viz.attribution.registry import BATCH, Case, method
from atari_zoo.viz.attribution.ruled_modules import with_rule

Values = Float[Tensor, "batch frames height width"]
SLOPE = "of the target for a pixel from black to white"


@method(
    "https://arxiv.org/abs/1312.6034",
    gradients=True,
    evidence=False,
    unit=SLOPE,
)
def gradient(case: Case) -> Values:
    """How the target answers to each pixel: its derivative, with its sign."""
    pixels, arguments = leaf(case)
    return Saliency(case.score).attribute(pixels, abs=False, additional_forward_args=arguments)


@method("https://arxiv.org/abs/1605.01713", gradients=True)
def input_x_gradient(case: Case) -> Values:
    """The derivative times the pixel: exact where the network is linear."""
    pixels, arguments = leaf(case)
    return InputXGradient(case.score).attribute(pixels, additional_forward_args=arguments)


@method(
    "https://arxiv.org/abs/1706.03825",
    gradients=True,
    stochastic=True,
    evidence=False,
    unit=SLOPE,
)
def smoothgrad(case: Case, *, samples: int = 50, noise: float = 0.15) -> Values:
    """The derivative's mean under noise on the pixels.

    noise: its standard deviation, as a share of the range of pixels; the paper has 0.1 to 0.2.
    """
    at_least(1, samples=samples)
    at_least(0, noise=noise)
    generator, shape = case.generator(), case.observations.shape[1:]

    def noised(some: slice) -> tuple[Tensor, Tensor]:
        draws = torch.randn(count(some), *shape, generator=generator).to(case.observations)
        points = case.observations[:, None] + noise * draws
        return points, torch.ones_like(points)

    return mean_gradient(case, samples, noised)


@method(
    "https://arxiv.org/abs/1412.6806",
    modules="relu",
    gradients=True,
    evidence=False,
    unit=SLOPE,
)
def guided_backprop(case: Case) -> Values:
    """The derivative, of which each ReLU lets only positive parts back through."""
    pixels, arguments = leaf(case)
    ruled = with_rule(case.score, (nn.ReLU,), _guided)
    (slope,) = torch.autograd.grad(ruled(pixels, *arguments).sum(), pixels)
    return slope


def _guided(module: nn.Module, values: Tensor, results: Tensor, slope: Tensor) -> Tensor:
    return slope.clamp(min=0) * (values > 0)


def leaf(case: Case) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The pixels, ready for gradients, and the arguments that the score takes besides them."""
    return case.observations.detach().clone().requires_grad_(), case.score.arguments


def mean_gradient(
    case: Case, samples: int, draw: Callable[[slice], tuple[Tensor, Tensor]]
) -> Tensor:
    """The mean of gradient x weight over points (batch, samples, ...) that `draw` makes."""
    batch, total = len(case.observations), torch.zeros_like(case.observations)
    each = max(1, BATCH // batch)
    for start in range(0, samples, each):
        some = slice(start, min(start + each, samples))
        points, weights = draw(some)
        pixels = points.detach().flatten(0, 1).requires_grad_()
        scores = case.score(pixels, *case.score.repeated(count(some)))
        (slope,) = torch.autograd.grad(scores.sum(), pixels)
        total += (slope.reshape(points.shape) * weights).sum(1)
    return total / samples


def count(some: slice) -> int:
    """How many a slice with both ends takes."""
    return some.stop - some.start


def at_least(least: int, **given: float) -> None:
    """Raises ValueError for an option below that."""
    for name, number in given.items():
        if number < least:
            raise ValueError(f"{name} is {number}; it must be at least {least}")
