"""Parameterizations: images made of the numbers that are learned (Mordvintsev et al., 2018,
https://distill.pub/2018/differentiable-parameterizations): pixels, a pyramid of resolutions, and
resolutions that frames share.

A parameterization makes learnable tensors, a row for each sample, from a generator for each
sample, and maps them to images. What the map needs besides is in the parameterization itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.parameterizations.registry import PARAMETERIZATIONS, parameterized_as

Shape = tuple[int, int, int]  # frames, height, width
Raw = Float[Tensor, "batch frames height width"]
DEVIATION = 0.01  # of the random start, before the sigmoid: images begin as an even grey


@runtime_checkable
class Parameterization(Protocol):
    """start: the learnable tensors, on the CPU, their first axis the samples.
    raw: from these the images before `squashed`, any real numbers.
    squashed: from these the images, in 0..1.
    rate: a learning rate that suits it. optimizer: what descends best."""

    @property
    def rate(self) -> float: ...

    @property
    def optimizer(self) -> str: ...

    def start(self, shape: Shape, generators: Sequence[torch.Generator]) -> list[Tensor]: ...

    def raw(self, tensors: Sequence[Tensor], shape: Shape) -> Raw: ...

    def squashed(self, raw: Raw) -> Raw: ...


def parameterization_named(name: str, observations: Tensor | None = None) -> Parameterization:
    """The parameterization called `name`, with the settings that suit it.

    observations: of real play, (steps, 4, 84, 84), uint8 or float in 0..1, for those that take
        something from it.
    Raises ValueError, with those there are, if there is none of that name, or it lacks them.

    >>> parameterization_named("fourier").rate
    0.05
    """
    return PARAMETERIZATIONS.named(name)(observations)


class Sigmoid:
    """What most parameterizations share: Adam, and a sigmoid that keeps pixels in 0..1."""

    optimizer = "adam"

    def squashed(self, raw: Raw) -> Raw:
        """The images, in 0..1."""
        return raw.sigmoid()


@parameterized_as("pixels")
@dataclass(frozen=True)
class Pixels(Sigmoid):
    """Every pixel is a number of its own: what the original zoo used."""

    deviation: float = DEVIATION
    rate: float = 0.05

    def start(self, shape: Shape, generators: Sequence[torch.Generator]) -> list[Tensor]:
        return [normal_noise(shape, generators, self.deviation)]

    def raw(self, tensors: Sequence[Tensor], shape: Shape) -> Raw:
        return tensors[0]


@parameterized_as("pyramid")
@dataclass(frozen=True)
class Pyramid(Sigmoid):
    """The sum of images of halving resolutions: coarse shapes move with one number."""

    levels: int = 4
    deviation: float = DEVIATION
    rate: float = 0.05

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f"levels is {self.levels}; expected 1 or more")

    def start(self, shape: Shape, generators: Sequence[torch.Generator]) -> list[Tensor]:
        frames, height, width = shape
        sizes = [(frames, -(-height // 2**k), -(-width // 2**k)) for k in range(self.levels)]
        return [normal_noise(size, generators, self.deviation) for size in sizes]

    def raw(self, tensors: Sequence[Tensor], shape: Shape) -> Raw:
        return torch.stack([enlarged(tensor, shape) for tensor in tensors]).sum(dim=0)


@parameterized_as("shared")
@dataclass(frozen=True)
class Shared(Sigmoid):
    """Pixels, plus a coarse image that all four frames share: what stands still is learned once.

    coarse: pixels of the image for one of the shared one, in height and in width.
    samples: whether all samples of a batch share it too, for rows of images that belong together;
        a sample's image then depends on the others.
    """

    coarse: int = 4
    samples: bool = False
    deviation: float = DEVIATION
    rate: float = 0.05

    def __post_init__(self) -> None:
        if self.coarse < 1:
            raise ValueError(f"coarse is {self.coarse}; expected 1 or more")

    def start(self, shape: Shape, generators: Sequence[torch.Generator]) -> list[Tensor]:
        _, height, width = shape
        size = (1, -(-height // self.coarse), -(-width // self.coarse))
        drawn_from = generators[:1] if self.samples else generators
        return [
            normal_noise(shape, generators, self.deviation),
            normal_noise(size, drawn_from, self.deviation),
        ]

    def raw(self, tensors: Sequence[Tensor], shape: Shape) -> Raw:
        own, shared = tensors
        return own + enlarged(shared, shape)


def normal_noise(
    shape: Sequence[int], generators: Sequence[torch.Generator], deviation: float
) -> Float[Tensor, "batch ..."]:
    """Normal random numbers, a row from each generator."""
    return deviation * torch.stack([torch.randn(*shape, generator=g) for g in generators])


def enlarged(images: Raw, shape: Shape) -> Float[Tensor, "batch frames taller wider"]:
    """The images at the height and width of `shape`, by bilinear interpolation."""
    if images.shape[2:] == shape[1:]:
        return images
    return F.interpolate(images, list(shape[1:]), mode="bilinear", align_corners=False)
