"""The loop of activation maximization: many images at once, each raising its own objective
(Erhan et al., 2009; Olah et al., 2017, https://distill.pub/2017/feature-visualization)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.converters.arguments import check_kinds
from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.values import IMAGE, value_reader
from atari_zoo.viz.parameterizations.fourier import Fourier
from atari_zoo.viz.parameterizations.parameterizations import Parameterization, Pixels
from atari_zoo.viz.render import rescue
from atari_zoo.viz.render.seeds import generators
from atari_zoo.viz.render.smoothing import KEPT, PROBED, Smoothing, smoothed_samples
from atari_zoo.viz.render.stopping import Stopping
from atari_zoo.viz.render.transforms import Jitter, Transform, draws_for, transformed

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "nadam": torch.optim.NAdam,
}


@dataclass(frozen=True)
class Settings:
    """How images are optimized; `ORIGINAL` is as the original zoo did it.

    rate: of learning; what suits the parameterization if not given.
    seed: a sample's image depends on it and on the sample's name, not on the batch.
    batch: images at a time; as many as fit if not given.
    snapshots: after how many steps the images are kept besides.
    threshold: a sample stops where its objective reaches it.
    patience: a sample stops after so many steps without a new best.
    kept: the share of what can be gained that is kept, while the image is made as smooth as that
        allows, by a weight of total variation of its own; what can be gained is looked up before,
        in half as many steps. None: nothing smooths it. A sample whose objective has
        penalties of its own is left to these.
    rescue_steps: in how many of the first steps silent ReLUs let gradients pass.
    precision: of the forward pass, such as torch.bfloat16; the network's own if not given.
    """

    parameterization: Parameterization = Fourier()  # noqa: RUF009, it is frozen
    transforms: Sequence[Transform] = (Jitter(6),)
    steps: int = 256
    rate: float | None = None
    seed: int = 0
    batch: int | None = None
    snapshots: Sequence[int] = ()
    threshold: float | None = None
    patience: int | None = None
    kept: float | None = KEPT
    rescue_steps: int = rescue.STEPS
    precision: torch.dtype | None = None

    def __post_init__(self) -> None:
        check_kinds(self)
        for what in ("steps", "batch", "patience"):
            number = getattr(self, what)
            if number is not None and number < 1:
                raise ValueError(f"{what} is {number}; expected at least 1, a whole number")
        if self.rescue_steps < 0:
            raise ValueError(f"rescue_steps is {self.rescue_steps}; expected 0 or more")
        if self.kept is not None and not 0 < self.kept < 1:
            raise ValueError(f"kept is {self.kept}; expected a share between 0 and 1, or None")
        if self.rate is not None and not (self.rate > 0 and isfinite(self.rate)):
            raise ValueError(f"rate is {self.rate}; expected more than 0")
        if self.threshold is not None and not isfinite(self.threshold):
            raise ValueError(f"threshold is {self.threshold}; expected a finite number")
        if wrong := [step for step in self.snapshots if not 0 <= step <= self.steps]:
            raise ValueError(f"a snapshot after {wrong[0]} steps; expected 0 to {self.steps}")

    @property
    def rounds(self) -> int:
        """The steps, and those that look up what can be gained."""
        return self.steps + (0 if self.kept is None else max(1, self.steps // PROBED))


ORIGINAL = Settings(Pixels(), (Jitter(3),), steps=512, kept=None)


@dataclass(frozen=True)
class Ascent:
    """images: as they ended. start: as they began. curve: the objective before each step, with the
    transforms; NaN after a sample has stopped. steps: how many each sample took. weights: of total
    variation, at the end. reach: the objective without it; NaN where that was not asked for.
    snapshots: images by step."""

    images: Float[Tensor, "batch frames height width"]
    start: Float[Tensor, "batch frames height width"]
    curve: Float[Tensor, "steps batch"]
    steps: Int[Tensor, "batch"]
    weights: Float[Tensor, "batch"]
    reach: Float[Tensor, "batch"]
    snapshots: dict[int, Float[Tensor, "batch frames height width"]] = field(default_factory=dict)


def ascend(
    network: Network,
    objective: Objective,
    names: Sequence[str],
    settings: Settings,
    progress: Callable[[int], None] = lambda step: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Ascent:
    """Raises the objective of a batch of images, one for each name; the losses are summed.

    progress: called with the number of rounds done. stopped: ends the loop when it says so.
    """
    device = next(network.parameters()).device
    smoothed = smoothed_samples(objective, len(names))
    smoothing = None
    if settings.kept is not None and smoothed.any():
        probed = _probed(network, objective, names, settings, progress, stopped)
        if stopped():
            return _as_far(probed, settings)
        done = probed.curve[: max(1, int(probed.steps.max()))]
        smoothing = Smoothing(done.to(device), settings.kept, smoothed.to(device))
    shape = observation_shape(network)
    how = settings.parameterization
    weight = next(network.parameters())
    dtype = weight.dtype
    started = how.start(shape, generators(settings.seed, names, "start"))
    tensors = [tensor.to(device).requires_grad_() for tensor in started]
    with torch.no_grad():
        first = how.squashed(how.raw(tensors, shape)).cpu()
    optimizer = _optimizer(how, tensors, settings.rate)
    draws = draws_for(settings.transforms, settings.seed, names, settings.steps).to(device)
    curve = torch.full((settings.steps, len(names)), torch.nan, device=device)
    stopping = Stopping(len(names), settings.threshold, settings.patience, device)
    snapshots: dict[int, Tensor] = {}
    wanted = {reference.network or network for reference in objective.references}
    with value_reader(network, objective.references) as read, ExitStack() as rescued:
        if settings.rescue_steps:
            rescued.enter_context(rescue.redirected(wanted))
        for step in range(settings.steps):
            if stopped():
                break
            if step == settings.rescue_steps:
                rescued.close()
            images = how.squashed(how.raw(tensors, shape))
            if step in settings.snapshots:
                snapshots[step] = stopping.kept(images)
            seen = transformed(images, settings.transforms, draws[step]).to(dtype)
            with torch.autocast(device.type, settings.precision, settings.precision is not None):
                values = read(seen)
            heights = objective(values | {IMAGE: images})
            curve[step] = stopping.recorded(heights.detach(), images, step)
            if stopping.all_done():
                break
            height = heights.sum()  # a mean would meet Adam's epsilon sooner
            if smoothing is not None:
                height = height - smoothing.penalty(images).sum()
                smoothing.adapt(heights.detach())
            _descend(optimizer, tensors, -height)
            stopping.taken += 1
            progress(settings.rounds - settings.steps + stopping.taken)
    with torch.no_grad():
        images = stopping.kept(how.squashed(how.raw(tensors, shape)))
    if settings.steps in settings.snapshots:
        snapshots[settings.steps] = images
    kept = {step: some.cpu() for step, some in snapshots.items()}
    unknown = torch.full((len(names),), torch.nan)
    weights, reach = torch.zeros(len(names)), unknown
    if smoothing is not None:
        weights, reach = smoothing.weights.cpu(), smoothing.reach.cpu()
    return Ascent(images.cpu(), first, curve.cpu(), stopping.steps().cpu(), weights, reach, kept)


def _probed(
    network: Network,
    objective: Objective,
    names: Sequence[str],
    settings: Settings,
    progress: Callable[[int], None],
    stopped: Callable[[], bool],
) -> Ascent:
    """What can be gained where nothing is to be smooth."""
    plain = replace(
        settings, kept=None, steps=settings.rounds - settings.steps, snapshots=(),
        threshold=None, patience=None,
    )  # fmt: skip
    return ascend(network, objective, names, plain, progress, stopped)


def _as_far(probed: Ascent, settings: Settings) -> Ascent:
    """What was reached where the loop was ended before anything was smoothed."""
    curve = torch.full((settings.steps, probed.curve.shape[1]), torch.nan)
    curve[: len(probed.curve)] = probed.curve
    return replace(probed, curve=curve, snapshots={0: probed.start} if settings.snapshots else {})


def _optimizer(
    how: Parameterization, tensors: list[Tensor], rate: float | None
) -> torch.optim.Optimizer:
    kind = OPTIMIZERS[how.optimizer]
    # one pass over the memory instead of ten, where torch has it
    fused: dict[str, Any] = {"fused": True} if kind is torch.optim.Adam else {}
    return kind(tensors, lr=how.rate if rate is None else rate, **fused)


def _descend(optimizer: torch.optim.Optimizer, tensors: list[Tensor], loss: Tensor) -> None:
    """One step; the gradient is taken of the tensors alone, not of the network's weights."""
    for tensor, gradient in zip(tensors, torch.autograd.grad(loss, tensors), strict=True):
        tensor.grad = gradient
    optimizer.step()
