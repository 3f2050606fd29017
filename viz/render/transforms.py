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
        _pixels("jitter", self.pixels)
        _grey("jitter's border", self.border)

    def __call__(self, images: Images, draws: Draws) -> Images:
        most = min(images.shape[2:]) - 1
        if self.pixels > most:
            raise ValueError(f"jitter is {self.pixels}; images of this size take 0 to {most}")
        offsets = (draws * (2 * self.pixels + 1)).long().clamp_max(2 * self.pixels)
        return Moved.apply(images, offsets, self.pixels, self.border)


@dataclass(frozen=True)
class Pad:
    """Puts a frame of `pixels` of grey around the image and shrinks both to the image's size."""

    pixels: int = 2
    grey: float = 0.5
    numbers: ClassVar[int] = 0

    def __post_init__(self) -> None:
        _pixels("padding", self.pixels)
        _grey("padding's grey", self.grey)

    def __call__(self, images: Images, draws: Draws) -> Images:
        most = min(images.shape[2:]) - 1
        if self.pixels > most:
            raise ValueError(f"padding is {self.pixels}; images of this size take 0 to {most}")
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
        if not 0 < self.least <= self.most < math.inf:
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
        if not 0 <= self.degrees <= 360:
            raise ValueError(f"rotation is {self.degrees}; expected 0 to 360 degrees")

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


def check_transforms(transforms: Sequence[Transform], shape: tuple[int, int, int]) -> None:
    """Raises ValueError, as a transform does, unless images of this shape can take them all and
    keep their size."""
    for transform in transforms:
        if not isinstance(transform, Transform):
            raise ValueError(f"no transform: {transform!r}; expected one such as Jitter(3)")
    numbers = sum(transform.numbers for transform in transforms)
    black = torch.zeros(1, *shape)
    moved = transformed(black, transforms, torch.full((1, numbers), 0.5))
    if moved.shape != black.shape:
        raise ValueError(
            f"the transforms make {tuple(moved.shape[1:])} of an image of {shape}; they must keep "
            "its size"
        )


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


def _pixels(what: str, number: int) -> None:
    if type(number) is not int or number < 0:
        raise ValueError(f"{what} is {number}; expected 0 or more, a whole number of pixels")


def _grey(what: str, grey: float | None) -> None:
    if grey is not None and not 0 <= grey <= 1:
        raise ValueError(f"{what} is {grey}; expected 0 to 1")
