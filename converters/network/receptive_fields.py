"""Receptive fields: the pixels that a unit can see, whatever way leads from them to it.

They are read from what a network does with a screen, operation by operation (`tracing`): so they
are known of every network that is made of convolutions, pools, norms, sums, products and the like.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.field_maps import FieldMaps, Span
from atari_zoo.converters.network.foreign import ForeignNetwork, Network, observation_shape
from atari_zoo.converters.network.hooks import layer_named, recorded
from atari_zoo.converters.network.layouts import is_maps
from atari_zoo.converters.network.tracing import Trace
from atari_zoo.converters.network.tracing_rules import TRACING_RULES


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
    there is padding. seen: the part of it that is on the screen, and leads to the place."""

    whole: Box
    seen: Box


@dataclass(frozen=True)
class LayerFields:
    """What each place of a layer's map can see of the screen, and how much of it is whose.

    size: rows and columns of the map; (1, 1) of a layer without one, whose units see the whole
    screen. screen: rows and columns of that.
    """

    layer: str
    size: tuple[int, int]
    screen: tuple[int, int]
    maps: FieldMaps | None = field(repr=False)
    pixels: Tensor | None = field(repr=False)

    def at(self, row: int = 0, column: int = 0) -> ReceptiveField:
        """What a unit at that place sees. Raises ValueError if the map has no such place."""
        if not (0 <= row < self.size[0] and 0 <= column < self.size[1]):
            raise ValueError(
                f"{self.layer} has no place ({row}, {column}); its map has rows 0 to "
                f"{self.size[0] - 1} and columns 0 to {self.size[1] - 1}"
            )
        if self.maps is None:
            screen = Box(0, 0, *self.screen)
            return ReceptiveField(screen, screen)
        whole = _box(_ends(self.maps.rows, row), _ends(self.maps.columns, column))
        ends = self.maps.seen[0, :, row, column]
        if not bool(ends.isfinite().all()):  # nothing but padding
            return ReceptiveField(whole, Box(0, 0, 0, 0))
        top, left, bottom, right = (int(end) for end in ends)
        return ReceptiveField(whole, _box((-top, bottom), (-left, right)))

    def on_screen(
        self, maps: Float[Tensor, "batch rows columns"]
    ) -> Float[Tensor, "batch height width"]:
        """Numbers of the map's places, each spread over what it sees by the ways that lead from
        there to it. The sums stay as they are.

        Raises ValueError if the layer has no map, or some place of it sees nothing.
        """
        if self.maps is None or self.pixels is None:
            raise ValueError(f"layer '{self.layer}' has no map; take a convolution")
        ways = self.maps.ways[0, 0]
        if not bool((ways > 0).all()):
            raise ValueError(f"a place of layer '{self.layer}' sees nothing of the screen")
        each = maps.detach().to(ways) / ways.detach()
        (drawn,) = torch.autograd.grad(
            ways, self.pixels, each, retain_graph=True, is_grads_batched=True
        )
        return drawn[:, 0, 0].to(maps)


def layer_fields(network: Network, layer: str) -> LayerFields:
    """The fields of all places of a layer at once.

    A layer has a map where it gives (batch, channels, rows, columns) of more than one place.
    Raises ValueError if there is no such layer, its map is turned, or it is not known what an
    operation on the way to it does.

    >>> layer_fields(network, "conv3").at(3, 3).seen
    Box(top=24, left=24, height=36, width=36)
    """
    layer_named(network, layer)  # raises ValueError
    shape = observation_shape(network)
    weight = next(network.parameters())
    count = network.batch if isinstance(network, ForeignNetwork) else 0
    black = torch.zeros(count or 1, *shape, dtype=weight.dtype, device=weight.device)
    trace = Trace(black, TRACING_RULES)
    with torch.no_grad(), recorded(network, [layer]) as values, trace:
        network(black)
    if layer not in values:
        raise ValueError(f"layer '{layer}' takes no part in what the network gives")
    value, traced = values[layer], trace.of(values[layer])
    size = (value.shape[2], value.shape[3]) if value.ndim == 4 else (1, 1)
    if size == (1, 1):
        return LayerFields(layer, size, shape[1:], None, None)
    if traced is None:
        raise ValueError(f"nothing of the screen reaches layer '{layer}'")
    if traced.unknown:
        raise ValueError(f"what layer '{layer}' sees is not known: {traced.unknown}")
    if not is_maps(traced.layout):
        raise ValueError(
            f"the axes of layer '{layer}' are not channels, rows, columns; take a layer before it"
        )
    with torch.enable_grad():
        maps = trace.maps(traced)
    return LayerFields(layer, size, shape[1:], maps, trace.pixels)


def receptive_field(network: Network, layer: str, row: int = 0, column: int = 0) -> ReceptiveField:
    """What a unit at a place of its layer's map can see of an observation.

    layer: one with a map; units of every other layer see the whole observation, and have no place.
    row, column: on the layer's map, from 0.
    Raises ValueError if there is no such place, and as `layer_fields` does.

    >>> receptive_field(network, "conv3", 3, 3).seen
    Box(top=24, left=24, height=36, width=36)
    """
    return layer_fields(network, layer).at(row, column)


def field_shares(
    network: Network, layer: str
) -> tuple[Float[Tensor, "height rows"], Float[Tensor, "width columns"]]:
    """How much of each row, and column, of a layer's map belongs to each of the screen.

    Of all ways from the screen through the kernels to a place, the share that begins there: most
    begin in the middle of its receptive field, none beyond it. The shares of a row or column sum
    to 1. Where no shorter way goes around a kernel, `rows @ map @ columns.T` is the map on the
    screen, with the same sum; `LayerFields.on_screen` is that everywhere.
    Raises ValueError as `layer_fields` does, or if the layer has no map.
    """
    fields = layer_fields(network, layer)
    height, width = fields.size
    lines = torch.eye(height, dtype=torch.float64)[:, :, None].expand(-1, -1, width) / width
    rows = fields.on_screen(lines).sum(dim=2).T
    lines = torch.eye(width, dtype=torch.float64)[:, None, :].expand(-1, height, -1) / height
    return rows.float(), fields.on_screen(lines).sum(dim=1).T.float()


def map_size(network: Network, layer: str) -> tuple[int, int]:
    """Rows and columns of a layer's map; (1, 1) of a layer without one.

    Raises ValueError as `layer_fields` does.
    """
    return layer_fields(network, layer).size


def _ends(span: Span, place: int) -> tuple[int, int]:
    return span.first + place * span.jump, span.end + place * span.jump


def _box(rows: tuple[int, int], columns: tuple[int, int]) -> Box:
    return Box(rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0])
