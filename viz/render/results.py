"""Results of an optimization: images, how far they got, and whether that holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from atari_zoo.analysis.peaks import peaks
from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.units import unit_asked
from atari_zoo.viz.objectives.values import IMAGE, values_of
from atari_zoo.viz.render.ascent import Ascent

HELD_SHARE = 0.9  # of what was gained
LAST = 8  # steps whose mean is where the curve ended: each has other transforms


@dataclass(frozen=True)
class Rendered:
    """Images and what is known of them, a row for each sample; on the CPU.

    images: in 0..1, oldest frame first.
    objective: reached by the image as it is, without transforms.
    activation, rectified: of the objective, the part that asks something of the network: of what
        enters the ReLUs, and of what leaves them; NaN if there is no such part.
    reread: the objective of the image after it was rounded to bytes, as an agent would see it.
    held: whether the image, as it is and as bytes, has at least 90 % of what was gained with the
        transforms; false where nothing was gained.
    percentile: 0..100, of the peak reached among the unit's peaks in real observations; where the
        objective is not a single unit, of the activation among theirs. NaN without observations.
    curve: the objective before each step, with the transforms. steps: how many were taken.
    snapshots: the images after some steps.
    """

    names: tuple[str, ...]
    images: Float[Tensor, "batch frames height width"]
    objective: Float[Tensor, "batch"]
    activation: Float[Tensor, "batch"]
    rectified: Float[Tensor, "batch"]
    reread: Float[Tensor, "batch"]
    held: Bool[Tensor, "batch"]
    percentile: Float[Tensor, "batch"]
    curve: Float[Tensor, "steps batch"]
    steps: Int[Tensor, "batch"]
    snapshots: dict[int, Float[Tensor, "batch frames height width"]] = field(default_factory=dict)

    @property
    def bytes(self) -> UInt8[Tensor, "batch frames height width"]:
        """The images as an agent would see them."""
        return as_bytes(self.images)


def as_bytes(images: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """0..1 rounded to 0..255."""
    return (images * 255).round().to(torch.uint8)


def measured_images(
    network: Network, objective: Objective, names: tuple[str, ...], ascent: Ascent
) -> Rendered:
    """The images of an ascent with what they reach, without transforms and as bytes."""
    images, count = ascent.images, len(ascent.images)
    read = as_bytes(images)
    plain = reached(network, objective, images)
    reread = reached(network, objective, read)
    unknown = torch.full((count,), torch.nan)
    asked = objective.wanted
    activation = unknown if asked is None else reached(network, asked.rectified(False), images)
    rectified = unknown if asked is None else reached(network, asked.rectified(), images)
    first, last = ascent.curve[0], _end(ascent.curve)
    kept = torch.minimum(plain, reread) >= first + HELD_SHARE * (last - first)
    return Rendered(
        names, images, plain, activation, rectified, reread, kept & (last > first), unknown,
        ascent.curve, ascent.steps, ascent.snapshots,
    )  # fmt: skip


def reached(network: Network, objective: Objective, images: Tensor) -> Float[Tensor, "batch"]:
    """The objective of images, a number for each; on the CPU."""
    weight = next(network.parameters())
    floats = images.float() / 255 if images.dtype == torch.uint8 else images
    values = values_of(network, objective.references, floats.to(weight.dtype))
    with torch.no_grad():
        numbers = objective(values | {IMAGE: floats.to(weight.device)})
    return numbers.cpu().expand(len(images)).clone()


def together(parts: Sequence[Rendered]) -> Rendered:
    """Several batches as one."""
    first = parts[0]
    tensors = {
        name: torch.cat([getattr(part, name) for part in parts], dim=1 if name == "curve" else 0)
        for name in vars(first)
        if name not in ("names", "snapshots")
    }
    shared = [s for s in first.snapshots if all(s in part.snapshots for part in parts)]
    snapshots = {step: torch.cat([part.snapshots[step] for part in parts]) for step in shared}
    names = tuple(name for part in parts for name in part.names)
    return Rendered(names=names, snapshots=snapshots, **tensors)


def percentiles(
    network: Network, objective: Objective, rendered: Rendered, observations: Tensor
) -> Rendered:
    """The same with the percentile of each sample's activation among real observations'."""
    if not len(observations):
        raise ValueError("no observations to compare with; give one at least")
    asked = objective.wanted
    if asked is None:
        return rendered
    count = len(rendered.images)
    unit = unit_asked(asked)
    if unit is not None:
        layer, indices = unit
        indices = indices.expand(max(count, len(indices)))[:count]
        real = peaks(network, observations, layer).values[:, indices]
        best = peaks(network, rendered.images, layer).values[torch.arange(count), indices]
    else:
        alone = [asked.rectified(False).of_samples(slice(i, i + 1)) for i in range(count)]
        values = values_of(network, alone[0].references, observations)
        real = torch.stack([objective(values).cpu() for objective in alone], dim=1)
        best = rendered.activation
    below = (real < best).float().mean(dim=0)
    equal = (real == best).float().mean(dim=0)
    return replace(rendered, percentile=100 * (below + equal / 2))


def _end(curve: Float[Tensor, "steps batch"]) -> Float[Tensor, "batch"]:
    """The mean of each sample's last few values."""
    known = ~curve.isnan()
    steps = torch.arange(len(curve))[:, None]
    last = torch.where(known, steps, -1).amax(dim=0)
    recent = known & (steps > last - LAST)
    return torch.where(recent, curve, 0).sum(dim=0) / recent.sum(dim=0).clamp_min(1)
