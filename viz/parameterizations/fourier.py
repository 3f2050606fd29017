"""Images made of waves (Mordvintsev et al., 2018,
https://distill.pub/2018/differentiable-parameterizations).

Steps then go along waves, whose slow ones are as easy to move as the fast: less of the
checkerboards that pixels tend to. The scaling is Lucid's (https://github.com/tensorflow/lucid):
1 / frequency^decay, times the root of the number of pixels, and the whole divided by 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.parameterizations.parameterizations import (
    DEVIATION,
    Raw,
    Shape,
    Sigmoid,
    normal_noise,
)
from atari_zoo.viz.parameterizations.registry import parameterized_as


@parameterized_as("fourier")
@dataclass(frozen=True)
class Fourier(Sigmoid):
    """The image is the inverse Fourier transform of what is learned.

    decay: power of the frequency by which waves are weighted down; 0 treats all alike.
    """

    decay: float = 1.0
    deviation: float = DEVIATION
    rate: float = 0.05

    def start(self, shape: Shape, generators: Sequence[torch.Generator]) -> list[Tensor]:
        frames, height, width = shape
        return [normal_noise((frames, height, width // 2 + 1, 2), generators, self.deviation)]

    def raw(self, tensors: Sequence[Tensor], shape: Shape) -> Raw:
        spectrum = torch.view_as_complex(tensors[0].contiguous())
        scale = wave_scale(shape, self.decay).to(spectrum.device)
        return torch.fft.irfft2(spectrum * scale, s=list(shape[1:])) / 4


def wave_scale(shape: Shape, decay: float) -> Float[Tensor, "height waves"]:
    """1 / frequency^decay times the root of the number of pixels, of each wave of `rfft2`.

    The wave of no frequency counts as the slowest one: one period in the longer side.
    """
    _, height, width = shape
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequency = (down.square() + across.square()).sqrt()
    slowest = 1 / max(height, width)
    return (height * width) ** 0.5 / frequency.clamp_min(slowest) ** decay
