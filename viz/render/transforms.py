"""Transforms of an image before the network sees it, so that it stays good when it is moved:
jitter, scale, rotation (Olah et al., 2017, https://distill.pub/2017/feature-visualization).

All keep the size: fully connected layers take no other. Each sample is moved on its own, by
uniform numbers that are handed in, so that it moves alike alone and in a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.render.moving import Moved
from atari_zoo.viz.render.seeds import generators

Images = Float[Tensor, "batch frames height width"]
Draws = Float[Tensor, "batch numbers"]


@runtime_checkable
class Transform(Protocol):
    """Maps images to images of the same size; reads `numbers` uniform numbers for each."""

    @property
    def numbers(self) -> int: ...

    def __call__(self, images: Images, draws: Draws) -> Images: ...


@dataclass(frozen=True)
class Jitter:
    """Moves the image by up to `pixels` in both directions, whole pixels.

    border: the grey beyond the edge, in 0..1; the image mirrored there if not given.
    """

    pixels: int = 3
    border: float | None = None
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _not_negative("jitter", self.pixels)

    def __call__(self, images: Images, draws: Draws) -> Images:
        offsets = (draws * (2 * self.pixels + 1)).long().clamp_max(2 * self.pixels)
        return Moved.apply(images, offsets, self.pixels, self.border)


@dataclass(frozen=True)
class Pad:
    """Puts a frame of `pixels` of grey around the image and shrinks both to the image's size."""

    pixels: int = 2
    grey: float = 0.5
    numbers: ClassVar[int] = 0

    def __post_init__(self) -> None:
        _not_negative("padding", self.pixels)

    def __call__(self, images: Images, draws: Draws) -> Images:
        padded = F.pad(images, (self.pixels,) * 4, value=self.grey)
        size = list(images.shape[2:])
        return F.interpolate(padded, size, mode="bilinear", antialias=True)


@dataclass(frozen=True)
class Scale:
    """Enlarges about the centre by a factor between `least` and `most`; mirrored at the edges."""

    least: float = 0.95
    most: float = 1.05
    numbers: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.most:
            raise ValueError(f"scale is {self.least} to {self.most}; expected 0 < least <= most")

    def __call__(self, images: Images, draws: Draws) -> Images:
        factors = self.least + (self.most - self.least) * draws[:, 0]
        return _warped(images, 1 / factors, torch.zeros_like(factors))


@dataclass(frozen=True)
class Rotate:
    """Turns about the centre by up to `degrees` either way; mirrored at the edges."""

    degrees: float = 5.0
    numbers: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _not_negative("rotation", self.degrees)

    def __call__(self, images: Images, draws: Draws) -> Images:
        angles = math.radians(self.degrees) * (2 * draws[:, 0] - 1)
        return _warped(images, torch.ones_like(angles), angles)


def draws_for(
    transforms: Sequence[Transform], seed: int, names: Sequence[str], steps: int
) -> Float[Tensor, "steps batch numbers"]:
    """The uniform numbers of all steps; a sample's depend on the seed and its name alone."""
    numbers = sum(transform.numbers for transform in transforms)
    drawn = [torch.rand(steps, numbers, generator=g) for g in generators(seed, names, "moved")]
    return torch.stack(drawn, dim=1)


def transformed(images: Images, transforms: Sequence[Transform], draws: Draws) -> Images:
    """The images after all transforms, in order."""
    begin = 0
    for transform in transforms:
        images = transform(images, draws[:, begin : begin + transform.numbers])
        begin += transform.numbers
    return images


def _warped(images: Tensor, factors: Tensor, angles: Tensor) -> Tensor:
    """Each output pixel reads the input at the place turned by its angle, times its factor."""
    cosine, sine, none = factors * angles.cos(), factors * angles.sin(), torch.zeros_like(angles)
    rows = torch.stack([cosine, -sine, none], 1), torch.stack([sine, cosine, none], 1)
    places = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(
        images, places.to(images.dtype), padding_mode="reflection", align_corners=False
    )


def _not_negative(what: str, number: float) -> None:
    if number < 0:
        raise ValueError(f"{what} is {number}; expected 0 or more")
