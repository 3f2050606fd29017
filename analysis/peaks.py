"""How strongly, and where, each unit of a layer answers to each observation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.converters.hooks import recorded
from atari_zoo.models import Network


class Peaks(NamedTuple):
    """values: the largest of each unit's map; a unit without a map has its one value.
    rows, columns: where on the map that is, 0 without one; the first of several equal places."""

    values: Float[Tensor, "observations units"]
    rows: Int[Tensor, "observations units"]
    columns: Int[Tensor, "observations units"]


def peaks(
    network: Network,
    observations: Tensor,
    layer: str,
    before_relu: bool = True,
    batch: int = 256,
) -> Peaks:
    """The peak of every unit of `layer` at each observation, on the CPU.

    observations: (observations, 4, 84, 84), uint8 or float in 0..1.
    before_relu: of a layer that has a ReLU, what enters it: silent units then differ too.
    Units are the channels of a convolution, else the layer's values one by one: of `atoms`, unit
    (action, atom) is action * atoms + atom.
    Raises ValueError if the layer is not there; the message lists those that are.

    >>> peaks(net, observations, "conv3").values.shape
    torch.Size([32, 64])
    """
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode(), recorded(network, [layer], before_relu) as values:
        for some in observations.split(batch):
            network(some.to(device))
            parts.append(_of_maps(values[layer].float().cpu()))
    return Peaks(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))


def _of_maps(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    maps = values if values.ndim == 4 else values.flatten(1)[..., None, None]
    most, place = maps.flatten(2).max(dim=2)
    width = maps.shape[3]
    return most, place // width, place % width
