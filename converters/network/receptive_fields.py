"""Receptive fields: the pixels that a unit can see, from kernels, strides and paddings.

The arithmetic is that of Araujo et al. (2019, https://distill.pub/2019/computing-receptive-fields):
a unit sees, of the layer below, `kernel` places from `stride` times its own place less the
padding; and so on down to the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.hooks import Layered, layer_named
from atari_zoo.converters.network.networks import ConvShape, MnihNetwork


@dataclass(frozen=True)
class Box:
    """Pixels of a screen: `height` rows from `top`, `width` columns from `left`."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The first row below."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The first column beyond."""
        return self.left + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with; for boxes within the screen."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True)
class ReceptiveField:
    """whole: of the same size at every place of a layer; it may reach beyond the screen, where
    there is padding. seen: the part of it that is on the screen."""

    whole: Box
    seen: Box


def receptive_field(network: Layered, layer: str, row: int = 0, column: int = 0) -> ReceptiveField:
    """What a unit at a place of its layer's map can see of an observation.

    layer: a convolution; units of every other layer see the whole observation, and have no place.
    row, column: on the layer's map, from 0.
    Raises ValueError if there is no such layer or place, or the network is not that of Mnih et
    al.: the geometry of others is not known.

    >>> receptive_field(network, "conv3", 3, 3).seen
    Box(top=24, left=24, height=36, width=36)
    """
    below, sizes = _path(network, layer)
    _check(layer, row, column, sizes[-1])
    if not below:
        screen = Box(0, 0, *sizes[0])
        return ReceptiveField(screen, screen)
    whole = seen = Box(row, column, 1, 1)
    for conv, size in zip(reversed(below), reversed(sizes[:-1]), strict=True):
        whole, seen = _below(whole, conv), _within(_below(seen, conv), *size)
    return ReceptiveField(whole, seen)


def field_shares(
    network: Layered, layer: str
) -> tuple[Float[Tensor, "height rows"], Float[Tensor, "width columns"]]:
    """How much of each place of a convolution's map belongs to each row, and column, of the screen.

    Of all ways from the screen through the kernels to a place, the share that begins there: most
    begin in the middle of its receptive field, none beyond it. The shares of a place sum to 1, so
    that `rows @ map @ columns.T` is the map on the screen, with the same sum.
    Raises ValueError as `receptive_field` does, or if the layer has no map.
    """
    below, sizes = _path(network, layer)
    if not below:
        raise ValueError(f"layer '{layer}' has no map; take a convolution")
    rows, columns = (_shares(below, [size[axis] for size in sizes], axis) for axis in (0, 1))
    return rows, columns


def map_size(network: Layered, layer: str) -> tuple[int, int]:
    """Rows and columns of a layer's map; (1, 1) of a layer that is no convolution.

    Raises ValueError as `receptive_field` does.
    """
    return _path(network, layer)[1][-1]


def _path(network: Layered, layer: str) -> tuple[tuple[ConvShape, ...], list[tuple[int, int]]]:
    """The convolutions up to a layer, none if it is not one, and the sizes of the maps: the
    screen's, and then those of what each convolution gives."""
    if not isinstance(network, MnihNetwork):
        raise ValueError(
            "receptive fields are known of the network of Mnih et al. alone; this is another one"
        )
    layer_named(network, layer)  # raises ValueError
    _, height, width = network.trunk.shape
    below = _convolutions(network, layer)
    sizes = [(height, width)]
    for conv in below:
        sizes.append(conv.output_size(*sizes[-1]))
    return below, sizes if below else [*sizes, (1, 1)]


def _convolutions(network: MnihNetwork, layer: str) -> tuple[ConvShape, ...]:
    """Those up to `layer`; none if it is not one."""
    names = [f"conv{index + 1}" for index in range(len(network.trunk.convolutions))]
    return network.trunk.convolutions[: names.index(layer) + 1] if layer in names else ()


def _below(box: Box, conv: ConvShape) -> Box:
    """What the places in a box of a convolution's output see of its input."""
    left, _, top, _ = conv.padding
    return Box(
        box.top * conv.stride[0] - top,
        box.left * conv.stride[1] - left,
        (box.height - 1) * conv.stride[0] + conv.kernel[0],
        (box.width - 1) * conv.stride[1] + conv.kernel[1],
    )


def _shares(below: Sequence[ConvShape], sizes: Sequence[int], axis: int) -> Tensor:
    """Of one axis, (pixels, places). sizes: of the screen, and of what each convolution gives."""
    ways = torch.eye(sizes[-1], dtype=torch.float64)
    for conv, size in zip(reversed(below), reversed(sizes[:-1]), strict=True):
        left, _, top, _ = conv.padding
        first = torch.arange(len(ways)) * conv.stride[axis] - (top, left)[axis]
        wider = ways.new_zeros(size, ways.shape[1])
        for offset in range(conv.kernel[axis]):
            pixels = first + offset
            seen = (pixels >= 0) & (pixels < size)  # what is beyond is padding
            wider.index_add_(0, pixels[seen], ways[seen])
        ways = wider
    return (ways / ways.sum(dim=0)).float()


def _within(box: Box, height: int, width: int) -> Box:
    """The part of a box that is no padding."""
    top, left = max(box.top, 0), max(box.left, 0)
    bottom, right = min(box.bottom, height), min(box.right, width)
    return Box(top, left, max(bottom - top, 0), max(right - left, 0))


def _check(layer: str, row: int, column: int, size: tuple[int, int]) -> None:
    if not (0 <= row < size[0] and 0 <= column < size[1]):
        raise ValueError(
            f"{layer} has no place ({row}, {column}); its map has rows 0 to {size[0] - 1} and "
            f"columns 0 to {size[1] - 1}"
        )
