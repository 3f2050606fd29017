"""Results of an optimization: images, how far they got, and whether that holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from atari_zoo.converters.displays import notebook_html
from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.values import IMAGE, values_of
from atari_zoo.viz.render.ascent import Ascent

HELD_SHARE = 0.9  # of what was gained
ASKED_SHARE = 0.1  # of what was gained, that must be what was asked of the network
LAST = 8  # steps whose mean is where the curve ended: each has other transforms


@dataclass(frozen=True)
class Rendered:
    """Images and what is known of them, a row for each sample; on the CPU.

    images: in 0..1, oldest frame first.
    objective: reached by the image as it is, without transforms.
    activation, rectified: of the objective, the part that asks something of the network: of what
        enters the ReLUs, and of what leaves them; NaN if there is no such part.
    reread: the objective of the image after it was rounded to bytes, as an agent would see it.
    rose: whether what is asked of the network rose at all: by a tenth of what was gained, at
        least. Where it did not, the penalties were lowered instead, as by an even grey.
    held: whether it rose, and the image, as it is and as bytes, has at least 90 % of what was
        gained with the transforms; false where nothing was gained.
    percentile: 0..100, of the activation among the same of real observations. NaN without them.
    played: the largest activation at any of these.
    weights: of total variation, at the end. reach: the objective that was reached, with the
        transforms, where nothing was to be smooth; NaN if that was not asked for.
    curve: the objective before each step, with the transforms. steps: how many were taken.
    snapshots: the images after some steps.
    """

    names: tuple[str, ...]
    images: Float[Tensor, "batch frames height width"]
    objective: Float[Tensor, "batch"]
    activation: Float[Tensor, "batch"]
    rectified: Float[Tensor, "batch"]
    reread: Float[Tensor, "batch"]
    rose: Bool[Tensor, "batch"]
    held: Bool[Tensor, "batch"]
    percentile: Float[Tensor, "batch"]
    played: Float[Tensor, "batch"]
    weights: Float[Tensor, "batch"]
    reach: Float[Tensor, "batch"]
    curve: Float[Tensor, "steps batch"]
    steps: Int[Tensor, "batch"]
    snapshots: dict[int, Float[Tensor, "batch frames height width"]] = field(default_factory=dict)

    _repr_html_ = notebook_html

    @property
    def failures(self) -> tuple[str, ...]:
        """In which way each image failed, in words; "" where it did not."""
        silent = (self.rectified == 0) & (self.activation < 0)
        return tuple(map(_failure, self.rose, self.held, silent))

    @property
    def bytes(self) -> UInt8[Tensor, "batch frames height width"]:
        """The images as an agent would see them."""
        return as_bytes(self.images)


def _failure(rose: Tensor, held: Tensor, silent: Tensor) -> str:
    if not rose:
        return "failed: it did not rise"
    if silent:
        return "failed: its ReLU lets nothing through"
    return "" if held else "failed: it did not hold"


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
    activation, rectified, risen = unknown, unknown, unknown
    asks = _asking(objective, count)
    if asked := objective.wanted:
        activation = reached(network, asked.rectified(False), images).where(asks, unknown)
        rectified = reached(network, asked.rectified(), images).where(asks, unknown)
        risen = reached(network, asked, images) - reached(network, asked, ascent.start)
    first, last = ascent.curve[0], _end(ascent.curve)
    kept = torch.minimum(plain, reread) >= first + HELD_SHARE * (last - first)
    rose = (last > first) & (~asks | (risen > ASKED_SHARE * (last - first)))
    return Rendered(
        names, images, plain, activation, rectified, reread, rose, kept & rose, unknown, unknown,
        ascent.weights, ascent.reach, ascent.curve, ascent.steps, ascent.snapshots,
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
    """The same with each sample's percentile, and the most, among real observations."""
    if not len(observations):
        raise ValueError("no observations to compare with; give one at least")
    asked = objective.wanted
    if asked is None:
        return rendered
    count = len(rendered.images)
    alone = [asked.rectified(False).of_samples(slice(i, i + 1)) for i in range(count)]
    values = values_of(network, alone[0].references, observations)
    real = torch.stack([objective(values).cpu() for objective in alone], dim=1)
    below = (real < rendered.activation).float().mean(dim=0)
    equal = (real == rendered.activation).float().mean(dim=0)
    asks = ~rendered.activation.isnan()
    unknown = torch.full((count,), torch.nan)
    percentile = (100 * (below + equal / 2)).where(asks, unknown)
    return replace(rendered, percentile=percentile, played=real.amax(dim=0).where(asks, unknown))


def _asking(objective: Objective, count: int) -> Bool[Tensor, "batch"]:
    """Which samples ask something of the network: joined with others, some may have penalties
    alone, and the rest with weight 0."""
    weights = [term.weight.expand(count) != 0 for term in objective.terms if term.wanted]
    return torch.stack(weights).any(dim=0) if weights else torch.zeros(count, dtype=torch.bool)


def _end(curve: Float[Tensor, "steps batch"]) -> Float[Tensor, "batch"]:
    """The mean of each sample's last few values."""
    known = ~curve.isnan()
    steps = torch.arange(len(curve))[:, None]
    last = torch.where(known, steps, -1).amax(dim=0)
    recent = known & (steps > last - LAST)
    return torch.where(recent, curve, 0).sum(dim=0) / recent.sum(dim=0).clamp_min(1)
