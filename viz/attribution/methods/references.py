"""Attribution as a difference from references, along the way to them; through Captum
(https://captum.ai), but what draws from the global random state there, and DeepLIFT."""

from __future__ import annotations

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from atari_zoo.viz.attribution.methods.gradients import (
    Values,
    at_least,
    count,
    leaf,
    mean_gradient,
)
from atari_zoo.viz.attribution.registry import BATCH, Case, method
from atari_zoo.viz.attribution.rescaling import multipliers
from atari_zoo.viz.attribution.scores import TargetScore


@method("https://arxiv.org/abs/1703.01365", complete="rise", baselines="one", gradients=True)
def integrated_gradients(case: Case, *, steps: int = 50) -> Values:
    """The derivative's mean on the way from the baseline, times the difference.

    steps: points of the integral; more make delta smaller.
    """
    at_least(1, steps=steps)
    pixels, arguments = leaf(case)
    return IntegratedGradients(case.score).attribute(
        pixels,
        baselines=case.baselines,
        additional_forward_args=arguments,
        n_steps=steps,
        internal_batch_size=max(BATCH, len(pixels)),
    )


@method(
    "https://arxiv.org/abs/1704.02685",
    complete="rise",
    modules="linear",
    baselines="one",
    gradients=True,
)
def deeplift(case: Case) -> Values:
    """The difference to the baseline, carried back through each activation by its own slope."""
    return _deeplift(case.score, case.observations, case.baselines)


@method(
    "https://arxiv.org/abs/1705.07874",
    complete="rise",
    modules="linear",
    baselines="many",
    gradients=True,
)
def deep_shap(case: Case) -> Values:
    """DeepLIFT's mean over all references of an observation."""
    several = case.references.unbind(dim=1)
    total = torch.zeros_like(case.observations)
    for baselines in several:
        total += _deeplift(case.score, case.observations, baselines)
    return total / len(several)


@method(
    "https://arxiv.org/abs/1906.10670",
    complete="rise",
    baselines="many",
    gradients=True,
    stochastic=True,
)
def gradient_shap(case: Case, *, samples: int = 50, noise: float = 0.0) -> Values:
    """The derivative's mean at random points on the ways from the references (expected gradients).

    noise: standard deviation of noise on the observation, as Captum's GradientShap has it.
    """
    at_least(1, samples=samples)
    at_least(0, noise=noise)
    generator, shape = case.generator(), case.observations.shape[1:]
    chosen = torch.randint(case.references.shape[1], (samples,), generator=generator)
    along = torch.rand(samples, 1, 1, 1, generator=generator).to(case.observations)

    def between(some: slice) -> tuple[Tensor, Tensor]:
        starts = case.references[:, chosen[some]]  # (batch, samples, frames, height, width)
        ends = case.observations[:, None]
        if noise:
            draws = torch.randn(count(some), *shape, generator=generator)
            ends = ends + noise * draws.to(ends)
        return starts + along[some] * (ends - starts), ends - starts

    return mean_gradient(case, samples, between)


def _deeplift(score: TargetScore, observations: Tensor, baselines: Tensor) -> Tensor:
    if size := getattr(score.network, "batch", 0):
        raise ValueError(
            "deeplift looks at observations and references together, and this network's file takes "
            f"{size} at once: export it for any number, or use integrated_gradients"
        )
    return (observations - baselines) * multipliers(score, observations, baselines)
