"""Images painted by a small network (Mordvintsev et al., 2018,
https://distill.pub/2018/differentiable-parameterizations; Stanley, 2007).

The network maps a pixel's place to its four frames' greys. It can only paint smooth shapes, at any
size. Each sample has a network of its own; all are run at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.parameterizations.parameterizations import Raw, Shape, Sigmoid, normal_noise
from atari_zoo.viz.parameterizations.registry import parameterized_as

# so that a normal number's arc tangent, and its square, have a deviation of about 1
SPREAD, SQUARE_SPREAD = 0.67, 0.6


@parameterized_as("cppn")
@dataclass(frozen=True)
class Cppn(Sigmoid):
    """`depth` layers of `width` units, each with an arc tangent and its square (Lucid's).

    The last layer begins at zero: images begin as an even grey.
    """

    width: int = 24
    depth: int = 8
    rate: float = 0.001

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 2:
            raise ValueError(
                f"width is {self.width} and depth {self.depth}; expected at least 1 and 2"
            )

    def start(self, shape: Shape, generators: Sequence[torch.Generator]) -> list[Tensor]:
        inputs = [2] + [2 * self.width] * (self.depth - 2)
        layers = [normal_noise((n, self.width), generators, n**-0.5) for n in inputs]
        last = torch.zeros(len(generators), 2 * self.width, shape[0])
        biases = [torch.zeros(len(generators), 1, layer.shape[2]) for layer in [*layers, last]]
        return [tensor for both in zip([*layers, last], biases, strict=True) for tensor in both]

    def raw(self, tensors: Sequence[Tensor], shape: Shape) -> Raw:
        places = pixel_places(shape).to(tensors[0].device)
        values = places.expand(len(tensors[0]), *places.shape)
        for weight, bias in zip(tensors[:-2:2], tensors[1:-2:2], strict=True):
            bent = torch.baddbmm(bias, values, weight).atan()
            values = torch.cat([bent / SPREAD, bent.square() / SQUARE_SPREAD], dim=2)
        greys = torch.baddbmm(tensors[-1], values, tensors[-2])  # (batch, pixels, frames)
        return greys.transpose(1, 2).unflatten(2, shape[1:])


def pixel_places(shape: Shape) -> Float[Tensor, "pixels 2"]:
    """Row and column of each pixel, in reading order; each has mean 0 and deviation 1."""
    edge = 3**0.5  # of an even distribution with deviation 1
    rows, columns = (torch.linspace(-edge, edge, size) for size in shape[1:])
    return torch.cartesian_prod(rows, columns)
