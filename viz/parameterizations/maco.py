"""MaCo (Fel et al., 2023, https://arxiv.org/abs/2306.06805): images whose spectrum is the game's.

How strong each wave is stays what it is on average in real frames; only where the waves stand,
their phase, is learned. So an image cannot leave the frames' statistics for noise that the
network happens to like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.observations import check_unit_range
from atari_zoo.viz.parameterizations.parameterizations import Raw, Shape, Sigmoid, normal_noise
from atari_zoo.viz.parameterizations.registry import parameterized_as

LEAST = 1e-6  # a deviation is taken for no less


def magnitude(observations: Tensor) -> Float[Tensor, "frames height waves"]:
    """The mean strength of each wave in observations, for each of the four frames.

    observations: (steps, 4, 84, 84), uint8 or float in 0..1.
    Raises ValueError if there is none, or they are neither bytes nor in 0..1.
    """
    if not len(observations):
        raise ValueError("no observations: a magnitude needs at least one")
    if observations.dtype != torch.uint8:
        check_unit_range(observations)
    scale = 255 if observations.dtype == torch.uint8 else 1
    total = torch.zeros(1)
    for some in observations.split(256):
        total = total + torch.fft.rfft2(some.float().cpu() / scale).abs().sum(dim=0)
    return total / len(observations)


def _of_play(observations: Tensor | None) -> MaCo:
    if observations is None:
        raise ValueError(
            "maco takes its spectrum from real play: give observations; on the command line, "
            "give --steps more than 0, or a --recording"
        )
    return MaCo(magnitude(observations))


@parameterized_as("maco", _of_play)
@dataclass(frozen=True, eq=False)
class MaCo(Sigmoid):
    """Learns the phase of every wave; `strength` is the `magnitude` of recorded observations."""

    strength: Float[Tensor, "frames height waves"]
    rate: float = 1.0
    optimizer = "nadam"

    def start(self, shape: Shape, generators: Sequence[torch.Generator]) -> list[Tensor]:
        frames, height, width = shape
        if self.strength.shape != (frames, height, width // 2 + 1):
            raise ValueError(
                f"the magnitude is {tuple(self.strength.shape)}; for images of {shape} it is "
                f"{(frames, height, width // 2 + 1)}: make it from observations of this agent"
            )
        return [normal_noise(self.strength.shape, generators, 1.0)]

    def raw(self, tensors: Sequence[Tensor], shape: Shape) -> Raw:
        return _standardized(self.waves(tensors, shape))

    def waves(self, tensors: Sequence[Tensor], shape: Shape) -> Raw:
        """The images before they are standardized and squashed: their spectrum is `strength`."""
        phase = odd_where_real(_standardized(tensors[0]), shape[2])
        strength = self.strength.to(phase.device)
        return torch.fft.irfft2(torch.polar(strength.expand_as(phase), phase), s=list(shape[1:]))


def odd_where_real(phase: Tensor, width: int) -> Tensor:
    """The phases, odd in the waves that have their own conjugate beside them in `rfft2`.

    A real image's waves (y, 0), and (y, width/2) of an even width, are the conjugates of those of
    -y. The inverse transform would average them with phases that are not, and so weaken them.
    """
    columns = [0, width // 2] if width % 2 == 0 else [0]
    own = torch.zeros(phase.shape[-1], dtype=torch.bool, device=phase.device)
    own[columns] = True
    mirrored = phase.flip(-2).roll(1, -2)
    return torch.where(own, (phase - mirrored) / 2, phase)


def _standardized(values: Tensor) -> Tensor:
    """Mean 0 and deviation 1 of each sample."""
    flat = values.flatten(1)
    shape = (-1, *[1] * (values.ndim - 1))
    deviation = flat.std(dim=1, correction=0).clamp_min(LEAST)
    return (values - flat.mean(dim=1).reshape(shape)) / deviation.reshape(shape)
